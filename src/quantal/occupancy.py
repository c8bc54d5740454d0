r"""Mass flows forward: where a distribution over joint states goes in one step of play.

    mass'(x') = sum_x mass(x) sum_a prod_j pi_j(a_j | x) P(x' | x, a)                                 equation (12)

The exact transpose of `quantal.bellman`'s expected next value under everyone's policy: for every value function V,
sum_x' mass'(x') V(x') = sum_x mass(x) E_pi[ V(x') | x ]. Pure functions on arrays in engine layout
(`quantal.layout`), to be called inside jit. Where every agent moves its own coordinate (`OwnMoves`) the joint
successors are never written down.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from quantal.layout import DenseMoves, JointMoves, OwnMoves


def push(
    moves: OwnMoves | JointMoves | DenseMoves,
    mass: Float[Array, "*s"],
    policies: tuple[Float[Array, "_ *s"], ...],
) -> Float[Array, "*s"]:
    """Move a distribution (or any measure) over joint states one step ahead.

    Parameters
    ----------
    moves
        `Model.moves`.
    mass
        [*states]; need not sum to one. The total is conserved up to rounding.
    policies
        pi_i [A_i, *states] per agent; zero where an action is illegal.
    """
    if isinstance(moves, OwnMoves):
        return _push_own(moves, mass, policies, len(policies) - 1)
    if isinstance(moves, DenseMoves):
        weights = _played(mass, policies)
        states = mass.shape[0]
        return weights.reshape(-1) @ moves.matrix.reshape(-1, states)
    terms = _played(mass, policies)[..., None, :] * moves.probabilities
    return jnp.zeros_like(mass).at[moves.successors].add(terms, mode="promise_in_bounds")


def _played(mass: Array, policies: tuple[Array, ...]) -> Float[Array, "..."]:
    """mass(x) prod_j pi_j(a_j | x) for every joint action: [A_1, ..., A_M, S]."""
    for policy in reversed(policies):
        mass = policy.reshape(policy.shape[:1] + (1,) * (mass.ndim - 1) + policy.shape[1:]) * mass
    return mass


def _push_own(moves: OwnMoves, mass: Array, policies: tuple[Array, ...], j: int) -> Array:
    """Split by the actions of agents j, ..., 0; move the coordinate of 0, then 1, ..., then j.

    Actions are scanned, not unrolled: one buffer is added to in place, which is 4-8 times faster on a CPU than
    scattering each action into its own, and the program stays small for many agents.
    """
    if j < 0:
        return mass

    def body(total: Array, action: tuple[Array, Array, Array]) -> tuple[Array, None]:
        policy, successors, probabilities = action
        rows = jnp.moveaxis(_push_own(moves, mass * policy, policies, j - 1), j, 0)
        for b in range(successors.shape[0]):
            chance = probabilities[b].reshape((-1,) + (1,) * (rows.ndim - 1))
            part = rows if certain else rows * chance
            total = total.at[successors[b]].add(part, mode="promise_in_bounds")
        return total, None

    table, chances = moves.successors[j], moves.probabilities[j]
    certain = chances is None
    if chances is None:
        chances = jnp.ones_like(table, dtype=mass.dtype)  # not looked at, but the scan wants an array
    empty = jnp.zeros_like(jnp.moveaxis(mass, j, 0))
    total, _ = lax.scan(body, empty, (policies[j], table, chances))
    return jnp.moveaxis(total, 0, j)
