"""How a call is timed: as a fresh process meets it, then with its programs compiled."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

from quantal.precision import compiled


@dataclass(frozen=True)
class Timed:
    """Seconds of a call."""

    first: float
    """The first one: programs are interpreted."""
    compiling: float
    """The first one that compiles."""
    warm: float
    fastest: float


def timed(call: Callable[[], object], repeats: int = 5) -> Timed:
    """Time the first call, the one that compiles, and `repeats` further ones (the median is `warm`).

    Results must be on the host when `call` returns.
    """
    first = _seconds(call)
    with compiled():
        compiling = _seconds(call)
        later = [_seconds(call) for _ in range(repeats)]
    return Timed(first, compiling, statistics.median(later), min(later))


def _seconds(call: Callable[[], object]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start
