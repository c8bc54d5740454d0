"""How learning rates, exploration and temperatures change while a learner learns: small, frozen, compared by value.

A schedule is called with a `Clock` and with how often what is learned now was learned before. A learner that is given a
schedule is compiled for it; two learners whose schedules are equal share the program.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple, TypeAlias

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
        if isinstance(number, bool) or not isinstance(number, Real) or not math.isfinite(number) or number < 0:
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


def schedule_of(what: str, given: object, most: float = math.inf) -> Schedule:
    """Make a schedule of a number, which stays; refuse what is none, or goes beyond `most`."""
    if isinstance(given, (Constant, Decay, Cooling, PerVisit)):
        schedule = given
    elif isinstance(given, (bool, str)) or not isinstance(given, Real):
        raise ParameterError(
            f"{what}={given!r}: expected a number, or one of Constant, Decay, Cooling and PerVisit(...)"
        )
    else:
        schedule = Constant(float(given))
    match schedule:
        case Constant():
            largest = schedule.value
        case PerVisit():
            largest = 1.0
        case _:
            largest = max(schedule.first, schedule.last)
    if largest > most:
        raise ParameterError(f"{what}={given!r}: expected at most {most:g}")
    return schedule


def rate_at(rate: Schedule | float, clock: Clock, visits: Num[Array, ""]) -> Float[Array, ""]:
    """A learner's rate now."""
    return schedule_of("rate", rate)(clock, visits)


@dataclass(frozen=True)
class Greedy:
    """On-policy: the best action, but with probability epsilon any legal one, all equally probable."""

    epsilon: Schedule | float = Decay(1.0, 0.001)

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", schedule_of("epsilon", self.epsilon, 1.0))

    def now(self, clock: Clock) -> Float[Array, ""]:
        """Epsilon."""
        return schedule_of("epsilon", self.epsilon)(clock, jnp.zeros(()))

    def mixed(self, best: Float[Array, "A"], legal: Num[Array, "A"], clock: Clock) -> Float[Array, "A"]:
        """Mix a policy with uniform play."""
        epsilon = self.now(clock)
        return (1 - epsilon) * best + epsilon * legal / legal.sum()

    def behaviour(self, q: Float[Array, "A"], legal: Num[Array, "A"], clock: Clock) -> Float[Array, "A"]:
        """Probabilities of the actions, given what they are worth; minus infinity where illegal."""
        return self.mixed(greedy(q), legal, clock)


@dataclass(frozen=True)
class Boltzmann:
    """On-policy: probabilities proportional to exp(Q / temperature)."""

    temperature: Schedule | float = Cooling(500.0, 1.0, 0.006)

    def __post_init__(self) -> None:
        schedule = schedule_of("temperature", self.temperature)
        object.__setattr__(self, "temperature", schedule)
        if isinstance(schedule, Constant) and schedule.value == 0:
            raise ParameterError("Boltzmann: temperature 0: expected it positive. For the best action take Greedy(0)")
        if isinstance(schedule, Cooling) and schedule.last == 0:
            raise ParameterError("Boltzmann: a temperature that cools to 0: expected it to stay positive, last > 0")

    def behaviour(self, q: Float[Array, "A"], legal: Num[Array, "A"], clock: Clock) -> Float[Array, "A"]:
        """Probabilities of the actions, given what they are worth; minus infinity where illegal."""
        temperature = schedule_of("temperature", self.temperature)(clock, jnp.zeros(()))
        weights = jnp.exp((q - q.max()) / temperature)
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


def exploration_of(given: object) -> Exploration:
    """Make exploration of a number, an epsilon; refuse what is none."""
    if isinstance(given, (Greedy, Boltzmann, Uniform)):
        return given
    if isinstance(given, (bool, str)) or not isinstance(given, Real):
        raise ParameterError(f"exploration={given!r}: expected Greedy(...), Boltzmann(...), Uniform(), or an epsilon")
    return Greedy(float(given))


def settle(learner: Any) -> None:
    """Turn the numbers among a new learner's settings into schedules."""
    object.__setattr__(learner, "rate", schedule_of("rate", learner.rate, 1.0))
    object.__setattr__(learner, "exploration", exploration_of(learner.exploration))
    if isinstance(learner.initial, bool) or not isinstance(learner.initial, Real) or not math.isfinite(learner.initial):
        raise ParameterError(f"initial={learner.initial!r}: expected a finite number")


def greedy(q: Float[Array, "A"]) -> Float[Array, "A"]:
    """All weight on the largest entries, evenly."""
    best = (q == q.max()).astype(q.dtype)
    return best / best.sum()
