"""Games that people played, and what a common precision predicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantal.experiments.records import Progress
from quantal.game import MarkovGame
from quantal.games.experiments import Experiment, selten_chmura_2008
from quantal.solve import solve


@dataclass(frozen=True, eq=False)
class Prediction:
    """One game of the experiment: how often the first action of each role was, and should be, chosen.

    Attributes
    ----------
    name
        Of the game.
    observed, predicted, nash
        (row: up, column: left).
    observations
        Choices per role.
    converged
        Whether the solve did.
    """

    name: str
    observed: tuple[float, float]
    predicted: tuple[float, float]
    nash: tuple[float, float]
    observations: int
    converged: bool

    @property
    def squared_distance(self) -> float:
        """Squared distance of the prediction from what was observed."""
        return sum((a - b) ** 2 for a, b in zip(self.observed, self.predicted, strict=True))

    @property
    def nash_squared_distance(self) -> float:
        """Squared distance of the Nash equilibrium from what was observed."""
        return sum((a - b) ** 2 for a, b in zip(self.observed, self.nash, strict=True))


@dataclass(frozen=True, kw_only=True, eq=False)
class PublishedGames:
    """The twelve games of Selten & Chmura (2008) at one precision for all.

    Attributes
    ----------
    beta
        The precision.
    games
        One prediction per game.
    source
        Where the observations are from.
    """

    beta: float
    games: tuple[Prediction, ...]
    source: str

    @property
    def mean_squared_distance(self) -> float:
        """Mean over the games, each counting once."""
        return float(np.mean([g.squared_distance for g in self.games]))

    @property
    def nash_mean_squared_distance(self) -> float:
        """The same for the Nash equilibria."""
        return float(np.mean([g.nash_squared_distance for g in self.games]))

    @property
    def converged(self) -> bool:
        """Whether every solve did."""
        return all(g.converged for g in self.games)


# ---------------------------------------------------------------------- a published experiment


def published_games(beta: float = 1.05, *, rounds: str = "all", progress: Progress | None = None) -> PublishedGames:
    """Logit equilibria of the twelve 2x2 games of Selten & Chmura (2008) beside what people played.

    Parameters
    ----------
    beta
        One precision for all games and roles; 1.05 is the published estimate.
    rounds
        ``"all"`` 200 rounds, or the ``"last 100"``.
    progress
        Called with the share done.
    """
    published = selten_chmura_2008(rounds)
    predictions: list[Prediction] = []
    for experiment in published:
        solution = solve(experiment.game, beta=beta, discount=0.0)
        row, column = (float(solution.policy[i][0, 0]) for i in range(2))
        seen = tuple(float(frequencies[0]) for frequencies in experiment.observed)
        predictions.append(
            Prediction(
                experiment.name,
                (seen[0], seen[1]),
                (row, column),
                mixed_nash(experiment.game),
                experiment.observations,
                solution.converged,
            )
        )
        if progress is not None:
            progress(len(predictions) / len(published))
    return PublishedGames(beta=beta, games=tuple(predictions), source=published[0].source)


def closest_beta(rounds: str = "all") -> float:
    """One precision for all twelve games, with the least mean squared distance from what was observed."""
    from scipy.optimize import minimize_scalar  # late: takes a while, and only this needs it

    def distance(beta: float) -> float:
        return published_games(beta, rounds=rounds).mean_squared_distance

    found: Any = minimize_scalar(distance, bounds=(0.2, 5.0), method="bounded", options={"xatol": 1e-6})
    return float(found.x)


def log_likelihood(beta: float, published: Sequence[Experiment]) -> float:
    """Log-probability of all choices, each role's drawn from its logit equilibrium policy."""
    total = 0.0
    for experiment in published:
        logs = solve(experiment.game, beta=beta, discount=0.0).log_policy
        total += sum(float(counts @ logs[i][0]) for i, counts in enumerate(experiment.counts))
    return total


def mixed_nash(game: MarkovGame) -> tuple[float, float]:
    """(up, left) of the completely mixed Nash equilibrium of a 2x2 game: each makes the other indifferent."""
    row, column = (payoffs[0] for payoffs in game.rewards)
    left = (row[1, 1] - row[0, 1]) / (row[0, 0] - row[0, 1] - row[1, 0] + row[1, 1])
    up = (column[1, 1] - column[1, 0]) / (column[0, 0] - column[0, 1] - column[1, 0] + column[1, 1])
    return float(up), float(left)
