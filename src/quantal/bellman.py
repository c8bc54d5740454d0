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
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TypeVar

import jax
import jax.numpy as jnp
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
    if not isinstance(model.moves, OwnMoves):
        return backup(model, discount, *logit.read(rule, beta, q, model.legal))
    rows, agents = _rows(model, model.moves), tuple(range(model.number_of_agents))
    chosen = [_choose(rows, rule, i, beta[i], q[i]) for i in agents]
    weights, scales, values = zip(*chosen, strict=True)
    ahead = tuple(discount[i] * values[i] for i in agents)
    return tuple(_open(rows, x) for x in _contracted(rows, agents, weights, scales, ahead))


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


# ------------------------------------------------------------------ any dynamics


def _backup(
    model: Model, discount: Array, wanted: tuple[int, ...], policies: tuple[Array, ...], values: tuple[Array, ...]
) -> tuple[Array, ...]:
    """Q_i for the wanted agents; `values` holds theirs only."""
    ahead = tuple(discount[i] * v for i, v in zip(wanted, values, strict=True))
    if isinstance(model.moves, OwnMoves):
        rows = _rows(model, model.moves)
        weights = tuple(_close(rows, p) for p in policies)
        ahead = tuple(v.reshape((*v.shape[: rows.cut], -1)) for v in ahead)
        return tuple(_open(rows, x) for x in _contracted(rows, wanted, weights, None, ahead))
    if isinstance(model.moves, DenseMoves):
        # The matrix is the largest thing there is: read it once for all agents.
        together = model.moves.matrix @ jnp.stack(ahead, axis=-1)
        futures = [together[..., k] for k in range(len(wanted))]
        return _contracted_joint(model, wanted, policies, futures)

    def contract(policies: tuple[Array, ...], ahead: tuple[Array, ...]) -> tuple[Array, ...]:
        return _contracted_joint(model, wanted, policies, [expected_next(model.moves, v) for v in ahead])

    return _stage(model, contract, policies, ahead)


def _contracted_joint(
    model: Model, wanted: tuple[int, ...], policies: tuple[Array, ...], futures: Sequence[Array]
) -> tuple[Array, ...]:
    """Q_i [A_i, S] from discounted expected values [*A, S]."""
    return tuple(
        marginal(u, policies, (i,)) + marginal(model.rewards[i], policies, (i,))
        for i, u in zip(wanted, futures, strict=True)
    )


def _over_branches(terms: Array) -> Array:
    """Sum over the successor axis of [*A, B, n], unrolled."""
    return _sum(terms[..., b, :] for b in range(terms.shape[-2]))


# ------------------------------------------------------------------ own moves: leading axes and rows


@dataclass(frozen=True)
class _Rows:
    """A game of own moves whose first `cut` agents lead; the states of the others are one row."""

    model: Model
    moves: OwnMoves
    cut: int


def _rows(model: Model, moves: OwnMoves) -> _Rows:
    """Cut the agents in two. At least one leads (if there are two), so that no joint table is written."""
    shape = model.state_shape
    tail = 1
    while tail < len(shape) - 1 and math.prod(shape[-tail:]) < ROW:
        tail += 1
    return _Rows(model, moves, len(shape) - tail)


def _close(rows: _Rows, x: Array) -> Array:
    """[A, *states] to [*lead, A, tail]; state axes of length 1 stay so where they can."""
    cut = rows.cut
    if any(n != 1 for n in x.shape[1 + cut :]):
        x = jnp.broadcast_to(x, x.shape[: 1 + cut] + rows.model.state_shape[cut:])
    return jnp.moveaxis(x.reshape((*x.shape[: 1 + cut], -1)), 0, cut)


def _open(rows: _Rows, x: Array) -> Array:
    """[*lead, A, tail] to [A, *states]."""
    return jnp.moveaxis(x, rows.cut, 0).reshape((x.shape[rows.cut], *rows.model.state_shape))


def _choose(rows: _Rows, rule: ValueRule, i: int, beta: Array, q: Array) -> tuple[Array, Array, Array]:
    """Policies as weights [*lead, A, tail] and scales 1 / sum [*lead, tail], and values [*lead, tail], of one agent.

    `quantal.logit` in fewer passes over memory: normalised policies would be one more over the largest array.
    """
    cut, legal, q = rows.cut, _close(rows, rows.model.legal[i]), _close(rows, q)
    actions = range(q.shape[cut])
    logits = jnp.where(legal, beta * q, -jnp.inf)
    # Policies do not depend on the shift: a constant to derivatives.
    top = lax.stop_gradient(reduce(jnp.maximum, [_at(logits, cut, a) for a in actions]))
    top = _stage(rows.model, lambda x: x, top)
    weights = jnp.exp(logits - jnp.expand_dims(top, cut))
    total = _sum(_at(weights, cut, a) for a in actions)
    scale = 1 / total
    if rule == "expected":
        value = _sum(_at(weights, cut, a) * _at(q, cut, a) for a in actions) * scale
    elif rule == "soft":
        value = (top + jnp.log(total)) / beta
    else:
        legal_q = jnp.where(legal, q, -jnp.inf)
        value = reduce(jnp.maximum, [_at(legal_q, cut, a) for a in actions])
    return weights, scale, value


