"""What a solve is asked for: parameters checked once, with errors that say what would be accepted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantal import logit, memory
from quantal.crowds.game import CrowdGame
from quantal.errors import ParameterError
from quantal.game import MarkovGame
from quantal.logit import ValueRule

METHODS = ("auto", "picard", "newton", "continuation")
ORDERS = ("jacobi", "paper")
DEFAULT_TOLERANCE = 1e-12
"""In payoff units, or in units of the largest payoff to go where that is below 1; more only where rounding alone makes
more (payoffs to go of several hundred, or precisions of several hundred payoffs)."""


LARGEST_COUNT = 2**31 - 2
"""Steps are counted in 32 bits."""
LARGEST_PAYOFF = 1e300
"""Differences and sums of larger ones could overflow."""


@dataclass(frozen=True)
class Request:
    """Checked parameters of a solve."""

    beta: np.ndarray
    discount: np.ndarray
    horizon: int | None
    value: ValueRule
    method: str
    damping: float
    tol: float
    max_steps: int
    order: str


def check(
    game: MarkovGame,
    *,
    beta: float | Sequence[float] | np.ndarray,
    horizon: int | None,
    discount: float | Sequence[float] | np.ndarray | None,
    value: str = "expected",
    method: str = "auto",
    damping: float = 1.0,
    tol: float | None = None,
    max_steps: int = 10_000,
    order: str = "jacobi",
) -> Request:
    """Check every parameter of a solve against a game.

    Raises
    ------
    ParameterError
        At the first parameter that cannot be used; says what was given and what is accepted.
    """
    if not isinstance(game, MarkovGame):
        raise ParameterError(f"expected a MarkovGame to solve: got {type(game).__name__}")
    rule = logit.check_value_rule(value)
    betas = precision(game, beta, rule)
    if horizon is not None:
        horizon = whole("horizon", horizon, 1, "a whole number of decisions, at least 1")
    if horizon is None and discount is None:
        if game.number_of_states > 1:
            raise ParameterError(
                "say how long the game lasts: horizon=T for T decisions (MGE-F), or discount=g with 0 <= g < 1 for "
                "play without end (MGE-I)"
            )
        discount = 0.0  # one state: a normal-form game, played once
    discounts = per_agent(game, "discount", 1.0 if discount is None else discount)
    most = "0 <= discount < 1" if horizon is None else "0 <= discount <= 1"
    inside = (discounts >= 0) & (discounts < 1 if horizon is None else discounts <= 1)
    if not inside.all():
        raise ParameterError(
            f"discount={discount}: expected {most}" + ("" if horizon else ". For an undiscounted game give horizon=")
        )
    if method not in METHODS:
        raise ParameterError(f"method={method!r}: expected one of {', '.join(map(repr, METHODS))}")
    if order not in ORDERS:
        raise ParameterError(f"order={order!r}: expected one of {', '.join(map(repr, ORDERS))}")
    weight = damping_factor(damping)
    most_steps = whole("max_steps", max_steps, 1, "a whole number, at least 1")
    if most_steps > LARGEST_COUNT:
        raise ParameterError(f"max_steps={max_steps}: expected at most {LARGEST_COUNT:,}")
    largest = payoff_bound(game, betas, discounts, horizon, rule)
    if not largest <= LARGEST_PAYOFF:
        raise ParameterError(
            f"rewards: what an agent can get adds up to as much as {largest:.1e}: expected at most "
            f"{LARGEST_PAYOFF:.0e}. Scale rewards down, and beta up by as much: play is the same"
        )
    unless_given = default_tolerance(game, betas, largest)
    accepted = tolerance(tol, unless_given)
    return Request(betas, discounts, horizon, rule, method, weight, accepted, most_steps, order)


def precision(game: MarkovGame | CrowdGame, beta: float | Sequence[float] | np.ndarray, rule: ValueRule) -> np.ndarray:
    """Beta per agent."""
    betas = per_agent(game, "beta", beta)
    if (betas < 0).any() or not np.isfinite(betas).all():
        raise ParameterError(f"beta={beta}: expected finite and >= 0 (0 is uniform play)")
    if rule == "soft" and (betas == 0).any():
        raise ParameterError(f"beta={beta}: the soft rule divides by beta: expected beta > 0, or value='expected'")
    return betas


def damping_factor(given: object) -> float:
    """Equation (14)'s alpha."""
    weight = _number(given)
    if not 0 < weight <= 1:
        raise ParameterError(f"damping={given!r}: expected 0 < damping <= 1: the weight of the new Q in (14)")
    return weight


