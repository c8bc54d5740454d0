"""What correlated-Q, Nash-Q and friend-or-foe have in common: values of joint actions, and a rule for stage games.

    Q_i(x, a) <- Q_i(x, a) + rate [ r_i + discount_i V_i(x') - Q_i(x, a) ],   V_i(x) = rule_i(Q_1(x, .), ..., Q_M(x, .))

The rule says what is played in a stage game and what that is worth. After each step it is applied to the one stage game
that has changed, and only if it has: V is never stale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from quantal.baselines.learned import Outcome
from quantal.baselines.schedules import (
    Boltzmann,
    Clock,
    Decay,
    Exploration,
    Greedy,
    PerVisit,
    Schedule,
    Uniform,
    rate_at,
    settle,
)
from quantal.baselines.training import Actions, Transition
from quantal.baselines.world import World, chosen
from quantal.errors import ParameterError
from quantal.game import MarkovGame


class Chosen(NamedTuple):
    """What a rule makes of a stage game."""

    values: Float[Array, "M"]
    policies: tuple[Float[Array, "_"], ...]
    joint: Float[Array, "N *A"] | None
    """Distributions of joint actions, if a common signal is followed: one for all, or each agent's own."""
    done: Bool[Array, ""]
    """False where no answer was found: the old one stays."""


@runtime_checkable
class StageRule(Protocol):
    """A rule for stage games; hashable."""

    @property
    def name(self) -> str:
        """Of the learner that uses it."""
        ...

    def check(self, game: MarkovGame) -> None:
        """Raise `ParameterError` if it is not for this game."""
        ...

    def __call__(self, payoffs: Array, legal: tuple[Array, ...], needed: Array) -> Chosen:
        """Choose: payoffs [M, *A], legal actions per agent [A_i]; nothing need be done where not `needed`."""
        ...


def check_rule(rule: object) -> None:
    """Raise `ParameterError` for what is no rule."""
    if isinstance(rule, type) or not isinstance(rule, StageRule):
        raise ParameterError(
            f"rule={rule!r}: expected a rule for stage games: Correlated('u'), Nash(), Friend() or Foe()"
        )


class JointValues(NamedTuple):
    """Q_i(x, a) as [S, M, J], joint actions flat, 0 where illegal; what the rule makes of it."""

    q: Float[Array, "S M J"]
    values: Float[Array, "S M"]
    play: Chosen | None
    """Per state; kept only where it is followed while learning."""
    visits: Float[Array, "S J"] | None


