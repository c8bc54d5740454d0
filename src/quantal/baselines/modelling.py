"""What JAL and NSCP have in common: values of joint actions, and a model of what the others do.

    EV_i(x, a_i) = sum_{a_-i} prod_{j != i} model_j(a_j | x) Q_i(x, a)
    Q_i(x, a)   <- Q_i(x, a) + rate [ r_i + discount_i max_b EV_i(x', b) - Q_i(x, a) ]

They differ in the model: counts of all that was seen, or the recent past. Everybody sees everything, so that all have
the same model of an agent.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from quantal.baselines.learned import Outcome
from quantal.baselines.q_learning import best_actions
from quantal.baselines.schedules import Clock, Exploration, PerVisit, Schedule, exploration_of, rate_at, settle
from quantal.baselines.training import Actions, Transition
from quantal.baselines.world import World, chosen
from quantal.errors import ParameterError
from quantal.game import MarkovGame


@dataclass(frozen=True)
class Counts:
    """Empirical frequencies, C(a) / sum C; uniform where nothing was seen."""

    def begin(self, legal: Array) -> Float[Array, "S A"]:
        """Nothing seen."""
        return jnp.zeros(legal.shape)

    def seen(self, row: Float[Array, "A"], action: Array, live: Array) -> Float[Array, "A"]:
        """Count one action."""
        return row.at[action].add(live)

    def read(self, row: Float[Array, "A"], legal: Array) -> Float[Array, "A"]:
        """Turn counts into probabilities."""
        total = row.sum()
        return jnp.where(total > 0, row / jnp.where(total > 0, total, 1.0), legal / legal.sum())


@dataclass(frozen=True)
class Recency:
    """Weighted by age: model <- (1 - weight) model + weight [the action seen]; uniform at first."""

    weight: float = 0.1

    def __post_init__(self) -> None:
        w = self.weight
        if isinstance(w, bool) or not isinstance(w, Real) or not 0 <= w <= 1:
            raise ParameterError(f"weight={w!r}: expected a number, 0 <= weight <= 1")

    def begin(self, legal: Array) -> Float[Array, "S A"]:
        """Uniform over what is legal."""
        return legal / legal.sum(axis=1, keepdims=True)

    def seen(self, row: Float[Array, "A"], action: Array, live: Array) -> Float[Array, "A"]:
        """Move towards the action."""
        return row + live * self.weight * ((jnp.arange(row.shape[0]) == action) - row)

    def read(self, row: Float[Array, "A"], legal: Array) -> Float[Array, "A"]:
        """As it is."""
        return row


Model: TypeAlias = Counts | Recency


class Modelled(NamedTuple):
    """Q_i(x, a) as [S, M, J], joint actions flat; models as kept, [S, A_i]."""

    q: Float[Array, "S M J"]
    models: tuple[Float[Array, "S _"], ...]
    visits: Float[Array, "S J"] | None


@dataclass(frozen=True)
class Modeller:
    """Settings of a learner that models the others; see `JAL` and `NSCP`."""

    title: str
    model: Model
    rate: Schedule | float
    exploration: Exploration | float
    initial: float = 0.0

    def __post_init__(self) -> None:
        settle(self)

    @property
    def name(self) -> str:
        """What to call it."""
        return self.title

    def check(self, game: MarkovGame) -> None:
        """Any game will do."""

    def draws(self, world: World) -> int:
        """One random number per agent."""
        return world.agents

    def begin(self, world: World) -> Modelled:
        """Return the first values and models."""
        shape = (world.states, world.agents, int(np.prod(world.counts)))
        models = tuple(self.model.begin(legal) for legal in world.legal)
        visits = jnp.zeros(shape[::2]) if isinstance(self.rate, PerVisit) else None
        return Modelled(jnp.full(shape, self.initial), models, visits)

    def expected(self, world: World, memory: Modelled, state: Array) -> tuple[Float[Array, "_"], ...]:
        """EV_i at a state, per agent; minus infinity where illegal."""
        legal = [mask[state] for mask in world.legal]
        models = [self.model.read(m[state], mask) for m, mask in zip(memory.models, legal, strict=True)]
        q = memory.q[state].reshape(-1, *world.counts)
        found = []
        for i, mask in enumerate(legal):
            own = q[i]
            for j in reversed(range(world.agents)):
                if j != i:
                    shape = (-1, *(1,) * (own.ndim - 1 - j))
                    own = (own * models[j].reshape(shape)).sum(axis=j)
            found.append(jnp.where(mask, own, -jnp.inf))
        return tuple(found)

    def act(self, world: World, memory: Modelled, state: Array, clock: Clock, numbers: Array) -> Actions:
        """Answer the models."""
        return tuple(
            chosen(exploration_of(self.exploration).behaviour(ev, legal[state].astype(float), clock), number)
            for ev, legal, number in zip(self.expected(world, memory, state), world.legal, numbers, strict=True)
        )

    def learn(self, world: World, memory: Modelled, seen: Transition, clock: Clock) -> Modelled:
        """See what the others do, then move towards reward and what follows."""
        models = tuple(
            m.at[seen.state].set(self.model.seen(m[seen.state], a, seen.live))
            for m, a in zip(memory.models, seen.actions, strict=True)
        )
        memory = memory._replace(models=models)
        joint = jnp.zeros((), int)
        for a, count in zip(seen.actions, world.counts, strict=True):
            joint = joint * count + a
        ahead = jnp.stack([ev.max() for ev in self.expected(world, memory, seen.next)])
        old = memory.q[seen.state, :, joint]
        visits = jnp.zeros(()) if memory.visits is None else memory.visits[seen.state, joint]
        target = seen.reward + world.discount * seen.going * ahead
        new = old + seen.live * rate_at(self.rate, clock, visits) * (target - old)
        return Modelled(
            q=memory.q.at[seen.state, :, joint].set(new),
            models=models,
            visits=None if memory.visits is None else memory.visits.at[seen.state, joint].add(seen.live),
        )

    def values(self, world: World, memory: Modelled) -> Float[Array, "M S"]:
        """Of the best answer to the models."""
        every = jax.vmap(lambda state: self.expected(world, memory, state))(jnp.arange(world.states))
        return jnp.where(world.terminal, 0.0, jnp.stack([ev.max(axis=1) for ev in every]))

    def read(self, world: World, memory: Modelled) -> Outcome:
        """Best answers; ties are split evenly."""
        every = jax.vmap(lambda state: self.expected(world, memory, state))(jnp.arange(world.states))
        q = memory.q.reshape(world.states, world.agents, *world.counts)
        playable = jnp.ones((world.states, *world.counts), bool)
        for i, mask in enumerate(world.legal):
            playable &= mask.reshape(world.states, *(n if j == i else 1 for j, n in enumerate(world.counts)))
        return Outcome(
            policies=tuple(best_actions(ev) for ev in every),
            values=self.values(world, memory),
            q=tuple(jnp.where(playable, q[:, i], -jnp.inf) for i in range(world.agents)),
            models=tuple(
                jax.vmap(self.model.read)(m, mask) for m, mask in zip(memory.models, world.legal, strict=True)
            ),
        )
