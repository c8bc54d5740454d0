r"""The equilibrium as a differentiable function of rewards, precisions and weights.

Given one solution y* of F(y, p) = 0, found by any method, the branch through it is y(p) with

    dy = -(dF/dy)^{-1} (dF/dp) dp                                                      the implicit function theorem

so derivatives cost linear solves at the solution, none of the solver's steps, and hold on whatever branch y* lies,
also where iterating the map would not converge. `jax.lax.custom_root` applies the rule, again to its own result for
second derivatives (forward over forward: JAX drops the rule where it differentiates a reversed scan once more); what
is here is F, and the linear solves:

* a stage game (`stage_play`): F = z - beta C E_pi[u] in centred logits; one small dense block per joint state;
* MGE-F (`finite`): stages, backward in time. Reverse differentiation of that scan is the adjoint recursion, stage by
  stage and forward in time;
* MGE-I (`stationary`): F = v - Phi(v), Phi the same stage with its values carried over: M S unknowns, as one dense
  system where that is small, by GMRES on Jacobian-vector products (or their transposes) where it is not;
* MGE-FB (`crowd`): F = O - T(O), T one pass backward and one forward (`quantal.crowds.passes`),
  solved likewise.

All is in engine layout, to be called inside jit and `double_precision`. The results are logits: log-probabilities
stay exact where probabilities underflow. The greedy rule has a derivative wherever one action alone is best.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from quantal import logit, stage
from quantal.bellman import joint_payoffs
from quantal.crowds import passes
from quantal.crowds.layout import Block, CrowdModel, Movers
from quantal.crowds.passes import Choice
from quantal.layout import Model
from quantal.logit import ValueRule
from quantal.solvers import forward_backward

DENSE = 1_200
"""Up to this many unknowns a system that couples states is written down and factorised."""
TOGETHER = 32
"""Columns of such a matrix that are worked out side by side."""
KRYLOV_TOLERANCE = 1e-12
KRYLOV_RESTART = 60
KRYLOV_CYCLES = 20

Linear = Callable[[Any], Any]


# ---------------------------------------------------------------------- one stage


def stage_play(
    u: stage.Payoffs, beta: Float[Array, "M"], legal: stage.Legal, z: Float[Array, "N S"]
) -> Float[Array, "N S"]:
    """Centred logits of a batch of stage games, as a function of payoffs and precisions.

    Parameters
    ----------
    u
        Joint payoffs [A_1|1, ..., A_M|1, S] per agent.
    beta
        Precision per agent.
    legal
        Legal actions [A_i, S] per agent.
    z
        The solution, all agents' actions stacked; zero where illegal.

    Returns
    -------
    Array
        The value of `z`, with derivatives.
    """
    counts = tuple(mask.shape[0] for mask in legal)

    def equation(y: Array) -> Array:
        g = stage.expected_payoffs(u, stage.policies_of(stage.split(y, counts), legal))
        return y - jnp.concatenate([b * stage.centre(gi, mask) for b, gi, mask in zip(beta, g, legal, strict=True)])

    def solve(linear: Linear, right: Array) -> Array:
        n, states = right.shape
        columns = jnp.broadcast_to(jnp.eye(n)[:, :, None], (n, n, states))
        matrix = jnp.moveaxis(jax.vmap(linear, out_axes=1)(columns), -1, 0)  # [S, N, N]
        return jnp.einsum("skn,ns->ks", jnp.linalg.inv(matrix), right)

    return lax.custom_root(equation, z, lambda _, start: start, solve)


def _stage(
    model: Model,
    rule: ValueRule,
    beta: Float[Array, "M"],
    discount: Float[Array, "M"],
    legal: stage.Legal,
    z: Float[Array, "N S"],
    values: Float[Array, "M S"],
) -> tuple[Float[Array, "N S"], Float[Array, "M S"]]:
    """Logits, and the values that they make of the values one step later."""
    shape, agents = model.state_shape, range(model.number_of_agents)
    u = tuple(_flat(model, joint_payoffs(model, discount, i, values[i].reshape(shape))) for i in agents)
    y = stage_play(u, beta, legal, z)
    policies = stage.policies_of(stage.split(y, model.action_counts), legal)
    g = stage.expected_payoffs(u, policies)
    return y, jnp.stack([logit.value(rule, beta[i], g[i], policies[i], legal[i]) for i in agents])


def _flat(model: Model, x: Array) -> Array:
    """[A.., *states|1] to [A.., S]."""
    lead = x.shape[: x.ndim - len(model.state_shape)]
    return jnp.broadcast_to(x, lead + model.state_shape).reshape(*lead, model.number_of_states)


def flat_legal(model: Model) -> stage.Legal:
    """Legal actions [A_i, S] per agent."""
    return tuple(_flat(model, mask) for mask in model.legal)


# ---------------------------------------------------------------------- exact games


def finite(
    model: Model,
    rule: ValueRule,
    beta: Float[Array, "M"],
    discount: Float[Array, "M"],
    z: Float[Array, "T N S"],
) -> Float[Array, "T N S"]:
    """MGE-F: logits at every decision.

    Parameters
    ----------
    model, rule, beta, discount
        What is played; derivatives are with respect to the model's (final) rewards, and beta.
    z
        The solution's centred logits beta_i C Q_i^tau, all agents' actions stacked.
    """
    legal = flat_legal(model)

    # Joint payoffs are as large as all else together: worked out again on the way back instead of kept.
    @jax.checkpoint
    def body(values: Array, now: Array) -> tuple[Array, Array]:
        y, values = _stage(model, rule, beta, discount, legal, now, values)
        return values, y

    last = jnp.stack([_flat(model, f) for f in model.final_rewards])
    return lax.scan(body, last, z, reverse=True)[1]


def stationary(
    model: Model,
    rule: ValueRule,
    beta: Float[Array, "M"],
    discount: Float[Array, "M"],
    z: Float[Array, "N S"],
    values: Float[Array, "M S"],
) -> Float[Array, "N S"]:
    """MGE-I: logits of stationary play.

    Parameters
    ----------
    model, rule, beta, discount
        As for `finite`.
    z, values
        The solution's centred logits and its values.
    """
    legal = flat_legal(model)

    def equation(v: Array) -> Array:
        return v - _stage(model, rule, beta, discount, legal, z, v)[1]

    v = lax.custom_root(equation, values, lambda _, start: start, coupled)
    return _stage(model, rule, beta, discount, legal, z, v)[0]


def coupled(linear: Linear, right: Any) -> Any:
    """Solve a system that couples states, any arrays: written down where it is small, by GMRES where it is not."""
    flat, shaped = ravel_pytree(right)
    if flat.size > DENSE:
        return krylov(linear, right)

    def column(e: Array) -> Array:
        return ravel_pytree(linear(shaped(e)))[0]

    matrix = lax.map(column, jnp.eye(flat.size), batch_size=TOGETHER).T
    return shaped(jnp.linalg.solve(matrix, flat))


def krylov(linear: Linear, right: Any) -> Any:
    """Solve by GMRES, never writing the matrix down; its derivatives are further solves, by the transpose backward."""

    def gmres(apply: Linear, b: Any) -> Any:
        # Scaled, so that a right-hand side that underflows does not divide by zero.
        scale = jnp.maximum(jnp.stack([jnp.abs(x).max() for x in jax.tree.leaves(b)]).max(), 1e-300)
        found, _ = jax.scipy.sparse.linalg.gmres(
            apply,
            jax.tree.map(lambda x: x / scale, b),
            tol=KRYLOV_TOLERANCE,
            atol=0.0,
            restart=min(KRYLOV_RESTART, sum(x.size for x in jax.tree.leaves(b))),
            maxiter=KRYLOV_CYCLES,
            solve_method="incremental",
        )
        return jax.tree.map(lambda x: x * scale, found)

    return lax.custom_linear_solve(linear, right, gmres, gmres)


# ---------------------------------------------------------------------- crowds


def crowd(
    model: CrowdModel, rule: ValueRule, horizon: int, state: forward_backward.State
) -> tuple[Float[Array, "..."], ...]:
    """MGE-FB: logits beta Q of everyone at every decision, minus infinity where a kind may not do so.

    Parameters
    ----------
    model, rule, horizon
        What is played; derivatives are with respect to the model's numbers: rewards, precisions, levels.
    state
        The solution's occupancies.

    Returns
    -------
    tuple
        [blocks, T, A, g, N] per movers.
    """
    own = lax.custom_root(
        lambda s: jax.tree.map(jnp.subtract, s, forward_backward.respond(model, rule, horizon, s)),
        tuple(state),
        lambda _, start: start,
        coupled,
    )
    field = passes.fields(model, own)

    def of(movers: Movers) -> Callable[[tuple[Block, Array]], Array]:
        def logits(block: tuple[Block, Array]) -> Array:
            agents, mine = block

            def keep(choice: Choice, _: Array) -> Array:
                return jnp.stack(
                    [agents.beta[:, None] * q + row for q, row in zip(choice.q, movers.barred, strict=True)]
                )

            return passes.backward(model, movers, agents, rule, horizon, field, mine, keep)

        return logits

    return tuple(lax.map(of(m), (m.agents, o)) for m, o in zip(model.movers, own, strict=True))
