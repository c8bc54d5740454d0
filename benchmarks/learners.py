"""Learner steps a second, all seeds together, on the grid games; beside OpenSpiel's tabular learners if they are there.

    python -m benchmarks.learners
    QUANTAL_OPENSPIEL_PYTHON=.../bin/python python -m benchmarks.learners      both, in one run

Promised: 200,000 for Q-learners, 20,000 for correlated-Q. Compiling is not counted; the fastest of a few runs is shown.
The peer lives in an environment of its own (`benchmarks/reference/time_openspiel.py` says how to make one).
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from benchmarks.timing import timed

STEPS, SEEDS, REPEATS = 4_000, 64, 4


def main() -> None:
    """Print the table."""
    import quantal as qt
    from quantal.baselines import METHODS, train

    games = {
        "grid game I, 3x3": qt.games.grid.game_one("3x3", "bounce"),
        "grid game II": qt.games.grid.game_two(),
    }
    promised = {"q-learning": 200_000, "uce-q": 20_000, "ece-q": 20_000, "rce-q": 20_000, "lce-q": 20_000}
    print(f"{STEPS} steps of {SEEDS} seeds side by side; steps a second, all seeds together")
    for name, game in games.items():
        for method, make in METHODS.items():
            if method in ("fictitious-play", "friend-q"):
                continue
            learner = make()
            seconds = timed(lambda: train(game, learner, steps=STEPS, seeds=range(SEEDS)), REPEATS)  # noqa: B023
            rate = STEPS * SEEDS / seconds.fastest
            promise = f"  (promised: {promised[method]:,})" if method in promised else ""
            print(f"{name:18s} {method:12s} {rate:12,.0f}   first call {seconds.first:.1f} s{promise}")
    python = os.environ.get("QUANTAL_OPENSPIEL_PYTHON")
    if python:
        script = Path(__file__).parent / "reference" / "time_openspiel.py"
        done = subprocess.run([python, str(script)], check=True, capture_output=True, text=True)
        for row in json.loads(done.stdout.strip().splitlines()[-1]):
            print(f"OpenSpiel {row['version']}, {row['game']}, {row['learner']}: {row['steps_per_second']:,.0f}")


if __name__ == "__main__":
    main()
