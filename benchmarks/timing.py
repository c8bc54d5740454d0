"""How a call is timed: first call apart (it compiles), then the median of warm ones."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter


@dataclass(frozen=True)
class Timed:
    """Seconds of a call."""

    first: float
    warm: float
    fastest: float


def timed(call: Callable[[], object], repeats: int = 5) -> Timed:
    """Time the first call, then `repeats` further ones. Results must be on the host when `call` returns."""
    seconds = []
    for _ in range(repeats + 1):
        start = perf_counter()
        call()
        seconds.append(perf_counter() - start)
    later = seconds[1:] or seconds
    return Timed(seconds[0], statistics.median(later), min(later))
