"""How learning rates, exploration and temperatures change while a learner learns: small, frozen, compared by value.

A schedule is called with a `Clock` and with how often what is learned now was learned before. A learner that is given a
schedule is compiled for it; two learners whose schedules are equal share the program.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from quantal.errors import ParameterError


class Clock(NamedTuple):
    """How far a run is."""

    step: Num[Array, ""]
    """Steps made so far."""
    share: Float[Array, ""]
    """Of all steps (or episodes) of the run, 0 to 1."""


def _check(**numbers: float) -> None:
    for name, number in numbers.items():
        if isinstance(number, bool) or not math.isfinite(number) or number < 0:
            raise ParameterError(f"{name}={number!r}: expected a finite number >= 0")


@dataclass(frozen=True)
class Constant:
    """The same value all the time."""

    value: float

    def __post_init__(self) -> None:
        _check(value=self.value)

    def __call__(self, clock: Clock, visits: Num[Array, ""]) -> Float[Array, ""]:
        """Return the value now."""
        return jnp.asarray(self.value)


@dataclass(frozen=True)
class Decay:
    """From `first` to `last` over the run, by the same factor at every step.

    Learning rates and epsilons that fall to 0.001 are those of Greenwald & Hall (2003), who do not say how they fall.
    """

    first: float
    last: float

    def __post_init__(self) -> None:
        _check(first=self.first, last=self.last)
        if not (self.first > 0 and self.last > 0):
            raise ParameterError(f"Decay({self.first}, {self.last}): expected positive numbers: it falls by a factor")

    def __call__(self, clock: Clock, visits: Num[Array, ""]) -> Float[Array, ""]:
        """Return the value now."""
        return self.first * (self.last / self.first) ** clock.share


@dataclass(frozen=True)
class Cooling:
    """`last` + (first - last) exp(-rate * step): the temperature of Kapetanakis & Kudenko (2002)."""

    first: float
    last: float
    rate: float

    def __post_init__(self) -> None:
        _check(first=self.first, last=self.last, rate=self.rate)

    def __call__(self, clock: Clock, visits: Num[Array, ""]) -> Float[Array, ""]:
        """Return the value now."""
        return self.last + (self.first - self.last) * jnp.exp(-self.rate * clock.step)


@dataclass(frozen=True)
class PerVisit:
    """1 / (1 + visits)^power: with 0.5 < power <= 1 what Q-learning's convergence theorem asks of a learning rate."""

    power: float = 1.0

    def __post_init__(self) -> None:
        _check(power=self.power)

    def __call__(self, clock: Clock, visits: Num[Array, ""]) -> Float[Array, ""]:
        """Return the value now."""
        return (1.0 + visits) ** -self.power


Schedule: TypeAlias = Constant | Decay | Cooling | PerVisit


@dataclass(frozen=True)
class Greedy:
    """On-policy: the best action, but with probability epsilon any legal one, all equally probable."""

    epsilon: Schedule = Decay(1.0, 0.001)

    def mixed(self, best: Float[Array, "A"], legal: Num[Array, "A"], clock: Clock) -> Float[Array, "A"]:
        """Mix a policy with uniform play."""
        epsilon = self.epsilon(clock, jnp.zeros(()))
        return (1 - epsilon) * best + epsilon * legal / legal.sum()

    def behaviour(self, q: Float[Array, "A"], legal: Num[Array, "A"], clock: Clock) -> Float[Array, "A"]:
        """Probabilities of the actions, given what they are worth; minus infinity where illegal."""
        return self.mixed(greedy(q), legal, clock)


@dataclass(frozen=True)
class Boltzmann:
    """On-policy: probabilities proportional to exp(Q / temperature)."""

    temperature: Schedule = Cooling(500.0, 1.0, 0.006)

    def behaviour(self, q: Float[Array, "A"], legal: Num[Array, "A"], clock: Clock) -> Float[Array, "A"]:
        """Probabilities of the actions, given what they are worth; minus infinity where illegal."""
        weights = jnp.exp((q - q.max()) / self.temperature(clock, jnp.zeros(())))
        return weights / weights.sum()


@dataclass(frozen=True)
class Uniform:
    """Off-policy: any legal action, all equally probable, whatever has been learned."""

    def mixed(self, best: Float[Array, "A"], legal: Num[Array, "A"], clock: Clock) -> Float[Array, "A"]:
        """Uniform play."""
        return legal / legal.sum()

    def behaviour(self, q: Float[Array, "A"], legal: Num[Array, "A"], clock: Clock) -> Float[Array, "A"]:
        """Uniform play."""
        return legal / legal.sum()


Exploration: TypeAlias = Greedy | Boltzmann | Uniform


def greedy(q: Float[Array, "A"]) -> Float[Array, "A"]:
    """All weight on the largest entries, evenly."""
    best = (q == q.max()).astype(q.dtype)
    return best / best.sum()
