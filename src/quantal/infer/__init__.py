"""What agents want, from what they were seen to do (Section 6 of the paper)."""

from quantal.infer import features
from quantal.infer.features import Feature, Features
from quantal.infer.goals import Goals, goals
from quantal.infer.matching import Match, advance, dual, match, soft_game
from quantal.infer.of_scene import scene_features
from quantal.infer.online import Online, online

__all__ = [
    "Feature",
    "Features",
    "Goals",
    "Match",
    "Online",
    "advance",
    "dual",
    "features",
    "goals",
    "match",
    "online",
    "scene_features",
    "soft_game",
]
