"""FMQ, the frequency maximum Q-value heuristic: actions look better the more often they paid the most they ever did.

    EV_i(x, a) = Q_i(x, a) + c freq(max R_i(x, a)) max R_i(x, a)

with max R the largest payment seen for an action, and freq how often it came of all times that the action was chosen.
Kapetanakis & Kudenko (2002), for repeated cooperative games: Boltzmann exploration with a temperature that cools as
1 + 499 exp(-0.006 step), learning rate 0.9, c = 10. In games of several states (ours) the payment of an action is its
reward and what follows, r_i + discount_i max_b Q_i(x', b), which is the reward where there is one state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from quantal.baselines.learned import Learned, Outcome
from quantal.baselines.q_learning import best_actions
from quantal.baselines.schedules import (
    Boltzmann,
    Clock,
    Constant,
    Exploration,
    Schedule,
    exploration_of,
    rate_at,
    settle,
)
from quantal.baselines.training import Actions, Transition, train_one
from quantal.baselines.world import World, chosen
from quantal.errors import ParameterError
from quantal.game import MarkovGame

SAME = 1e-9
"""Payments that differ by less, relatively, count as the same."""


class Maxima(NamedTuple):
    """Per agent [S, A_i]: Q, the largest payment, how often it came, how often the action was chosen."""

    q: tuple[Float[Array, "S _"], ...]
    largest: tuple[Float[Array, "S _"], ...]
    hits: tuple[Float[Array, "S _"], ...]
    tries: tuple[Float[Array, "S _"], ...]


@dataclass(frozen=True)
class FMQ:
    """Settings of FMQ.

    Attributes
    ----------
    weight
        c.
    rate, exploration, initial
        As in `quantal.baselines.QLearning`.
    """

    weight: float = 10.0
    rate: Schedule | float = Constant(0.9)
    exploration: Exploration | float = Boltzmann()
    initial: float = 0.0

    def __post_init__(self) -> None:
        w = self.weight
        if isinstance(w, bool) or not isinstance(w, Real) or not (math.isfinite(w) and w >= 0):
            raise ParameterError(f"weight={w!r}: expected a finite number >= 0")
        settle(self)

    @property
    def name(self) -> str:
        """What to call it."""
        return "FMQ"

    def check(self, game: MarkovGame) -> None:
        """Any game will do."""

    def draws(self, world: World) -> int:
        """One random number per agent."""
        return world.agents

    def begin(self, world: World) -> Maxima:
        """Return the first values."""
        zeros = tuple(jnp.zeros(legal.shape) for legal in world.legal)
        q = tuple(jnp.where(legal, self.initial, -jnp.inf) for legal in world.legal)
        return Maxima(q, tuple(x - jnp.inf for x in zeros), zeros, zeros)

    def estimates(self, memory: Maxima, i: int) -> Float[Array, "S A"]:
        """EV_i; minus infinity where illegal."""
        tried = memory.tries[i] > 0
        share = memory.hits[i] / jnp.where(tried, memory.tries[i], 1.0)
        return memory.q[i] + jnp.where(tried, self.weight * share * jnp.where(tried, memory.largest[i], 0.0), 0.0)

    def act(self, world: World, memory: Maxima, state: Array, clock: Clock, numbers: Array) -> Actions:
        """Everyone for itself."""
        chose, play = [], exploration_of(self.exploration).behaviour
        for i, (legal, number) in enumerate(zip(world.legal, numbers, strict=True)):
            here = self.estimates(
                Maxima(*(tuple(x[state][None] for x in field) for field in memory)),  # this state alone
                i,
            )[0]
            chose.append(chosen(play(here, legal[state].astype(float), clock), number))
        return tuple(chose)

    def learn(self, world: World, memory: Maxima, seen: Transition, clock: Clock) -> Maxima:
        """Move towards the payment, and note whether it was the largest."""
        q, largest, hits, tries = ([], [], [], [])
        for i, a in enumerate(seen.actions):
            cell = (seen.state, a)
            paid = seen.reward[i] + world.discount[i] * seen.going * memory.q[i][seen.next].max()
            old, most = memory.q[i][cell], memory.largest[i][cell]
            slack = SAME * (1 + jnp.abs(paid))
            more, same = paid > most + slack, jnp.abs(paid - most) <= slack
            count = jnp.where(more, 1.0, memory.hits[i][cell] + same)
            rate = rate_at(self.rate, clock, memory.tries[i][cell])
            live = seen.live > 0
            q.append(memory.q[i].at[cell].set(old + seen.live * rate * (paid - old)))
            largest.append(memory.largest[i].at[cell].set(jnp.where(live & more, paid, most)))
            hits.append(memory.hits[i].at[cell].set(jnp.where(live, count, memory.hits[i][cell])))
            tries.append(memory.tries[i].at[cell].add(seen.live))
        return Maxima(tuple(q), tuple(largest), tuple(hits), tuple(tries))

    def values(self, world: World, memory: Maxima) -> Float[Array, "M S"]:
        """The best action's."""
        return jnp.where(world.terminal, 0.0, jnp.stack([q.max(axis=1) for q in memory.q]))

    def read(self, world: World, memory: Maxima) -> Outcome:
        """The action that looks best; ties are split evenly."""
        estimates = [self.estimates(memory, i) for i in range(world.agents)]
        return Outcome(tuple(map(best_actions, estimates)), self.values(world, memory), memory.q)


def fmq(
    game: MarkovGame,
    *,
    steps: int | None = None,
    episodes: int | None = None,
    seed: int = 0,
    discount: float | Sequence[float] | None = None,
    episode_length: int | None = None,
    weight: float = FMQ.weight,
    rate: Schedule | float = FMQ.rate,
    exploration: Exploration | float = FMQ.exploration,
    initial: float = FMQ.initial,
) -> Learned:
    """Let the agents learn by FMQ.

    Parameters
    ----------
    game, steps, episodes, seed, discount, episode_length
        As in `quantal.baselines.train`, which learns with many seeds at once.
    weight, rate, exploration, initial
        As in `FMQ`.
    """
    return train_one(game, FMQ(weight, rate, exploration, initial), steps, episodes, seed, discount, episode_length)
