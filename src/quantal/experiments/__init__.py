"""The paper's experiments, done again, as records: ours beside the paper's, with reasons where they differ."""

from collections.abc import Callable

from quantal.experiments.grid import GridTable, grid_table
from quantal.experiments.learning import LearnersTable, events, learners
from quantal.experiments.published import (
    Prediction,
    PublishedGames,
    closest_beta,
    log_likelihood,
    mixed_nash,
    published_games,
)
from quantal.experiments.pursuit import (
    Figure3,
    Figure4,
    OneStep,
    PursuitScores,
    TenGames,
    figure_3,
    figure_4,
    one_step,
    pursuit_scores,
)
from quantal.experiments.records import Comparison, Reproduction

ALL: dict[str, Callable[..., Reproduction]] = {
    "fig3": figure_3,
    "fig4": figure_4,
    "one-step": one_step,
    "pursuit-scores": pursuit_scores,
    "grid-table": grid_table,
    "learners": learners,
}
"""By the names of the command line; each takes ``progress=``."""

__all__ = [
    "ALL",
    "Comparison",
    "Figure3",
    "Figure4",
    "GridTable",
    "LearnersTable",
    "OneStep",
    "Prediction",
    "PublishedGames",
    "PursuitScores",
    "Reproduction",
    "TenGames",
    "closest_beta",
    "events",
    "figure_3",
    "figure_4",
    "grid_table",
    "learners",
    "log_likelihood",
    "mixed_nash",
    "one_step",
    "published_games",
    "pursuit_scores",
]
