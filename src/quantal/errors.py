"""What can be wrong with what the user gave us. Every message names the place, both sides, and the remedy."""

from __future__ import annotations


class QuantalError(Exception):
    """Any error that Quantal raises on purpose."""


class GameError(QuantalError, ValueError):
    """A game that is not well formed: the message names the agent, the state and the action."""


class ParameterError(QuantalError, ValueError):
    """A parameter of a solver, a simulation or an estimate that cannot be used."""


class FileError(QuantalError, ValueError):
    """A file that is torn, foreign, or of another version."""


class TooLargeError(QuantalError, MemoryError):
    """A game whose solution would not fit into memory; raised before anything is allocated."""
