r"""Many small linear programs at once, inside compiled code: what a stage game of a learner asks for at every step.

    maximise  c_1 . x, then c_2 . x, ... (lexicographically)     subject to  A x <= b, x >= 0,     b >= 0

by the simplex method on condensed tableaux, *lanes* (independent programs of one shape) along the last axis, in
lockstep: every lane that is not done makes one pivot at a time. Since b >= 0 the origin is a vertex to start from, and
there is no first phase. The entering column has the largest gain in the first objective that is not at its best yet;
columns that would cost an objective at its best never enter again. The leaving row is found on a slightly perturbed
right-hand side, so that degenerate programs (those of correlated equilibria have b = 0 but for one row) do not cycle,
and has the largest pivot of those that bind within a slack. The answer is read from the true b at the same basis, or
from the perturbed one where rounding makes that more exact.

Coefficients that are nearly zero, but not quite, make pivots that blow rounding up. Where a lane's answer shows it, the
programs are solved again in twofold precision (`quantal.baselines.twofold`), without any slack: then violations stay
within the perturbation. That takes many times as long, and happens in one of a hundred thousand stage games of a
learner.

Dantzig's method; Chvatal (1983), Linear Programming, chapters 2, 3 and 5. The tests hold it to SciPy's HiGHS.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from quantal.baselines.twofold import less_product, quotient

GAIN = 1e-11
"""A reduced cost below this is zero; programs come scaled to about 1."""
PIVOT = 1e-10
"""Smallest element that a column may pivot on."""
PERTURBATION = 1e-10
SLACK = 5e-11
"""By how much a basic variable may fall below zero for the sake of a larger pivot."""
FREE = 60
"""Pivots that a program has with the slack."""
EXACT = 1e-13
"""A vertex that violates constraints by less is taken as it is."""
FEASIBLE = 5e-10
"""By how much an answer may violate constraints: more than the perturbation can do."""
LEAST = 1e-20
"""Smallest element that is pivoted on in twofold precision."""


class Optimum(NamedTuple):
    """Vertices that are optimal, one per lane."""

    x: Float[Array, "K B"]
    """The optimal point."""
    prices: Float[Array, "R B"]
    """Dual values of the constraints under the first objective."""
    value: Float[Array, "L B"]
    """The objectives."""
    pivots: Int[Array, "B"]
    """How many it took."""
    done: Bool[Array, "B"]
    """False where `most` pivots were not enough."""


class _Goal(NamedTuple):
    enters: Int[Array, "B"]
    """Column that enters next; -1 where done."""
    best: Int[Array, "B"]
    """How many objectives are at their best."""
    free: Bool[Array, "K B"]
    """Columns that cost these nothing."""


class _State(NamedTuple):
    table: Float[Array, "P RL KC B"]
    """Doubles (P = 1) or twofold numbers (P = 2)."""
    inside: Int[Array, "R B"]
    outside: Int[Array, "K B"]
    pivots: Int[Array, "B"]
    goal: _Goal


def maximise(
    objectives: Float[Array, "L K B"], matrix: Float[Array, "R K B"], bounds: Float[Array, "R B"], most: int = 500
) -> Optimum:
    """Solve every lane.

    Parameters
    ----------
    objectives
        c, the most important first.
    matrix, bounds
        A and b >= 0.
    most
        Pivots after which a lane is given up.
    """
    lanes = matrix.shape[2]
    found, off = _solved(objectives, matrix, bounds, most, 1, jnp.ones(lanes, bool))

    def inexact(state: tuple[Optimum, Array, Array]) -> Array:
        return state[2].any()

    def again(state: tuple[Optimum, Array, Array]) -> tuple[Optimum, Array, Array]:
        found, off, wanted = state
        exact, rest = _solved(objectives, matrix, bounds, most, 2, wanted)
        found = jax.tree.map(lambda new, old: jnp.where(wanted, new, old), exact, found)
        return found, jnp.where(wanted, rest, off), jnp.zeros(lanes, bool)

    # A loop of one turn or none: where all is well, nobody waits.
    found, off, _ = lax.while_loop(inexact, again, (found, off, ~found.done | (off > FEASIBLE)))
    return found._replace(done=found.done & (off <= FEASIBLE))


def _solved(
    objectives: Float[Array, "L K B"],
    matrix: Float[Array, "R K B"],
    bounds: Float[Array, "R B"],
    most: int,
    parts: int,
    wanted: Bool[Array, "B"],
) -> tuple[Optimum, Float[Array, "B"]]:
    """Solve the lanes that are wanted, in doubles or in twofold precision; say by how much constraints are violated."""
    rows, columns, lanes = matrix.shape
    count = objectives.shape[0]
    shares = 1 + np.modf((np.arange(rows) + 1) * (np.sqrt(5) - 1) / 2)[0]  # spread evenly, no two alike
    perturbed = bounds + PERTURBATION * shares[:, None]
    nothing = jnp.zeros((count, 2, lanes))
    plain = jnp.concatenate(
        [
            jnp.concatenate([matrix, jnp.stack([bounds, perturbed], axis=1)], axis=1),
            jnp.concatenate([-objectives, nothing], axis=1),
        ]
    )
    goal = _Goal(jnp.full(lanes, -1), jnp.where(wanted, 0, count), jnp.ones((columns, lanes), bool))
    state = _State(
        table=jnp.concatenate([plain[None], jnp.zeros((parts - 1, *plain.shape))]),
        inside=jnp.broadcast_to(jnp.arange(columns, columns + rows)[:, None], (rows, lanes)),
        outside=jnp.broadcast_to(jnp.arange(columns)[:, None], (columns, lanes)),
        pivots=jnp.zeros(lanes, int),
        goal=_next(plain, rows, columns, goal, jnp.asarray(GAIN)),
    )

    def unfinished(state: _State) -> Array:
        return ((state.goal.enters >= 0) & (state.pivots < most)).any()

    def pivot(state: _State) -> _State:
        return _pivoted(state, rows, columns)

    state = lax.while_loop(unfinished, pivot, state)
    points = [_point(state, rows, columns, k) for k in (columns, columns + 1)]
    violations = [((matrix * x).sum(axis=1) - bounds).max(axis=0) for x in points]
    # Of the vertex and its perturbed twin, the one that violates the constraints less.
    true = violations[0] <= jnp.maximum(violations[1], EXACT)
    x, off = jnp.where(true, points[0], points[1]), jnp.where(true, violations[0], violations[1])
    slack = jnp.arange(columns, columns + rows)[:, None, None]
    prices = jnp.where(state.outside[None] == slack, state.table[0, rows, :columns][None], 0.0).sum(axis=1)
    return Optimum(x, prices, state.table[0, rows:, columns], state.pivots, state.goal.enters < 0), off


def _point(state: _State, rows: int, columns: int, side: int) -> Float[Array, "K B"]:
    names = jnp.arange(columns)[None, :, None]
    x = jnp.where(state.inside[:, None] == names, state.table[0, :rows, side][:, None], 0.0).sum(axis=0)
    return jnp.maximum(x, 0.0)


def _next(table: Float[Array, "RL KC B"], rows: int, columns: int, goal: _Goal, least: Float[Array, "*B"]) -> _Goal:
    """The column with the largest gain in the first objective that any column still improves."""
    enters, best, free = jnp.full(table.shape[2], -1), goal.best, goal.free
    for k, row in enumerate(range(rows, table.shape[0])):
        current = (best == k) & (enters < 0)
        costs = table[row, :columns]
        top, at = _largest(jnp.where(free, -costs, -jnp.inf))
        gains = top > least
        enters = jnp.where(current & gains, at, enters)
        over = current & ~gains
        best = best + over
        free = free & ~(over & (costs > least))
    return _Goal(enters, best, free)


def _largest(x: Float[Array, "n B"]) -> tuple[Float[Array, "B"], Int[Array, "B"]]:
    """Maximum over the first axis and the first place where it is; in two plain reductions, which XLA vectorises."""
    top = x.max(axis=0)
    place = jnp.arange(x.shape[0])[:, None]
    return top, jnp.where(x == top, place, x.shape[0]).min(axis=0)


def _pivoted(state: _State, rows: int, columns: int) -> _State:
    table, active = state.table, state.goal.enters >= 0
    twice = table.shape[0] == 2
    enters = jnp.maximum(state.goal.enters, 0)
    is_column = jnp.arange(columns + 2)[:, None] == enters
    column = jnp.take_along_axis(table, enters[None, None, None], axis=2, mode="clip")[:, :, 0]
    usable = column[0, :rows] > (LEAST if twice else PIVOT)
    pivots = jnp.where(usable, column[0, :rows], 1.0)
    # The slack can make a program go round in circles; without it, it cannot.
    slack = 0.0 if twice else jnp.where(state.pivots < FREE, SLACK, 0.0)
    right = table[0, :rows, columns + 1]
    reach = jnp.where(usable, (right + slack) / pivots, jnp.inf).min(axis=0)
    # Of the rows that bind within the slack, the largest pivot: small ones blow rounding up (Harris 1973).
    binding = usable & (right / pivots <= reach)
    largest, leaves = _largest(jnp.where(binding, column[0, :rows], -jnp.inf))
    active = active & (largest > 0)  # unbounded programs do not arise: give up
    # What rounding alone lets enter again and again is no gain.
    gain = jnp.asarray(GAIN) if twice else GAIN * 10.0 ** (state.pivots // FREE)
    is_row = jnp.arange(table.shape[1])[:, None] == leaves
    row = jnp.take_along_axis(table, leaves[None, None, None], axis=1, mode="clip")[:, 0]
    one = jnp.zeros((table.shape[0], 1, 1)).at[0].set(1.0)
    element = jnp.where(is_row, column, 0.0).sum(axis=1)
    element = jnp.where(active, element, one[:, 0])
    row = jnp.where(is_column, one, row)
    row = quotient(row, element[:, None]) if twice else row / element
    rest, times = jnp.where(is_column, 0.0, table), (column[:, :, None], row[:, None])
    new = jnp.where(is_row[:, None], row[:, None], less_product(rest, *times) if twice else rest - times[0] * times[1])
    table = jnp.where(active, new, table)
    # A lane that is given up has nothing more to improve.
    goal = state.goal._replace(best=jnp.where(active, state.goal.best, table.shape[1] - rows))
    came = jnp.where(is_column[:columns], state.outside, 0).sum(axis=0)
    went = jnp.where(is_row[:rows], state.inside, 0).sum(axis=0)
    return _State(
        table=table,
        inside=jnp.where(active & is_row[:rows], came, state.inside),
        outside=jnp.where(active & is_column[:columns], went, state.outside),
        pivots=state.pivots + active,
        goal=_next(table[0], rows, columns, goal, gain),
    )
