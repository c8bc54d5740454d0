r"""Values flow backward: what an action is worth, given what the others do and what comes after.

    Q_i(x, a_i) = E_{pi_-i(.|x)} [ R_i(x, a) + discount_i * sum_x' P(x' | x, a) V_i(x') ]             equation (3)

Pure functions on arrays in engine layout (`quantal.layout`), to be called inside jit. Where every agent moves its own
coordinate (`OwnMoves`) the joint successors are never written down.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from quantal import logit
from quantal.layout import DenseMoves, JointMoves, Model, OwnMoves
from quantal.logit import ValueRule


def sweep(
    model: Model,
    rule: ValueRule,
    beta: Float[Array, "M"],
    discount: Float[Array, "M"],
    q: tuple[Float[Array, "..."], ...],
) -> tuple[Float[Array, "..."], ...]:
    """Apply the paper's map once, undamped, all agents together: T(Q).

        pi_i = softmax(beta_i Q_i),   V_i = value rule,   T(Q)_i = E_{pi_-i}[ R_i + discount_i E V_i' ]

    Parameters
    ----------
    rule
        How Q becomes V.
    beta, discount
        One number per agent.
    q
        Q_i [A_i, *states] per agent.
    """
    agents = range(model.number_of_agents)
    policies = tuple(logit.policy(beta[i] * q[i], model.legal[i]) for i in agents)
    values = tuple(logit.value(rule, beta[i], q[i], policies[i], model.legal[i]) for i in agents)
    return backup(model, discount, policies, values)


def backup(
    model: Model,
    discount: Float[Array, "M"],
    policies: tuple[Float[Array, "..."], ...],
    values: tuple[Float[Array, "..."], ...],
) -> tuple[Float[Array, "..."], ...]:
    """Q_i(x, a_i) = E_{pi_-i}[ R_i(x, a) + discount_i E V_i(x') ] for all agents.

    Parameters
    ----------
    discount
        One number per agent.
    policies
        pi_i [A_i, *states] per agent; zero where an action is illegal.
    values
        V_i [*states] per agent.

    Returns
    -------
    tuple
        Q_i [A_i, *states] per agent.
    """
    return tuple(backup_one(model, discount, i, policies, values[i]) for i in range(model.number_of_agents))


def backup_one(
    model: Model,
    discount: Float[Array, "M"],
    i: int,
    policies: tuple[Float[Array, "..."], ...],
    value: Float[Array, "*s"],
) -> Float[Array, "A *s"]:
    """Q_i(x, a_i) = E_{pi_-i}[ R_i(x, a) + discount_i E V_i(x') ] for one agent; see `backup`."""
    ahead = discount[i] * value
    if isinstance(model.moves, OwnMoves):
        future = _contract_own(model.moves, i, policies, ahead)
    else:
        future = marginal(expected_next(model.moves, ahead), policies, (i,))
    return future + marginal(model.rewards[i], policies, (i,))


def joint_payoffs(model: Model, discount: Float[Array, "M"], i: int, value: Float[Array, "*s"]) -> Float[Array, "..."]:
    """u_i(x, a) = R_i(x, a) + discount_i E V_i(x'), written out: [A_1, ..., A_M, *states]."""
    return expected_next(model.moves, discount[i] * value) + model.rewards[i]


def payoffs_at(
    model: Model,
    discount: Float[Array, "M"],
    i: int,
    value: Float[Array, "*s"],
    states: Int[Array, "n"],
) -> Float[Array, "..."]:
    """u_i(x, a) at some states only: [A_1, ..., A_M, n].

    Parameters
    ----------
    states
        State numbers, C order over `model.state_shape`.
    """
    agents = model.number_of_agents
    ahead = (discount[i] * value).reshape(-1)
    place = jnp.unravel_index(states, model.state_shape)
    reward = model.rewards[i]
    shape = reward.shape[agents:]
    where = tuple(jnp.zeros_like(x) if n == 1 else x for x, n in zip(place, shape, strict=True))
    moves = model.moves
    if isinstance(moves, DenseMoves):
        future = moves.matrix[..., states, :] @ ahead
    elif isinstance(moves, JointMoves):
        future = _branches(ahead[moves.successors[..., states]] * moves.probabilities[..., states])
    else:
        future = _own_next_at(moves, ahead, place, model.state_shape)
    return future + reward[(..., *where)]


def marginal(
    u: Float[Array, "..."],
    policies: tuple[Float[Array, "..."], ...],
    keep: tuple[int, ...],
) -> Float[Array, "..."]:
    """E over the policies of all agents but `keep` of a joint payoff u [A_1, ..., A_M, *states].

    The last opponent is contracted first; an action axis of length 1 (no dependence) costs nothing.

    Parameters
    ----------
    keep
        Agents whose action axes stay, in increasing order.

    Returns
    -------
    Array
        [A_k for k in keep, *states]; an axis of length 1 in `u` keeps length 1.
    """
    if list(keep) != sorted(set(keep)):
        raise ValueError(f"keep: expected agents in increasing order, each once: got {keep}")
    agents = len(policies)
    for j in reversed(range(agents)):
        if j in keep:
            continue
        count = u.shape[j]
        parts = [lax.index_in_dim(u, a, j, keepdims=False) for a in range(count)]
        if count > 1:
            parts = [part * policies[j][a] for a, part in enumerate(parts)]
        u = _total(parts)
    return u


def expected_next(moves: OwnMoves | JointMoves | DenseMoves, value: Float[Array, "*s"]) -> Float[Array, "..."]:
    """E[ V(x') | x, a ] for every joint action: [A_1, ..., A_M, *states]."""
    if isinstance(moves, DenseMoves):
        return moves.matrix @ value
    if isinstance(moves, JointMoves):
        return _branches(value[moves.successors] * moves.probabilities)
    agents = len(moves.successors)
    for j in reversed(range(agents)):
        done = agents - 1 - j  # action axes in front already
        value = jnp.stack([_move(moves, j, a, value, done) for a in range(moves.successors[j].shape[0])])
    return value


def _move(moves: OwnMoves, j: int, a: Any, value: Array, leading: int) -> Array:
    """E[ V(.., x_j', ..) | x_j, a_j ]: agent j alone moves; its state axis is number leading + j."""
    table, probabilities = moves.successors[j], moves.probabilities[j]
    axis = leading + j
    if probabilities is None:
        return jnp.take(value, table[a, 0], axis=axis, mode="clip")
    after = value.ndim - axis - 1
    return _total(
        [
            jnp.take(value, table[a, b], axis=axis, mode="clip") * probabilities[a, b].reshape((-1,) + (1,) * after)
            for b in range(table.shape[1])
        ]
    )


def _contract_own(moves: OwnMoves, i: int, policies: tuple[Array, ...], value: Array) -> Array:
    """E_{pi_-i} E[ V(x') | x, a ] without the joint table: gather the last axis first, contract on the way up."""

    def descend(j: int, part: Array) -> Array:
        if j < 0:
            return part
        results = [descend(j - 1, _move(moves, j, a, part, 0)) for a in range(moves.successors[j].shape[0])]
        if j == i:
            return jnp.stack(results)
        return _total([policies[j][a] * r for a, r in enumerate(results)])

    return descend(len(moves.successors) - 1, value)


def _own_next_at(moves: OwnMoves, value: Array, place: tuple[Array, ...], shape: tuple[int, ...]) -> Array:
    """E[ V(x') | x, a ] at some states by flat gathers: [A_1, ..., A_M, n]."""
    agents = len(shape)
    widths = [table.shape[1] for table in moves.successors]
    terms = []
    for branch in itertools.product(*map(range, widths)):
        flat, weight = 0, None
        for j, b in enumerate(branch):
            lift = (slice(None), *(None,) * (agents - 1 - j), slice(None))
            stride = math.prod(shape[j + 1 :])
            flat = flat + stride * moves.successors[j][:, b][:, place[j]][lift]
            probabilities = moves.probabilities[j]
            if probabilities is not None:
                factor = probabilities[:, b][:, place[j]][lift]
                weight = factor if weight is None else weight * factor
        term = value[flat]
        terms.append(term if weight is None else term * weight)
    return _total(terms)


def _branches(terms: Array) -> Array:
    """Sum over the successor axis of [*A, B, n], unrolled."""
    return _total([terms[..., b, :] for b in range(terms.shape[-2])])


def _total(terms: list[Array]) -> Array:
    result = terms[0]
    for term in terms[1:]:
        result = result + term
    return result


def read_q(
    model: Model, rule: ValueRule, beta: Float[Array, "M"], q: tuple[Float[Array, "..."], ...]
) -> tuple[tuple[Float[Array, "..."], ...], tuple[Float[Array, "..."], ...]]:
    """Policies [A_i, *states] and values [*states] that Q-functions imply, per agent."""
    policies = tuple(logit.policy(b * qi, m) for b, qi, m in zip(beta, q, model.legal, strict=True))
    values = tuple(logit.value(rule, b, qi, pi, m) for b, qi, pi, m in zip(beta, q, policies, model.legal, strict=True))
    return policies, values
