"""A Nash equilibrium of two-player stage games, many games at once.

Of pure equilibria the one with the largest sum of payoffs (of several: the first). Where there is none, the one that
the method of Lemke & Howson (1964) reaches from the first legal action of player 1. Both choices are the same for the
same payoffs, so that players who look at the same stage game choose alike.

Complementary pivoting on w = 1 - A y, 1 - B' x >= 0 in one condensed tableau: label k enters, the ratio test says which
label leaves, its complement enters next, until the first label leaves. The ratio test is made on a perturbed right-hand
side, as in `quantal.baselines.simplex`, so that degenerate games do not cycle.
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from quantal.baselines.lanes import one_lane
from quantal.baselines.simplex import PERTURBATION, PIVOT

MOST = 500
"""Pivots after which a game is given up."""


class _State(NamedTuple):
    table: Float[Array, "N NC B"]
    inside: Int[Array, "N B"]
    """Labels of the basis: k for z_k = (x, y)_k, N + k for its slack w_k."""
    outside: Int[Array, "N B"]
    enters: Int[Array, "B"]
    """Label that enters next; -1 where done."""
    pivots: Int[Array, "B"]


def nash(
    payoffs: Float[Array, "2 A O B"], own: Bool[Array, "A B"], others: Bool[Array, "O B"], needed: Bool[Array, "B"]
) -> tuple[Float[Array, "A B"], Float[Array, "O B"], Bool[Array, "B"]]:
    """Find an equilibrium of many games, lanes last.

    Parameters
    ----------
    payoffs
        Of player 1 and 2, by both actions.
    own, others
        Which actions of player 1 and player 2 are legal.
    needed
        Where an answer is wanted.

    Returns
    -------
    tuple
        Mixed actions of both, and whether they were found.
    """
    legal = own[:, None] & others[None]
    x, y, pure = _pure(payoffs, legal)
    mixed = needed & ~pure
    p, r, done = _mixed(payoffs, legal, own, mixed)
    return jnp.where(mixed, p, x), jnp.where(mixed, r, y), done | ~mixed


def _pure(payoffs: Array, legal: Array) -> tuple[Array, Array, Array]:
    rows, columns, _ = legal.shape
    q = jnp.where(legal, payoffs, -jnp.inf)
    stable = legal & (q[0] == q[0].max(axis=0)) & (q[1] == q[1].max(axis=1)[:, None])
    total = jnp.where(stable, payoffs.sum(axis=0), -jnp.inf)
    best = stable & (total == total.max(axis=(0, 1)))
    place = jnp.arange(rows * columns).reshape(rows, columns, 1)
    at = jnp.where(best, place, rows * columns).min(axis=(0, 1))
    x = (jnp.arange(rows)[:, None] == at // columns).astype(float)
    y = (jnp.arange(columns)[:, None] == at % columns).astype(float)
    return x, y, stable.any(axis=(0, 1))


def _mixed(payoffs: Array, legal: Array, own: Array, needed: Array) -> tuple[Array, Array, Array]:
    rows, columns, lanes = legal.shape
    size = rows + columns
    low = jnp.where(legal, payoffs, jnp.inf).min(axis=(1, 2))
    span = jnp.where(legal, payoffs, -jnp.inf).max(axis=(1, 2)) - low
    scaled = (payoffs - low[:, None, None]) / jnp.where(span > 0, span, 1.0)[:, None, None] + 1.0
    # What is illegal neither binds nor enters: its slack stays in the basis.
    scaled = jnp.where(legal, scaled, 0.0)
    matrix = jnp.concatenate(
        [
            jnp.concatenate([jnp.zeros((rows, rows, lanes)), scaled[0]], axis=1),
            jnp.concatenate([scaled[1].swapaxes(0, 1), jnp.zeros((columns, columns, lanes))], axis=1),
        ]
    )
    shares = 1 + np.modf((np.arange(size) + 1) * (np.sqrt(5) - 1) / 2)[0]
    bounds = jnp.stack(
        [jnp.ones((size, lanes)), jnp.broadcast_to(1 + PERTURBATION * shares[:, None], (size, lanes))], 1
    )
    first = jnp.argmax(own, axis=0)
    labels = jnp.broadcast_to(jnp.arange(size)[:, None], (size, lanes))
    state = _State(
        table=jnp.concatenate([matrix, bounds], axis=1),
        inside=labels + size,
        outside=labels,
        enters=jnp.where(needed, first, -1),
        pivots=jnp.zeros(lanes, int),
    )
    state = lax.while_loop(
        lambda s: ((s.enters >= 0) & (s.pivots < MOST)).any(), lambda s: _pivoted(s, first, size), state
    )
    z = jnp.where(state.inside[:, None] == jnp.arange(size)[None, :, None], state.table[:, size][:, None], 0.0)
    z = jnp.maximum(z.sum(axis=0), 0.0)
    x, y = z[:rows], z[rows:]
    found = (state.enters == -1) & (x.sum(axis=0) > 0) & (y.sum(axis=0) > 0)
    return x / jnp.where(found, x.sum(axis=0), 1.0), y / jnp.where(found, y.sum(axis=0), 1.0), found


def _pivoted(state: _State, first: Array, size: int) -> _State:
    table, active = state.table, state.enters >= 0
    at = jnp.argmax(state.outside == state.enters, axis=0)
    column = jnp.take_along_axis(table, at[None, None], axis=1, mode="clip")[:, 0]
    usable = column > PIVOT
    ratio = jnp.where(usable, table[:, size + 1] / jnp.where(usable, column, 1.0), jnp.inf)
    leaves = jnp.argmin(ratio, axis=0)
    stuck = ~usable.any(axis=0)
    moved = active & ~stuck
    is_row = jnp.arange(size)[:, None] == leaves
    is_column = jnp.arange(size + 2)[:, None] == at
    element = jnp.where(moved, jnp.take_along_axis(column, leaves[None], axis=0)[0], 1.0)
    row = jnp.take_along_axis(table, leaves[None, None], axis=0, mode="clip")[0]
    row = jnp.where(is_column, 1.0, row) / element
    new = jnp.where(is_row[:, None], row, jnp.where(is_column, 0.0, table) - column[:, None] * row)
    went = jnp.take_along_axis(state.inside, leaves[None], axis=0)[0]
    complement = jnp.where(went >= size, went - size, went + size)
    over = (went == first) | (went == first + size)
    return _State(
        table=jnp.where(moved, new, table),
        inside=jnp.where(moved & is_row, state.enters, state.inside),
        outside=jnp.where(moved & is_column[:size], went, state.outside),
        enters=jnp.where(active, jnp.where(stuck, -2, jnp.where(over, -1, complement)), state.enters),
        pivots=state.pivots + active,
    )


nash_one = one_lane(nash)
