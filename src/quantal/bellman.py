r"""Values flow backward: what an action is worth, given what the others do and what comes after.

    Q_i(x, a_i) = E_{pi_-i(.|x)} [ R_i(x, a) + discount_i * sum_x' P(x' | x, a) V_i(x') ]             equation (3)

Pure functions on arrays in engine layout (`quantal.layout`: actions first), to be called inside jit.

Where every agent moves its own coordinate (`OwnMoves`), neither joint successors nor joint payoffs are written down.
The state axes are cut in two: the *leading* agents' axes and the *tail*, the last agent's axis (or the last few, if one
alone is short), flattened to one long row that the vector units work on. Inside, arrays are [*lead, A, tail], so that
all that a joint state needs lies close together:

1. V_i is gathered along the tail for every action of the tail agents: [*lead, *A_tail, tail];
2. rows of that are gathered for the opponents' joint actions and contracted with their policies on the way back up,
   unrolled into one loop over the rows. Where that would be long (many agents), the outer opponents are scanned, so
   that the program does not grow as A^M.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import reduce
from operator import add, mul
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.experimental.layout import Layout, with_layout_constraint
from jaxtyping import Array, Float, Int

from quantal import logit
from quantal.layout import DenseMoves, JointMoves, Model, OwnMoves
from quantal.logit import ValueRule

T = TypeVar("T")

ROW = 64
"""Tail axes are joined until a row has this many states: shorter ones leave the vector units idle."""

UNROLLED = 32
"""Joint actions of opponents that are written out in one loop; beyond, the outer opponents are scanned."""

STAGED_FROM = 1 << 14
"""States from which on it pays to keep XLA from fusing too much (see `_stage`)."""


# ------------------------------------------------------------------ the verbs


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
    model
        The game.
    rule
        How Q becomes V.
    beta, discount
        One number per agent.
    q
        Q_i [A_i, *states] per agent.

    Returns
    -------
    tuple
        T(Q)_i [A_i, *states] per agent.
    """
    agents = range(model.number_of_agents)
    if not isinstance(model.moves, OwnMoves):
        return backup(model, discount, *read_q(model, rule, beta, q))
    cut = _cut(model)
    chosen = [_choose(model, cut, rule, i, beta[i], q[i]) for i in agents]
    weights, scales, values = zip(*chosen, strict=True)
    ahead = tuple(discount[i] * values[i] for i in agents)
    return tuple(_open(x, model, cut) for x in _contracted(model, cut, tuple(agents), weights, scales, ahead))


