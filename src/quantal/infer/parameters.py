"""The parameters of an estimate: one vector p, and how it enters precisions, weights on features, and presences.

Everything that a game is played with is affine in p, x = offset + matrix p: a precision may be given, common to all, or
an agent's own, and pooled games share what has one name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float

from quantal.errors import ParameterError

SHARING = ("common", "per_agent")


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Affine:
    """x(p) = offset + matrix p."""

    offset: Float[Array, "*x"] | Float[np.ndarray, "*x"]
    matrix: Float[Array, "*x P"] | Float[np.ndarray, "*x P"]

    def at(self, p: Any) -> Any:
        """The value at p; an array of the same library."""
        return self.offset + self.matrix @ p

    def take(self, index: np.ndarray) -> Affine:
        """Rows by number."""
        return Affine(np.asarray(self.offset)[index], np.asarray(self.matrix)[index])


@dataclass(frozen=True)
class Parameter:
    """One number to be estimated."""

    name: str
    start: float
    positive: bool = False
    """Whether it is a precision: searched by its logarithm."""
    penalised: bool = False
    """Whether a prior holds it back."""


class Parameters:
    """A growing list of parameters; rows are made before it is known how many there will be."""

    def __init__(self) -> None:
        self.listed: list[Parameter] = []

    def number(self, parameter: Parameter) -> int:
        """The number of a parameter; one of that name is shared."""
        for k, known in enumerate(self.listed):
            if known.name == parameter.name:
                return k
        self.listed.append(parameter)
        return len(self.listed) - 1

    def affine(self, rows: Sequence[float | int], given: Sequence[bool]) -> Affine:
        """One row per entry: a given value, or the number of the parameter that it is."""
        offset = np.array([float(r) if fixed else 0.0 for r, fixed in zip(rows, given, strict=True)])
        matrix = np.zeros((len(rows), len(self.listed)))
        for k, (row, fixed) in enumerate(zip(rows, given, strict=True)):
            if not fixed:
                matrix[k, int(row)] = 1.0
        return Affine(offset, matrix)


def sharing(what: str, given: str | None) -> str | None:
    """How a quantity is estimated: not at all, in common, or per agent."""
    if given is not None and given not in SHARING:
        raise ParameterError(f"{what}={given!r}: expected None, {' or '.join(map(repr, SHARING))}")
    return given
