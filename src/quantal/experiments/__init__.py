"""The paper's experiments, done again, as records: ours beside the paper's, with reasons where they differ."""

from collections.abc import Callable

from quantal.experiments.driving import DrivingScene, driving_scene
from quantal.experiments.grid import GridTable, grid_table
from quantal.experiments.inference import CausalEntropy, OnlineInference, online_inference, theorem_4
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
from quantal.experiments.rabbit_hole import RabbitHole, rabbit_hole
from quantal.experiments.records import Claim, Comparison, Reproduction
from quantal.experiments.theorems import Theorems, theorems

ALL: dict[str, Callable[..., Reproduction]] = {
    "theorems": theorems,
    "pursuit-scores": pursuit_scores,
    "fig3": figure_3,
    "fig4": figure_4,
    "one-step": one_step,
    "rabbit-hole": rabbit_hole,
    "grid-table": grid_table,
    "learners": learners,
    "driving": driving_scene,
    "theorem-4": theorem_4,
    "online-inference": online_inference,
}
"""By the names of the command line, in the order of the paper; each takes ``progress=``."""

__all__ = [
    "ALL",
    "CausalEntropy",
    "Claim",
    "Comparison",
    "DrivingScene",
    "Figure3",
    "Figure4",
    "GridTable",
    "LearnersTable",
    "OneStep",
    "OnlineInference",
    "Prediction",
    "PublishedGames",
    "PursuitScores",
    "RabbitHole",
    "Reproduction",
    "TenGames",
    "Theorems",
    "closest_beta",
    "driving_scene",
    "events",
    "figure_3",
    "figure_4",
    "grid_table",
    "learners",
    "log_likelihood",
    "mixed_nash",
    "one_step",
    "online_inference",
    "published_games",
    "pursuit_scores",
    "rabbit_hole",
    "theorem_4",
    "theorems",
]
