"""Other people's answers to the same games, to compare with."""

from quantal.baselines.fictitious_forecast import fictitious_forecast

__all__ = ["fictitious_forecast"]
