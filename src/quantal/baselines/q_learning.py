"""Independent Q-learning: every agent learns what its own actions are worth, as if it were alone.

    Q_i(x, a_i) <- Q_i(x, a_i) + rate [ r_i + discount_i max_b Q_i(x', b) - Q_i(x, a_i) ]

Watkins & Dayan (1992); the on-policy learner of Greenwald & Hall (2003) and of the table in Figure 5 of Etesami &
Straehle (2020). The others are part of the environment and learn too, so that nothing is proved to converge but for one
agent, where the limit is the optimum of its decision problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from quantal.baselines.learned import Learned, Outcome
from quantal.baselines.schedules import (
    Clock,
    Decay,
    Exploration,
    Greedy,
    PerVisit,
    Schedule,
    exploration_of,
    rate_at,
    settle,
)
from quantal.baselines.training import Actions, Transition, train_one
from quantal.baselines.world import World, chosen
from quantal.game import MarkovGame


class OwnValues(NamedTuple):
    """Q_i(x, a_i) per agent, minus infinity where illegal; and how often each was learned."""

    q: tuple[Float[Array, "S _"], ...]
    visits: tuple[Float[Array, "S _"], ...] | None


@dataclass(frozen=True)
class QLearning:
    """Settings of independent Q-learning.

    Attributes
    ----------
    rate
        Learning rate; falls from 1 to 0.001.
    exploration
        How actions are chosen while learning: epsilon-greedy, epsilon falling from 1 to 0.001.
    initial
        What every action is thought to be worth at first.
    """

    rate: Schedule | float = Decay(1.0, 0.001)
    exploration: Exploration | float = Greedy()
    initial: float = 0.0

    def __post_init__(self) -> None:
        settle(self)

    @property
    def name(self) -> str:
        """What to call it."""
        return "Q-learning"

    def check(self, game: MarkovGame) -> None:
        """Any game will do."""

    def draws(self, world: World) -> int:
        """One random number per agent."""
        return world.agents

    def begin(self, world: World) -> OwnValues:
        """Return the first values."""
        q = tuple(jnp.where(legal, self.initial, -jnp.inf) for legal in world.legal)
        counted = isinstance(self.rate, PerVisit)
        return OwnValues(q, tuple(jnp.zeros(x.shape) for x in q) if counted else None)

    def act(self, world: World, memory: OwnValues, state: Array, clock: Clock, numbers: Array) -> Actions:
        """Everyone for itself."""
        return tuple(
            chosen(exploration_of(self.exploration).behaviour(q[state], legal[state].astype(float), clock), number)
            for q, legal, number in zip(memory.q, world.legal, numbers, strict=True)
        )

    def learn(self, world: World, memory: OwnValues, seen: Transition, clock: Clock) -> OwnValues:
        """Move towards reward and what follows."""
        learned = []
        for i, (q, a) in enumerate(zip(memory.q, seen.actions, strict=True)):
            visits = jnp.zeros(()) if memory.visits is None else memory.visits[i][seen.state, a]
            target = seen.reward[i] + world.discount[i] * seen.going * q[seen.next].max()
            old = q[seen.state, a]
            rate = seen.live * rate_at(self.rate, clock, visits)
            learned.append(q.at[seen.state, a].set(old + rate * (target - old)))
        visits = memory.visits and tuple(
            n.at[seen.state, a].add(seen.live) for n, a in zip(memory.visits, seen.actions, strict=True)
        )
        return OwnValues(tuple(learned), visits)

    def values(self, world: World, memory: OwnValues) -> Float[Array, "M S"]:
        """The best action's."""
        return jnp.where(world.terminal, 0.0, jnp.stack([q.max(axis=1) for q in memory.q]))

    def read(self, world: World, memory: OwnValues) -> Outcome:
        """Greedy play; ties are split evenly."""
        return Outcome(tuple(best_actions(q) for q in memory.q), self.values(world, memory), memory.q)


def best_actions(q: Float[Array, "S A"]) -> Float[Array, "S A"]:
    """All weight on the best actions of every state, evenly."""
    best = (q == q.max(axis=1, keepdims=True)).astype(q.dtype)
    return best / best.sum(axis=1, keepdims=True)


def q_learning(
    game: MarkovGame,
    *,
    steps: int | None = None,
    episodes: int | None = None,
    seed: int = 0,
    discount: float | Sequence[float] | None = None,
    episode_length: int | None = None,
    rate: Schedule | float = QLearning.rate,
    exploration: Exploration | float = QLearning.exploration,
    initial: float = QLearning.initial,
) -> Learned:
    """Let every agent learn by independent Q-learning.

    Parameters
    ----------
    game, steps, episodes, seed, discount, episode_length
        As in `quantal.baselines.train`, which learns with many seeds at once.
    rate, exploration, initial
        As in `QLearning`.
    """
    learner = QLearning(rate, exploration, initial)
    return train_one(game, learner, steps, episodes, seed, discount, episode_length)
