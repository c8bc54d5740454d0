"""What agents want, from what they were seen to do (Section 6 of the paper)."""

from quantal.infer import features
from quantal.infer.features import Feature, Features
from quantal.infer.matching import Match, advance, dual, match, soft_game

__all__ = ["Feature", "Features", "Match", "advance", "dual", "features", "match", "soft_game"]