def backup(
    model: Model,
    discount: Float[Array, "M"],
    policies: tuple[Float[Array, "..."], ...],
    values: tuple[Float[Array, "..."], ...],
) -> tuple[Float[Array, "..."], ...]:
    """Q_i(x, a_i) = E_{pi_-i}[ R_i(x, a) + discount_i E V_i(x') ] for all agents.

    Parameters
    ----------
    model
        The game.
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
    return _backup(model, discount, tuple(range(model.number_of_agents)), policies, values)


def backup_one(
    model: Model,
    discount: Float[Array, "M"],
    i: int,
    policies: tuple[Float[Array, "..."], ...],
    value: Float[Array, "*s"],
) -> Float[Array, "A *s"]:
    """Q_i(x, a_i) = E_{pi_-i}[ R_i(x, a) + discount_i E V_i(x') ] for one agent.

    Parameters
    ----------
    model, discount, policies
        As for `backup`; agent i's own policy is not read.
    i
        The agent.
    value
        V_i [*states].

    Returns
    -------
    Array
        Q_i [A_i, *states].
    """
    return _backup(model, discount, (i,), policies, (value,))[0]


def joint_payoffs(model: Model, discount: Float[Array, "M"], i: int, value: Float[Array, "*s"]) -> Float[Array, "..."]:
    """u_i(x, a) = R_i(x, a) + discount_i E V_i(x'), written out: [A_1, ..., A_M, *states].

    Parameters
    ----------
    model, discount
        As for `backup`.
    i
        The agent.
    value
        V_i [*states].
    """
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
    model, discount
        As for `backup`.
    i
        The agent.
    value
        V_i [*states].
    states
        State numbers, C order over `model.state_shape`.
    """
    moves, ahead = model.moves, (discount[i] * value).reshape(-1)
    place = jnp.unravel_index(states, model.state_shape)
    if isinstance(moves, DenseMoves):
        future = moves.matrix[..., states, :] @ ahead
    elif isinstance(moves, JointMoves):
        future = _over_branches(ahead[moves.successors[..., states]] * moves.probabilities[..., states])
    else:
        future = _own_next_at(moves, ahead, place, model.state_shape)
    reward = model.rewards[i]
    lengths = reward.shape[model.number_of_agents :]
    where = tuple(jnp.zeros_like(x) if n == 1 else x for x, n in zip(place, lengths, strict=True))
    return future + reward[(..., *where)]


def marginal(
    u: Float[Array, "..."],
    policies: tuple[Float[Array, "..."], ...],
    keep: tuple[int, ...],
) -> Float[Array, "..."]:
    """E over the policies of all agents but `keep` of a joint payoff u [A_1, ..., A_M, *states].

    The last opponent is contracted first, unrolled over its actions. An action axis of length 1 (no dependence) costs
    nothing.

    Parameters
    ----------
    u
        Joint payoffs; any axis may have length 1.
    policies
        pi_i [A_i, *states] per agent.
    keep
        Agents whose action axes stay, in increasing order.

    Returns
    -------
    Array
        [A_k for k in keep, *states]; an axis of length 1 in `u` keeps length 1.
    """
    if list(keep) != sorted(set(keep)):
        raise ValueError(f"keep: expected agents in increasing order, each once: got {keep}")
    for j in reversed(range(len(policies))):
        if j not in keep:
            parts = [_at(u, j, a) for a in range(u.shape[j])]
            u = parts[0] if len(parts) == 1 else _sum(p * policies[j][a] for a, p in enumerate(parts))
    return u


def expected_next(moves: OwnMoves | JointMoves | DenseMoves, value: Float[Array, "*s"]) -> Float[Array, "..."]:
    """E[ V(x') | x, a ] for every joint action: [A_1, ..., A_M, *states]."""
    if isinstance(moves, DenseMoves):
        return moves.matrix @ value
    if isinstance(moves, JointMoves):
        return _over_branches(value[moves.successors] * moves.probabilities)
    return _gathered(moves, 0, value)


def read_q(
    model: Model, rule: ValueRule, beta: Float[Array, "M"], q: tuple[Float[Array, "..."], ...]
) -> tuple[tuple[Float[Array, "..."], ...], tuple[Float[Array, "..."], ...]]:
    """Policies [A_i, *states] and values [*states] that Q-functions imply, per agent."""
    policies = tuple(logit.policy(b * qi, m) for b, qi, m in zip(beta, q, model.legal, strict=True))
    values = tuple(logit.value(rule, b, qi, pi, m) for b, qi, pi, m in zip(beta, q, policies, model.legal, strict=True))
    return policies, values


# ------------------------------------------------------------------ any dynamics


def _backup(model: Model, discount, wanted: tuple[int, ...], policies, values) -> tuple[Array, ...]:
    """Q_i for the wanted agents; `values` holds theirs only."""
    ahead = tuple(discount[i] * v for i, v in zip(wanted, values, strict=True))
    if isinstance(model.moves, OwnMoves):
        cut = _cut(model)
        weights = tuple(_close(p, model, cut) for p in policies)
        rows = tuple(v.reshape((*v.shape[:cut], -1)) for v in ahead)
        return tuple(_open(x, model, cut) for x in _contracted(model, cut, wanted, weights, None, rows))
    if isinstance(model.moves, DenseMoves):
        # The matrix is the largest thing there is: read it once for all agents.
        together = model.moves.matrix @ jnp.stack(ahead, axis=-1)
        futures = [together[..., k] for k in range(len(wanted))]
    else:
        futures = [expected_next(model.moves, v) for v in ahead]
    return tuple(
        marginal(u, policies, (i,)) + marginal(model.rewards[i], policies, (i,))
        for i, u in zip(wanted, futures, strict=True)
    )


def _over_branches(terms: Array) -> Array:
    """Sum over the successor axis of [*A, B, n], unrolled."""
    return _sum(terms[..., b, :] for b in range(terms.shape[-2]))


# ------------------------------------------------------------------ own moves: leading axes and rows


def _cut(model: Model) -> int:
    """How many agents lead. At least one does (if there are two), so that no joint table is written."""
    shape = model.state_shape
    tail = 1
    while tail < len(shape) - 1 and math.prod(shape[-tail:]) < ROW:
        tail += 1
    return len(shape) - tail


def _close(x: Array, model: Model, cut: int) -> Array:
    """[A, *states] to [*lead, A, tail]; state axes of length 1 are spread over the tail only if some are longer."""
    tail = x.shape[1 + cut :]
    if any(n != 1 for n in tail):
        x = jnp.broadcast_to(x, x.shape[: 1 + cut] + model.state_shape[cut:])
    return jnp.moveaxis(x.reshape((*x.shape[: 1 + cut], -1)), 0, cut)


def _open(x: Array, model: Model, cut: int) -> Array:
    """[*lead, A, tail] to [A, *states]."""
    return jnp.moveaxis(x, cut, 0).reshape((x.shape[cut], *model.state_shape))


def _choose(model: Model, cut: int, rule: ValueRule, i: int, beta, q: Array) -> tuple[Array, Array, Array]:
    """Policies as weights [*lead, A, tail] and scales 1 / sum [*lead, tail], and values [*lead, tail], of one agent.

    Policies are left unnormalised: that would be one more pass over the largest array.
    """
    q, legal = _close(q, model, cut), _close(model.legal[i], model, cut)
    actions = range(q.shape[cut])
    logits = jnp.where(legal, beta * q, -jnp.inf)
    top = reduce(jnp.maximum, [_at(logits, cut, a) for a in actions])
    # A constant: policies do not depend on the shift. Settled: it would be computed again for every action.
    top = _stage(model, lambda x: x, lax.stop_gradient(top))
    weights = jnp.exp(logits - jnp.expand_dims(top, cut))
    total = _sum(_at(weights, cut, a) for a in actions)
    scale = 1 / total
    if rule == "expected":
        value = _sum(_at(weights, cut, a) * _at(q, cut, a) for a in actions) * scale
    elif rule == "soft":
        value = (top + jnp.log(total)) / beta
    else:
        value = reduce(jnp.maximum, [_at(jnp.where(legal, q, -jnp.inf), cut, a) for a in actions])
    return weights, scale, value


def _contracted(model: Model, cut: int, wanted: tuple[int, ...], weights, scales, ahead) -> tuple[Array, ...]:
    """Q_i [*lead, A_i, tail] of the wanted agents from weights of all and discounted values [*lead, tail] of theirs."""
    moves = model.moves
    # Two agents use a gathered value five times or so: not worth the memory for it.
    inline = len(moves.successors) <= 2
    if not inline:
        ahead = _stage(model, lambda vs: tuple(_tail_gathered(moves, cut, v) for v in vs), ahead)

    def contract(weights, scales, ahead):
        return tuple(
            _settled(
                model, _contract(model, cut, i, weights, scales, v, inline) + _reward(model, cut, i, weights, scales)
            )
            for i, v in zip(wanted, ahead, strict=True)
        )

    return _stage(model, contract, tuple(weights), scales, tuple(ahead))


def _contract(model: Model, cut: int, i: int, weights, scales, value: Array, inline: bool) -> Array:
    """E_{pi_-i} E[ V(x') | x, a ] as [*lead, A_i, tail].

    `value` is V [*lead, tail] if the tail (one agent) is to be gathered here, else [*lead, *A_tail, tail].
    """
    moves: OwnMoves = model.moves
    counts = model.action_counts
    others = [j for j in range(len(counts)) if j != i]

    def payoff(joint: dict[int, int | Array]) -> Array:
        """V after the opponents' joint action: [*lead, A_i, tail]."""
        x = value
        for j in reversed(range(cut, len(counts))):
            if inline:
                x = _move_any(moves, j, cut, x, front=True) if j == i else _move(moves, j, joint[j], cut, x)
            elif j != i:
                x = _at(x, j, joint[j])
        own_in_tail = i >= cut
        for j in others:
            if j < cut:
                x = _move(moves, j, joint[j], j, x)
        return x if own_in_tail else jnp.moveaxis(_move_any(moves, i, i, x, front=False), i + 1, cut)

    def descend(k: int, joint: dict[int, int | Array]) -> Array:
        if k == len(others):
            return payoff(joint)
        j = others[k]

        def term(a: int | Array) -> Array:
            return _at(weights[j], cut, a, keep=True) * descend(k + 1, {**joint, j: a})

        if math.prod(counts[o] for o in others[k:]) <= UNROLLED:
            return _sum(term(a) for a in range(counts[j]))
        start = jnp.zeros(jax.eval_shape(term, 0).shape, value.dtype)
        return lax.scan(lambda total, a: (total + term(a), None), start, jnp.arange(counts[j]))[0]

    result = descend(0, {})
    return result if scales is None else result * _scale(cut, others, scales)


def _reward(model: Model, cut: int, i: int, weights, scales) -> Array:
    """E_{pi_-i} R_i as [*lead|1, A_i|1, tail|1]; opponents that it does not depend on are not even looked at."""
    reward, agents = model.rewards[i], model.number_of_agents
    deciding = [j for j in range(agents) if j != i and reward.shape[j] > 1]
    opened = tuple(_open(w, model, cut) if j in deciding else w for j, w in enumerate(weights))
    result = _close(marginal(reward, opened, (i,)), model, cut)
    return result if scales is None or not deciding else result * _scale(cut, deciding, scales)


def _scale(cut: int, agents: Sequence[int], scales) -> Array | float:
    return reduce(mul, [jnp.expand_dims(scales[j], cut) for j in agents], 1.0)


def _tail_gathered(moves: OwnMoves, cut: int, value: Array) -> Array:
    """V for every action of the tail agents: [*lead, tail] to [*lead, *A_tail, tail], rows contiguous."""
    lengths = [table.shape[-1] for table in moves.successors[cut:]]
    x = _gathered(moves, cut, value.reshape((*value.shape[:cut], *lengths)))
    tail = len(lengths)
    x = jnp.moveaxis(x, range(tail), range(cut, cut + tail))
    return _contiguous(x.reshape((*x.shape[: cut + tail], -1)))


def _gathered(moves: OwnMoves, first: int, value: Array) -> Array:
    """E[ V | a ] with agents `first`.. moving: [*states] to [A_first, ..., A_M, *states]."""
    agents = len(moves.successors)
    for j in reversed(range(first, agents)):
        axis = agents - 1 - j + j  # the action axes of later agents stand in front already
        value = jnp.moveaxis(_move_any(moves, j, axis, value, front=True), axis, 0)
    return value


# ------------------------------------------------------------------ own moves: one agent moves


def _move(moves: OwnMoves, j: int, a: int | Array, axis: int, value: Array) -> Array:
    """E[ V(.., x_j', ..) | x_j, a_j = a ]: agent j alone moves along an axis of its states."""
    table, chances = moves.successors[j][a], moves.probabilities[j]
    if chances is None:
        return _take(value, table[0], axis)
    chances = chances[a]
    shape = (-1, *(1,) * (value.ndim - axis - 1))
    return _sum(_take(value, table[b], axis) * chances[b].reshape(shape) for b in range(table.shape[0]))


def _move_any(moves: OwnMoves, j: int, axis: int, value: Array, *, front: bool) -> Array:
    """As `_move`, for all actions: the axis becomes two, [A_j, n_j] if `front`, else [n_j, A_j]."""
    table, chances = moves.successors[j], moves.probabilities[j]

    def oriented(x: Array) -> Array:
        return x if front else x.T

    if chances is None:
        return _take(value, oriented(table[:, 0]), axis)
    spread = (1,) * (value.ndim - axis - 1)
    terms = []
    for b in range(table.shape[1]):
        chance = oriented(chances[:, b])
        terms.append(_take(value, oriented(table[:, b]), axis) * chance.reshape(chance.shape + spread))
    return _sum(terms)


def _own_next_at(moves: OwnMoves, value: Array, place: Sequence[Array], shape: tuple[int, ...]) -> Array:
    """E[ V(x') | x, a ] at some states by flat gathers, V flat: [A_1, ..., A_M, n]."""
    agents = len(shape)
    branches = list(itertools.product(*(range(table.shape[1]) for table in moves.successors)))

    def along(j: int, table: Array) -> Array:
        """Agent j's table [A_j, n_j] at the places: [1.., A_j, ..1, n]."""
        return table[:, place[j]].reshape((1,) * j + (table.shape[0],) + (1,) * (agents - 1 - j) + (-1,))

    def term(branch: Sequence[int] | Array) -> Array:
        flat = _sum(math.prod(shape[j + 1 :]) * along(j, moves.successors[j][:, branch[j]]) for j in range(agents))
        chances = [along(j, p[:, branch[j]]) for j, p in enumerate(moves.probabilities) if p is not None]
        return reduce(mul, chances, value[flat])

    if len(branches) <= UNROLLED:
        return _sum(term(branch) for branch in branches)
    start = jnp.zeros(jax.eval_shape(term, branches[0]).shape, value.dtype)
    return lax.scan(lambda total, b: (total + term(b), None), start, np.asarray(branches))[0]


# ------------------------------------------------------------------ how XLA is told


def _stage(model: Model, function: Callable[..., T], *operands: object) -> T:
    """Apply `function` to operands that are written to memory first, once.

    XLA on a CPU fuses a cheap producer into every reader, through any number of gathers, and there computes it again
    for every element that is read; it drops optimization barriers before it does so. A conditional it cannot see
    through. This one is always true: successor numbers are not negative.
    """
    if model.number_of_states < STAGED_FROM or jax.default_backend() != "cpu":
        return function(*operands)
    sure = model.moves.successors[0].reshape(-1)[0] >= 0
    shapes = jax.eval_shape(function, *operands)

    def never(*_: object) -> T:
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    return lax.cond(sure, function, never, *operands)


def _settled(model: Model, x: Array) -> Array:
    """Contiguous, if it is large: XLA would let the first gather decide the order of the axes, and the loops'."""
    return x if model.number_of_states < STAGED_FROM else _contiguous(x)


def _contiguous(x: Array) -> Array:
    return with_layout_constraint(x, Layout(tuple(range(x.ndim))))


def _take(value: Array, indices: Array, axis: int) -> Array:
    return jnp.take(value, indices, axis=axis, mode="clip")


def _at(x: Array, axis: int, index: int | Array, *, keep: bool = False) -> Array:
    """One slice; the index may be traced."""
    if isinstance(index, int):
        return lax.index_in_dim(x, index, axis, keepdims=keep)
    return lax.dynamic_index_in_dim(x, index, axis, keepdims=keep)


def _sum(terms) -> Array:
    """Add a few arrays, unrolled: XLA makes one pass of it."""
    return reduce(add, terms)
