"""How actions are chosen in play, and numbers drawn: `sampled` or `most_probable`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from quantal.errors import ParameterError

Play = Literal["sampled", "most_probable"]

TIE = 1e-9
"""Actions within this relative distance of the most probable one count as equally probable."""


def check_play(play: str) -> Play:
    """Return the way to play; `ParameterError` names the two there are."""
    if play not in get_args(Play):
        raise ParameterError(f"play={play!r}: expected one of {', '.join(map(repr, get_args(Play)))}")
    return play  # type: ignore[return-value]


def most_probable(policy: Float[np.ndarray, "*s A"]) -> Float[np.ndarray, "*s A"]:
    """Put all weight on the most probable action of every state; ties are split evenly.

    Parameters
    ----------
    policy
        Public layout, actions last.
    """
    best = policy >= policy.max(axis=-1, keepdims=True) * (1 - TIE)
    return best / best.sum(axis=-1, keepdims=True)


def choose(table: np.ndarray, row: np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Draw k with probability table[row, k], `row` counting over all axes but the last."""
    count = table.shape[-1]
    flat, base = table.reshape(-1), row * count
    total = flat.take(base)
    below = []
    for k in range(1, count):
        below.append(total)
        total = total + flat.take(base + k)
    # uniform < 1, so threshold < total even after rounding: what has probability 0 is never chosen.
    threshold = uniform * total
    chosen = np.zeros(row.shape, dtype=np.intp)
    for edge in below:
        chosen += threshold >= edge
    return chosen


def successor(table: np.ndarray, chances: np.ndarray, row: np.ndarray, supply: Iterator[np.ndarray]) -> np.ndarray:
    """Draw where rows of a table (.., B) lead; a random number each is taken only where B is above 1."""
    width = chances.shape[-1]
    if width > 1:
        branch = choose(chances, row, next(supply))
        row = row * width + branch
    return table.reshape(-1).take(row).astype(np.intp)
