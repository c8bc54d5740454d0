"""What agents want, from what they were seen to do (Section 6 of the paper)."""

from quantal.infer import features
from quantal.infer.estimate import Estimate, EstimateStatus, Profile, fit
from quantal.infer.features import Feature, Features
from quantal.infer.goals import Goals, goals
from quantal.infer.likelihood import Likelihood
from quantal.infer.matching import Match, advance, dual, match, soft_game
from quantal.infer.of_scene import scene_features
from quantal.infer.online import Online, online
from quantal.infer.pose import likelihood
from quantal.infer.precision import precision
from quantal.infer.rewards import rewards

__all__ = [
    "Estimate",
    "EstimateStatus",
    "Feature",
    "Features",
    "Goals",
    "Likelihood",
    "Match",
    "Online",
    "Profile",
    "advance",
    "dual",
    "features",
    "fit",
    "goals",
    "likelihood",
    "match",
    "online",
    "precision",
    "rewards",
    "scene_features",
    "soft_game",
]
