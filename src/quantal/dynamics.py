"""How the joint state moves: the transition kernel P(x' | x, a) of a Markov game.

Two kinds are enough (DESIGN: "data model"):

* `Independent`: every agent moves its own coordinate, x = (x_1, ..., x_M), and
  P(x' | x, a) = prod_j P_j(x_j' | x_j, a_j). Only the agents' own tables are kept; the joint table,
  which has prod_j n_j A_j B_j entries, is never built.
* `Coupled`: any joint kernel, as a padded sparse list of successors. States are numbered in C order
  over the state axes; padding is a successor (any state) with probability 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from quantal.errors import GameError

PROBABILITY_TOLERANCE = 1e-9
"""How far a row of probabilities may miss 1: rounding of decimal input, not modelling slack."""


@dataclass(frozen=True, eq=False, init=False)
class Independent:
    """Every agent moves its own coordinate.

    Attributes
    ----------
    successors
        One integer array (n_j, A_j, B_j) per agent: where j may arrive from x_j with a_j. The last
        axis may be left out where every move is certain.
    probabilities
        One array (n_j, A_j, B_j) per agent, summing to one over the last axis; left out for moves
        that are certain (then every B_j must be 1).
    """

    successors: tuple[np.ndarray, ...]
    probabilities: tuple[np.ndarray, ...]

    def __init__(self, successors: Sequence[ArrayLike], probabilities: Sequence[ArrayLike] | None = None) -> None:
        if not isinstance(successors, (Sequence, np.ndarray)):
            raise GameError(f"successors: expected one table per agent: got {type(successors).__name__}")
        tables = tuple(_table(t, f"successors[{j}]") for j, t in enumerate(successors))
        tables = tuple(table[..., None] if table.ndim == 2 else table for table in tables)
        if probabilities is None:
            chances = tuple(_certain(table, f"successors[{j}]") for j, table in enumerate(tables))
        else:
            chances = tuple(_table(t, f"probabilities[{j}]", np.float64) for j, t in enumerate(probabilities))
            chances = tuple(table[..., None] if table.ndim == 2 else table for table in chances)
        object.__setattr__(self, "successors", tables)
        object.__setattr__(self, "probabilities", chances)

    @property
    def deterministic(self) -> bool:
        """Whether every move has one certain successor."""
        return all(table.shape[-1] == 1 for table in self.successors)


@dataclass(frozen=True, eq=False, init=False)
class Coupled:
    """Any joint kernel, as a padded sparse list of successors.

    Attributes
    ----------
    successors
        Integer array (*states, A_1, ..., A_M, B) of successor state numbers (C order over the state
        axes).
    probabilities
        Array of the same shape, summing to one over the last axis; left out for moves that are
        certain (then B must be 1).
    """

    successors: np.ndarray
    probabilities: np.ndarray

    def __init__(self, successors: ArrayLike, probabilities: ArrayLike | None = None) -> None:
        table = _table(successors, "successors")
        chances = (
            _certain(table, "successors")
            if probabilities is None
            else _table(probabilities, "probabilities", np.float64)
        )
        object.__setattr__(self, "successors", table)
        object.__setattr__(self, "probabilities", chances)

    @staticmethod
    def from_dense(transitions: ArrayLike, number_of_states: int) -> Coupled:
        """Pack P(x' | x, a) of shape (*states, A_1..A_M, S) into the padded sparse form.

        Only as many successors are kept as the busiest row has, so that sparse games stay small.
        """
        dense = _table(transitions, "transitions", np.float64)
        if dense.shape[-1:] != (number_of_states,):
            raise GameError(
                f"transitions: expected the last axis to be over the {number_of_states} successor "
                f"states: got shape {dense.shape}. Bring that axis to the end"
            )
        used = dense != 0
        width = max(1, int(used.sum(axis=-1).max(initial=0)))
        if width == number_of_states:
            successors = np.broadcast_to(np.arange(number_of_states, dtype=np.int32), dense.shape).copy()
            return Coupled(successors, dense)
        # A stable sort puts the used successors first, in the order of their numbers.
        successors = np.argsort(~used, axis=-1, kind="stable")[..., :width].astype(np.int32)
        return Coupled(successors, np.take_along_axis(dense, successors, axis=-1))


Dynamics = Independent | Coupled


def _table(array: ArrayLike, what: str, kind: type | None = None) -> np.ndarray:
    try:
        return np.asarray(array, dtype=kind)
    except (TypeError, ValueError) as error:
        raise GameError(
            f"{what}: expected an array of numbers: got {type(array).__name__} ({error}). "
            "Pad short rows with probability 0"
        ) from error


def _certain(successors: np.ndarray, what: str) -> np.ndarray:
    if successors.shape[-1:] != (1,):
        raise GameError(
            f"{what}: expected one successor per row (a last axis of length 1) where no "
            f"probabilities are given: got shape {successors.shape}. Give the probabilities"
        )
    return np.ones(successors.shape)


def check_rows(
    successors: np.ndarray,
    probabilities: np.ndarray,
    number_of_states: int,
    matters: np.ndarray,
    what: str,
    where: Callable[[tuple[int, ...]], str],
    remedy: str,
) -> None:
    """Raise `GameError` at the first row that is not a distribution over existing states.

    Parameters
    ----------
    successors, probabilities
        Arrays (*rows, B).
    number_of_states
        Successors must lie in 0..number_of_states-1.
    matters
        Boolean, broadcastable to (*rows,): rows that legal play can reach. Others may hold
        anything.
    what
        What to call the whole table.
    where
        Function from a row's index to the words that name it.
    remedy
        What the user should do; ends the message.
    """
    if not np.issubdtype(successors.dtype, np.integer):
        raise GameError(
            f"{what}: expected successors to be integers (state numbers): got dtype "
            f"{successors.dtype}. Convert them, for example with .astype(int)"
        )
    matters = np.broadcast_to(matters, successors.shape[:-1])

    def first(found: np.ndarray | np.bool_) -> tuple[int, ...] | None:
        bad = found & matters
        return tuple(int(i) for i in np.unravel_index(int(bad.argmax()), bad.shape)) if bad.any() else None

    beyond = (successors < 0) | (successors >= number_of_states)
    if (row := first(beyond.any(axis=-1))) is not None:
        culprit = int(successors[row][beyond[row]][0])
        raise GameError(
            f"{where(row)}: successor {culprit} is out of range: expected 0..{number_of_states - 1}. {remedy}"
        )
    infinite = ~np.isfinite(probabilities)
    if (row := first(infinite.any(axis=-1))) is not None:
        raise GameError(
            f"{where(row)}: got the probability {probabilities[row][infinite[row]][0]}: expected a "
            f"finite number >= 0. {remedy}"
        )
    negative = probabilities < 0
    if (row := first(negative.any(axis=-1))) is not None:
        raise GameError(
            f"{where(row)}: got the negative probability {probabilities[row].min()}: expected >= 0. {remedy}"
        )
    with np.errstate(invalid="ignore", over="ignore"):  # rows that do not matter may hold anything
        total = probabilities.sum(axis=-1)
        wrong = np.abs(total - 1) > PROBABILITY_TOLERANCE
    if (row := first(wrong)) is not None:
        raise GameError(
            f"{where(row)}: the probabilities of the successors sum to {float(total[row])!r}: expected 1. {remedy}"
        )
