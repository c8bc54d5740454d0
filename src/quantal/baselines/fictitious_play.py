"""Fictitious play: everybody answers how often the others have chosen what, so far.

In a game of one state, round k (Brown 1951; Robinson 1951):

    a_i = argmax over a of E_{frequencies of -i}[ R_i ]
    frequencies_i <- frequencies_i + ([a_i] - frequencies_i) / k

In a Markov game (ours, in the manner of Vrieze & Tijs 1982) the same at every state at once, with payoffs that go on
with the value of one's best answer:

    Q_i(x, a_i) = E_{frequencies_-i}[ R_i(x, a) + discount_i sum_x' P(x' | x, a) V_i(x') ],       V_i(x) <- max_a
    Q_i(x, a)

Values that follow more slowly than frequencies, 1 / (k log k) (Sayin, Parise & Ozdaglar 2022), are what convergence is
proved for in zero-sum games; they are too slow to be of use (off by 0.3 after 20,000 rounds where ours are by 0.004).

The game is known and nothing is random: of equally good answers the first is taken. In games of one state frequencies
converge to an equilibrium where interests are opposed or common, but not everywhere. What is played in the end is the
frequencies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from quantal.baselines.learned import Learned, Outcome, learned_from, settled_at
from quantal.baselines.training import CHECKPOINTS, check_game, learning_discount, run_length
from quantal.bellman import backup
from quantal.game import MarkovGame
from quantal.layout import Model, model_of, to_public
from quantal.precision import double_precision


@dataclass(frozen=True)
class FictitiousPlay:
    """What a record says about how it was learned."""

    @property
    def name(self) -> str:
        """What to call it."""
        return "fictitious play"


@double_precision
def fictitious_play(
    game: MarkovGame, *, steps: int = 10_000, discount: float | Sequence[float] | None = None
) -> Learned:
    """Let all agents play fictitiously on the known game.

    Parameters
    ----------
    game
        What is played.
    steps
        Rounds; in each everyone answers at every state.
    discount
        A number below 1, or one per agent. 0.9 unless given; 0 in a game of one state.

    Returns
    -------
    Learned
        `policy` and `models` are the frequencies; `value` is V, the best answer's.
    """
    check_game(game)
    rounds = run_length("steps", steps)
    discounts = learning_discount(game, discount)
    began = perf_counter()
    model, gamma = model_of(game), jnp.asarray(discounts)
    policies = tuple(jnp.broadcast_to(m / m.sum(axis=0), (m.shape[0], *model.state_shape)) for m in model.legal)
    values = tuple(jnp.zeros(model.state_shape) for _ in policies)
    curve, edges = [np.zeros(len(discounts))], [0]
    start = game.start.reshape(-1)
    for point in range(1, CHECKPOINTS + 1):
        end = rounds * point // CHECKPOINTS
        if end == edges[-1]:
            continue
        policies, values = _play(model, gamma, policies, values, jnp.asarray(edges[-1]), jnp.asarray(end))
        edges.append(end)
        curve.append(np.array([start @ np.asarray(v).reshape(-1) for v in values]))
    q = backup(model, gamma, policies, values)
    path = np.stack(curve)

    def public(arrays: Sequence[Array]) -> tuple[Array, ...]:
        return tuple(jnp.asarray(to_public(np.asarray(x), (game.number_of_states,))) for x in arrays)

    masks = [jnp.broadcast_to(m, x.shape) for m, x in zip(model.legal, q, strict=True)]
    frequencies = public(policies)
    return learned_from(
        game,
        FictitiousPlay(),
        Outcome(
            policies=frequencies,
            values=jnp.stack([v.reshape(-1) for v in values]),
            q=public([jnp.where(m, x, -jnp.inf) for m, x in zip(masks, q, strict=True)]),
            models=frequencies,
        ),
        discount=tuple(map(float, discounts)),
        seed=None,
        curve=path,
        steps=np.array(edges),
        episodes=np.zeros(len(edges), dtype=int),
        visited=np.ones(game.number_of_states, dtype=bool),
        settled=settled_at(path),
        seconds=perf_counter() - began,
    )


@jax.jit
def _play(
    model: Model,
    discount: Float[Array, "M"],
    policies: tuple[Array, ...],
    values: tuple[Array, ...],
    first: Int[Array, ""],
    last: Int[Array, ""],
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    def turn(
        k: Array, state: tuple[tuple[Array, ...], tuple[Array, ...]]
    ) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        policies, values = state
        q = backup(model, discount, policies, values)
        played, worth = [], []
        for mask, own, row in zip(model.legal, policies, q, strict=True):
            row = jnp.where(mask, row, -jnp.inf)
            answer = jnp.arange(row.shape[0]).reshape(-1, *(1,) * (row.ndim - 1)) == jnp.argmax(row, axis=0)
            played.append(own + (answer - own) / (k + 1))
            worth.append(row.max(axis=0))
        return tuple(played), tuple(worth)

    return lax.fori_loop(first, last, turn, (policies, values))
