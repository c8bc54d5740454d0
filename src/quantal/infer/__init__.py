"""What agents want, from what they were seen to do (Section 6 of the paper)."""

from quantal.infer import features
from quantal.infer.features import Feature, Features

__all__ = ["Feature", "Features", "features"]