def _contracted(
    rows: _Rows,
    wanted: tuple[int, ...],
    weights: tuple[Array, ...],
    scales: tuple[Array, ...] | None,
    ahead: tuple[Array, ...],
) -> tuple[Array, ...]:
    """Q_i [*lead, A_i, tail] of the wanted agents.

    `weights` and `scales` (None: all 1) are policies of all agents, `ahead` the discounted values [*lead, tail] of the
    wanted ones.
    """
    # Two agents use a gathered value about five times: not worth writing it down.
    gathered = len(weights) > 2
    if gathered:
        ahead = _stage(rows.model, lambda vs: tuple(_tail_gathered(rows, v) for v in vs), ahead)

    def contract(
        weights: tuple[Array, ...], scales: tuple[Array, ...] | None, ahead: tuple[Array, ...]
    ) -> tuple[Array, ...]:
        return tuple(
            _in_order(rows, _future(rows, i, weights, scales, v, gathered) + _reward(rows, i, weights, scales))
            for i, v in zip(wanted, ahead, strict=True)
        )

    return _stage(rows.model, contract, weights, scales, ahead)


def _future(
    rows: _Rows, i: int, weights: tuple[Array, ...], scales: tuple[Array, ...] | None, value: Array, gathered: bool
) -> Array:
    """E_{pi_-i} E[ V(x') | x, a ] as [*lead, A_i, tail].

    `value` is [*lead, *A_tail, tail] if it has been gathered along the tail, else [*lead, tail].
    """
    moves, cut, counts = rows.moves, rows.cut, rows.model.action_counts
    others = [j for j in range(len(counts)) if j != i]

    def after(joint: dict[int, int | Array]) -> Array:
        """V after the opponents' joint action: [*lead, A_i, tail]."""
        x = value
        for j in reversed(range(cut, len(counts))):
            if gathered:
                x = x if j == i else _at(x, j, joint[j])
            else:
                x = _move_any(moves, j, cut, x, front=True) if j == i else _move(moves, j, joint[j], cut, x)
        for j in others:
            if j < cut:
                x = _move(moves, j, joint[j], j, x)
        return x if i >= cut else jnp.moveaxis(_move_any(moves, i, i, x, front=False), i + 1, cut)

    def descend(k: int, joint: dict[int, int | Array]) -> Array:
        if k == len(others):
            return after(joint)
        j = others[k]

        def term(a: int | Array) -> Array:
            return _at(weights[j], cut, a, keep=True) * descend(k + 1, {**joint, j: a})

        if math.prod(counts[o] for o in others[k:]) <= UNROLLED:
            return _sum(term(a) for a in range(counts[j]))
        return _scanned(term, jnp.arange(counts[j]))

    result = descend(0, {})
    return result if scales is None else _scaled(rows, result, others, scales)


def _reward(rows: _Rows, i: int, weights: tuple[Array, ...], scales: tuple[Array, ...] | None) -> Array:
    """E_{pi_-i} R_i as [*lead|1, A_i|1, tail|1]; opponents on whom it does not depend are not looked at."""
    reward = rows.model.rewards[i]
    deciding = [j for j in range(len(weights)) if j != i and reward.shape[j] > 1]
    opened = tuple(_open(rows, w) if j in deciding else w for j, w in enumerate(weights))
    result = _close(rows, marginal(reward, opened, (i,)))
    return result if scales is None else _scaled(rows, result, deciding, scales)


def _scaled(rows: _Rows, x: Array, agents: Sequence[int], scales: tuple[Array, ...]) -> Array:
    """Normalise what was weighted by these agents' policies."""
    if not agents:
        return x
    return x * jnp.expand_dims(_product(scales[j] for j in agents), rows.cut)


