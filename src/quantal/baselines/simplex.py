r"""Many small linear programs at once, inside compiled code: what a stage game of a learner asks for at every step.

    maximise  c_1 . x, then c_2 . x, ... (lexicographically)     subject to  A x <= b, x >= 0,     b >= 0

by the simplex method on condensed tableaux, *lanes* (independent programs of one shape) along the last axis, in
lockstep: every lane that is not done makes one pivot at a time. Since b >= 0 the origin is a vertex to start from, and
there is no first phase. The entering column has the largest gain in the first objective that it does not leave as it
is; the leaving row is found on a slightly perturbed right-hand side, so that degenerate programs (those of correlated
equilibria have b = 0 but for one row) do not cycle, and has the largest pivot of those that bind within a slack. The
answer is read from the true b at the same basis, or from the perturbed one where rounding makes that more exact.

Dantzig's method; Chvatal (1983), Linear Programming, chapters 2, 3 and 5. The tests hold it to SciPy's HiGHS.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

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


class _State(NamedTuple):
    table: Float[Array, "RL KC B"]
    inside: Int[Array, "R B"]
    outside: Int[Array, "K B"]
    pivots: Int[Array, "B"]
    enters: Int[Array, "B"]
    """Column that enters next; -1 where done."""


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
    rows, columns, lanes = matrix.shape
    count = objectives.shape[0]
    shares = 1 + np.modf((np.arange(rows) + 1) * (np.sqrt(5) - 1) / 2)[0]  # spread evenly, no two alike
    perturbed = bounds + PERTURBATION * shares[:, None]
    nothing = jnp.zeros((count, 2, lanes))
    table = jnp.concatenate(
        [
            jnp.concatenate([matrix, jnp.stack([bounds, perturbed], axis=1)], axis=1),
            jnp.concatenate([-objectives, nothing], axis=1),
        ]
    )
    state = _State(
        table=table,
        inside=jnp.broadcast_to(jnp.arange(columns, columns + rows)[:, None], (rows, lanes)),
        outside=jnp.broadcast_to(jnp.arange(columns)[:, None], (columns, lanes)),
        pivots=jnp.zeros(lanes, int),
        enters=_entering(table, rows, columns, jnp.asarray(GAIN)),
    )

    def unfinished(state: _State) -> Array:
        return ((state.enters >= 0) & (state.pivots < most)).any()

    def pivot(state: _State) -> _State:
        return _pivoted(state, rows, columns)

    state = lax.while_loop(unfinished, pivot, state)
    x = _closer(matrix, bounds, [_point(state, rows, columns, k) for k in (columns, columns + 1)])
    slack = jnp.arange(columns, columns + rows)[:, None, None]
    prices = jnp.where(state.outside[None] == slack, state.table[rows, :columns][None], 0.0).sum(axis=1)
    return Optimum(x, prices, state.table[rows:, columns], state.pivots, state.enters < 0)


def _point(state: _State, rows: int, columns: int, side: int) -> Float[Array, "K B"]:
    names = jnp.arange(columns)[None, :, None]
    x = jnp.where(state.inside[:, None] == names, state.table[:rows, side][:, None], 0.0).sum(axis=0)
    return jnp.maximum(x, 0.0)


def _closer(
    matrix: Float[Array, "R K B"], bounds: Float[Array, "R B"], points: list[Float[Array, "K B"]]
) -> Float[Array, "K B"]:
    """Of the vertex and its perturbed twin, the one that violates the constraints less."""
    off = [((matrix * x).sum(axis=1) - bounds).max(axis=0) for x in points]
    return jnp.where(off[0] <= jnp.maximum(off[1], EXACT), points[0], points[1])


def _entering(table: Float[Array, "RL KC B"], rows: int, columns: int, least: Float[Array, "*B"]) -> Int[Array, "B"]:
    """The column with the largest gain in the first objective that any column improves without costing earlier ones."""
    free = jnp.ones((columns, table.shape[2]), bool)
    best = jnp.full(table.shape[2], -1)
    for row in range(rows, table.shape[0]):
        gain = jnp.where(free, -table[row, :columns], -jnp.inf)
        top, at = _largest(gain)
        take = (best < 0) & (top > least)
        best = jnp.where(take, at, best)
        free = free & (jnp.abs(table[row, :columns]) <= least)
    return best


def _largest(x: Float[Array, "n B"]) -> tuple[Float[Array, "B"], Int[Array, "B"]]:
    """Maximum over the first axis and the first place where it is; in two plain reductions, which XLA vectorises."""
    top = x.max(axis=0)
    place = jnp.arange(x.shape[0])[:, None]
    return top, jnp.where(x == top, place, x.shape[0]).min(axis=0)


def _pivoted(state: _State, rows: int, columns: int) -> _State:
    table, active = state.table, state.enters >= 0
    enters = jnp.maximum(state.enters, 0)
    is_column = jnp.arange(columns + 2)[:, None] == enters
    column = jnp.take_along_axis(table, enters[None, None], axis=1, mode="clip")[:, 0]
    usable = column[:rows] > PIVOT
    pivots = jnp.where(usable, column[:rows], 1.0)
    # The slack can make a program go round in circles; without it, it cannot.
    slack = jnp.where(state.pivots < FREE, SLACK, 0.0)
    right = table[:rows, columns + 1]
    reach = jnp.where(usable, (right + slack) / pivots, jnp.inf).min(axis=0)
    # Of the rows that bind within the slack, the largest pivot: small ones blow rounding up (Harris 1973).
    binding = usable & (right / pivots <= reach)
    largest, leaves = _largest(jnp.where(binding, column[:rows], -jnp.inf))
    active = active & (largest > 0)  # unbounded programs do not arise: give up
    # What rounding alone lets enter again and again is no gain.
    gain = GAIN * 10.0 ** (state.pivots // FREE)
    is_row = jnp.arange(table.shape[0])[:, None] == leaves
    row = jnp.take_along_axis(table, leaves[None, None], axis=0, mode="clip")[0]
    element = jnp.where(is_row, column, 0.0).sum(axis=0)
    element = jnp.where(active, element, 1.0)
    row = jnp.where(is_column, 1.0, row) / element
    new = jnp.where(is_row[:, None], row, jnp.where(is_column, 0.0, table) - column[:, None] * row)
    table = jnp.where(active, new, table)
    came = jnp.where(is_column[:columns], state.outside, 0).sum(axis=0)
    went = jnp.where(is_row[:rows], state.inside, 0).sum(axis=0)
    return _State(
        table=table,
        inside=jnp.where(active & is_row[:rows], came, state.inside),
        outside=jnp.where(active & is_column[:columns], went, state.outside),
        pivots=state.pivots + active,
        enters=jnp.where(active, _entering(table, rows, columns, gain), -1),
    )
