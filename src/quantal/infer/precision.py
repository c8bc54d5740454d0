"""How precisely people choose: beta of observed play, the classical use of quantal response equilibrium."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from quantal.infer.data import Data
from quantal.infer.estimate import Estimate, fit
from quantal.infer.likelihood import Likelihood, check_criterion
from quantal.infer.pose import Game, likelihood
from quantal.precision import double_precision

GUESSES = (0.1, 0.3, 1.0, 3.0, 10.0)
"""First guesses, times 1 / (how much payoffs vary): the criterion need not have one hill only."""


@double_precision
def precision(
    games: Game | Sequence[Game],
    data: Data | Sequence[Data],
    *,
    criterion: str = "likelihood",
    per_agent: bool = False,
    horizon: int | None = None,
    discount: float | Sequence[float] | np.ndarray | None = None,
    value: str = "expected",
    start: float | None = None,
    max_steps: int = 200,
    progress: Callable[[float], None] | None = None,
) -> Estimate:
    """Estimate the precision of play, of one game or of several pooled.

    Parameters
    ----------
    games
        A game (also a crowd), or a list of games.
    data
        `Trajectories`, or counts per agent (see `quantal.infer.likelihood`); a list of them for a list of games.
    criterion
        ``"likelihood"``, or ``"squared_distance"`` of observed from predicted frequencies: the mean over games of what
        their agents add up to, every place an agent was seen in counting by its share of that agent's choices.
    per_agent
        One beta per agent; agents of one name in several games share theirs.
    horizon, discount, value
        As for `quantal.solve`.
    start
        First guess; several are compared unless given.
    max_steps
        Most steps of the search.
    progress
        Called with the share done.

    Returns
    -------
    Estimate
        ``.value`` and ``.standard_error`` are numbers, or, per agent, dictionaries by ``beta of agent``.

    Raises
    ------
    ParameterError
        If a parameter cannot be used, or the data are not play of the games; names the place.
    """
    check_criterion(criterion)
    function = likelihood(
        games,
        data,
        beta=1.0 if start is None else start,
        estimate_beta="per_agent" if per_agent else "common",
        horizon=horizon,
        discount=discount,
        value=value,
    )
    first = None if start is not None else _first(function, criterion)
    return fit(function, criterion=criterion, start=first, max_steps=max_steps, single=not per_agent, progress=progress)


def _first(function: Likelihood, criterion: str) -> np.ndarray:
    """The best of a few guesses."""
    scale = 1.0 / max(_spread(problem.game) for problem in function.problems)
    sign = -1.0 if criterion == "likelihood" else 1.0
    best, least = np.ones(len(function.names)), np.inf
    for guess in GUESSES:
        p = np.full(len(function.names), guess * scale)
        found = sign * float(function.assess(p, criterion).value)
        if found < least:
            best, least = p, found
    return best


def _spread(game: Game) -> float:
    """How much an agent's reward varies, at the most."""
    return max(float(r.max() - r.min()) for r in game.rewards) or 1.0