def _tail_gathered(rows: _Rows, value: Array) -> Array:
    """V for every action of the tail agents: [*lead, tail] to [*lead, *A_tail, tail]."""
    cut, lengths = rows.cut, rows.model.state_shape[rows.cut :]
    x = _gathered(rows.moves, cut, value.reshape((*value.shape[:cut], *lengths)))
    x = jnp.moveaxis(x, range(len(lengths)), range(cut, cut + len(lengths)))
    return _in_order(rows, x.reshape((*x.shape[: cut + len(lengths)], -1)))


def _gathered(moves: OwnMoves, first: int, value: Array) -> Array:
    """E[ V | a ] with agents from `first` on moving: [*states] to [A_first, ..., A_M, *states]."""
    last = len(moves.successors) - 1
    for j in reversed(range(first, last + 1)):
        # The action axes of the later agents stand in front already, so that axis j is number `last`.
        value = jnp.moveaxis(_move_any(moves, j, last, value, front=True), last, 0)
    return value


# ------------------------------------------------------------------ own moves: one agent moves


def _move(moves: OwnMoves, j: int, a: int | Array, axis: int, value: Array) -> Array:
    """E[ V(.., x_j', ..) | x_j, a_j = a ]: agent j alone moves along an axis of its states."""
    table, chances = moves.successors[j][a], moves.probabilities[j]
    if chances is None:
        return _take(value, table[0], axis)
    chance, spread = chances[a], (1,) * (value.ndim - axis - 1)
    return _sum(_take(value, table[b], axis) * chance[b].reshape((-1, *spread)) for b in range(table.shape[0]))


def _move_any(moves: OwnMoves, j: int, axis: int, value: Array, *, front: bool) -> Array:
    """As `_move`, for all actions: the axis becomes two, [A_j, n_j] if `front`, else [n_j, A_j]."""
    table, chances = moves.successors[j], moves.probabilities[j]

    def turned(x: Array) -> Array:
        return x if front else x.T

    if chances is None:
        return _take(value, turned(table[:, 0]), axis)
    spread = (1,) * (value.ndim - axis - 1)

    def branch(b: int) -> Array:
        chance = turned(chances[:, b])
        return _take(value, turned(table[:, b]), axis) * chance.reshape(chance.shape + spread)

    return _sum(branch(b) for b in range(table.shape[1]))


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
        return _product([value[flat], *chances])

    if len(branches) <= UNROLLED:
        return _sum(term(branch) for branch in branches)
    return _scanned(term, jnp.asarray(branches))


# ------------------------------------------------------------------ how XLA is told


def _staged(model: Model) -> bool:
    """Whether arrays are so large that it pays to tell XLA what to write to memory."""
    return model.number_of_states >= STAGED_FROM and jax.default_backend() == "cpu"


def _stage(model: Model, function: Callable[..., T], *operands: object) -> T:
    """Apply `function` to operands that are written to memory first, once.

    XLA on a CPU fuses a cheap producer into every reader, through any number of gathers, and there computes it again
    for every element that is read; it drops optimization barriers before it does so. A conditional it cannot see
    through. This one is always true: successor numbers are not negative.
    """
    moves = model.moves
    if not _staged(model) or isinstance(moves, DenseMoves):
        return function(*operands)
    table = moves.successors if isinstance(moves, JointMoves) else moves.successors[0]
    shapes = jax.eval_shape(function, *operands)

    def never(*_: object) -> T:
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)

    return lax.cond(table.reshape(-1)[0] >= 0, function, never, *operands)


def _in_order(rows: _Rows, x: Array) -> Array:
    """Axes in memory as they are written here: XLA lets the first gather decide, and loops follow the axes."""
    return with_layout_constraint(x, Layout(tuple(range(x.ndim)))) if _staged(rows.model) else x


def _take(value: Array, indices: Array, axis: int) -> Array:
    return jnp.take(value, indices, axis=axis, mode="clip")


def _at(x: Array, axis: int, index: int | Array, *, keep: bool = False) -> Array:
    """One slice; the index may be traced."""
    if isinstance(index, int):
        return lax.index_in_dim(x, index, axis, keepdims=keep)
    return lax.dynamic_index_in_dim(x, index, axis, keepdims=keep)


def _sum(terms: Iterable[Array]) -> Array:
    """Add a few arrays, unrolled: XLA makes one pass of it."""
    return reduce(jnp.add, terms)


def _product(terms: Iterable[Array]) -> Array:
    return reduce(jnp.multiply, terms)


def _scanned(term: Callable[[Array], Array], indices: Array) -> Array:
    """Sum of term(index), one after the other: the program holds one of them."""
    shape = jax.eval_shape(term, indices[0])
    start = jnp.zeros(shape.shape, shape.dtype)
    return lax.scan(lambda total, index: (total + term(index), None), start, indices)[0]
