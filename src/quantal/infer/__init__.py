"""What agents want, from what they were seen to do (Section 6 of the paper)."""

from quantal.infer import features
from quantal.infer.estimate import Estimate, EstimateStatus, Profile, fit
from quantal.infer.features import Feature, Features
from quantal.infer.likelihood import Likelihood
from quantal.infer.matching import Match, advance, dual, match, soft_game
from quantal.infer.pose import likelihood
from quantal.infer.precision import precision
from quantal.infer.rewards import rewards

__all__ = [
    "Estimate",
    "EstimateStatus",
    "Feature",
    "Features",
    "Likelihood",
    "Match",
    "Profile",
    "advance",
    "dual",
    "features",
    "fit",
    "likelihood",
    "match",
    "precision",
    "rewards",
    "soft_game",
]