def tolerance(given: object, unless_given: float) -> float:
    """An accepted residual."""
    accepted = unless_given if given is None else _number(given)
    if not (accepted > 0 and math.isfinite(accepted)):
        raise ParameterError(f"tol={given!r}: expected a positive number, in units of payoff")
    return accepted


def default_tolerance(game: MarkovGame, beta: np.ndarray, largest: float) -> float:
    """The residual that is accepted where none is asked for, given a bound of |Q|."""
    eps, steepest = float(np.finfo(float).eps), float(beta.max())
    asked = DEFAULT_TOLERANCE * min(1.0, largest)
    # Logits beta Q must mean something all the same.
    steep = min(rounding(game, beta, largest), 1e-3 / steepest) if steepest > 0 else 0.0
    return max(asked, 64 * eps * largest, steep, float(np.finfo(float).tiny))


def rounding(game: MarkovGame, beta: np.ndarray, largest: float) -> float:
    """About how small a residual can be told from zero, given a bound of |Q|.

    Q is known to eps |Q| at best, and policies make beta times that of it, which payoffs' spread turns into payoff.
    """
    spread = max(float(r.max() - r.min()) for r in game.rewards)
    return float(np.finfo(float).eps) * largest * max(64.0, float(beta.max()) * spread)


def whole(what: str, given: object, least: int, expected: str) -> int:
    """A whole number of at least `least`; 3.0 counts, True does not."""
    number = _number(given)
    if isinstance(given, bool) or not math.isfinite(number) or number != int(number) or number < least:
        raise ParameterError(f"{what}={given!r}: expected {expected}")
    return int(number)


def _number(given: object) -> float:
    """NaN for what is no number; every caller refuses that."""
    if isinstance(given, (bool, np.bool_)):
        return math.nan
    try:
        return float(given)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return math.nan


def check_progress(given: object) -> None:
    """Raise `ParameterError` for what cannot be called."""
    if given is not None and not callable(given):
        raise ParameterError(f"progress={given!r}: expected a function of the share done, 0 to 1, or None")


def generator(seed: object) -> np.random.Generator:
    """A random generator from a seed, or the generator itself."""
    try:
        return np.random.default_rng(seed)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ParameterError(f"seed={seed!r}: expected a whole number >= 0, or a NumPy generator") from error


def per_agent(game: MarkovGame | CrowdGame, what: str, given: float | Sequence[float] | np.ndarray) -> np.ndarray:
    """One number per agent, from one number or one per agent."""
    try:
        array = np.asarray(given)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{what}={given!r}: expected a number, or one per agent") from error
    if array.dtype.kind not in "iuf":  # not yes or no, dates, complex numbers, or integers too large for a double
        raise ParameterError(f"{what}={given!r}: expected a number, or one per agent")
    array = array.astype(np.float64)
    agents = game.number_of_agents
    if array.ndim == 0:
        array = np.full(agents, float(array))
    if array.shape != (agents,):
        raise ParameterError(
            f"{what}={given!r}: expected a number, or one per agent ({', '.join(game.agents)}): got shape {array.shape}"
        )
    if np.isnan(array).any():
        raise ParameterError(f"{what}={given!r}: expected numbers: got NaN")
    return array


def payoff_bound(
    game: MarkovGame, beta: np.ndarray, discount: np.ndarray, horizon: int | None, rule: ValueRule
) -> float:
    """A bound of |Q|: the largest reward (for the soft rule, with entropy) times the number of times it can be had."""
    largest = 0.0
    for i, reward in enumerate(game.rewards):
        step = float(np.abs(reward).max())
        if rule == "soft":
            step += math.log(game.action_counts[i]) / float(beta[i])
        if horizon is None:
            largest = max(largest, step / (1 - discount[i]))
        else:
            final = float(np.abs(game.final_rewards[i]).max())
            largest = max(largest, step * horizon + final)
    return largest


def memory_needed(game: MarkovGame, horizon: int | None) -> int:
    """Bytes of a solution (q, policy, value) and of the arrays that a solve works with."""
    states, actions = game.number_of_states, sum(game.action_counts)
    times = 1 if horizon is None else horizon
    solution = 8 * states * times * (2 * actions + game.number_of_agents)
    working = 8 * states * (8 * actions + 12 * game.number_of_agents)
    return solution + working


def check_memory(game: MarkovGame, horizon: int | None) -> None:
    """Raise `TooLargeError` if a solution would not fit, before anything is allocated."""
    states = " x ".join(map(str, game.state_shape))
    when = f", {horizon} decisions" if horizon else ""
    memory.require(
        memory_needed(game, horizon),
        f"solving this game ({states} states, {sum(game.action_counts)} actions{when})",
        "Shorten the horizon, coarsen the map, or use fewer agents",
    )