@dataclass(frozen=True)
class JointQ:
    """Settings of a learner of joint-action values.

    Attributes
    ----------
    rule
        What is played in a stage game, and what it is worth.
    rate
        Learning rate; falls from 1 to 0.001.
    exploration
        `Uniform` (off-policy), or `Greedy`: follow the rule but with probability epsilon.
    initial
        What every joint action is thought to be worth at first.
    """

    rule: StageRule
    rate: Schedule | float = Decay(1.0, 0.001)
    exploration: Exploration | float = Uniform()
    initial: float = 0.0

    def __post_init__(self) -> None:
        check_rule(self.rule)
        settle(self)

    @property
    def name(self) -> str:
        """What to call it."""
        return self.rule.name

    def check(self, game: MarkovGame) -> None:
        """Ask the rule."""
        self.rule.check(game)
        if isinstance(self.exploration, Boltzmann):
            raise ParameterError(
                f"exploration: {self.name} values joint actions, so that no agent's own actions have values to weigh: "
                "expected Uniform() or Greedy(...): got Boltzmann(...)"
            )

    def draws(self, world: World) -> int:
        """One for the common signal, two for every agent."""
        return 1 + 2 * world.agents

    def begin(self, world: World) -> JointValues:
        """Return the first values, and if it is followed what the rule makes of them."""
        shape = (world.states, world.agents, int(np.prod(world.counts)))
        q = jnp.full(shape, self.initial)
        play = None
        if not isinstance(self.exploration, Uniform):
            play = jax.vmap(lambda row, *legal: self._made(world, row, legal, jnp.asarray(True)))(q, *world.legal)
        return JointValues(
            q=q,
            values=jnp.full(shape[:2], self.initial),  # whatever is played, where everything is worth the same
            play=play,
            visits=jnp.zeros(shape[::2]) if isinstance(self.rate, PerVisit) else None,
        )

    def _made(self, world: World, row: Array, legal: tuple[Array, ...], needed: Array) -> Chosen:
        return self.rule(row.reshape(-1, *world.counts), legal, needed)

    def act(self, world: World, memory: JointValues, state: Array, clock: Clock, numbers: Array) -> Actions:
        """Follow the rule, or explore; every agent for itself."""
        legal = [mask[state].astype(float) for mask in world.legal]
        own, coins = numbers[1 : 1 + world.agents], numbers[1 + world.agents :]
        explored = [chosen(mask, number) for mask, number in zip(legal, own, strict=True)]
        if memory.play is None or not isinstance(self.exploration, Greedy):
            return tuple(explored)
        joint = memory.play.joint
        if joint is not None and joint.shape[1] == 1:
            flat = chosen(joint[state].reshape(-1), numbers[0])
            followed = jnp.unravel_index(flat, world.counts)
        else:
            followed = [chosen(policy[state], n) for policy, n in zip(memory.play.policies, own, strict=True)]
        epsilon = self.exploration.now(clock)
        return tuple(
            jnp.where(coin < epsilon, wild, tame) for coin, wild, tame in zip(coins, explored, followed, strict=True)
        )

    def learn(self, world: World, memory: JointValues, seen: Transition, clock: Clock) -> JointValues:
        """Move towards reward and what follows, then look at the stage game anew."""
        joint = jnp.zeros((), int)
        for a, count in zip(seen.actions, world.counts, strict=True):
            joint = joint * count + a
        row = memory.q[seen.state]
        old = row[:, joint]
        visits = jnp.zeros(()) if memory.visits is None else memory.visits[seen.state, joint]
        target = seen.reward + world.discount * seen.going * memory.values[seen.next]
        new = old + seen.live * rate_at(self.rate, clock, visits) * (target - old)
        row = row.at[:, joint].set(new)
        legal = tuple(mask[seen.state] for mask in world.legal)
        made = self._made(world, row, legal, (new != old).any())
        use = (new != old).any() & made.done

        def kept(array: Array, value: Array) -> Array:
            return array.at[seen.state].set(jnp.where(use, value, array[seen.state]))

        return JointValues(
            q=memory.q.at[seen.state].set(row),
            values=kept(memory.values, made.values),
            play=memory.play and jax.tree.map(kept, memory.play, made),
            visits=None if memory.visits is None else memory.visits.at[seen.state, joint].add(seen.live),
        )

    def values(self, world: World, memory: JointValues) -> Float[Array, "M S"]:
        """What the rule says."""
        return jnp.where(world.terminal, 0.0, memory.values.T)

    def read(self, world: World, memory: JointValues) -> Outcome:
        """What the rule plays in every stage game."""
        made = jax.vmap(lambda row, *legal: self._made(world, row, legal, jnp.asarray(True)))(memory.q, *world.legal)
        return stage_outcome(world, memory.q, made, self.values(world, memory))


def stage_outcome(world: World, q: Float[Array, "S M J"], made: Any, values: Float[Array, "M S"]) -> Outcome:
    """Lay out what a rule makes of every stage game."""
    shape = (world.states, world.agents, *world.counts)
    playable = jnp.ones((world.states, *world.counts), bool)
    for i, mask in enumerate(world.legal):
        playable &= mask.reshape(world.states, *(n if j == i else 1 for j, n in enumerate(world.counts)))
    tables = jnp.where(playable[:, None], q.reshape(shape), -jnp.inf)
    return Outcome(
        policies=made.policies,
        values=values,
        q=tuple(tables[:, i] for i in range(world.agents)),
        joint=None if made.joint is None else jnp.moveaxis(made.joint, 1, 0),
    )
