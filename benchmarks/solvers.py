"""The paper's own game, whole paths, and the command line, against what they promise."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from time import perf_counter

import numpy as np

from benchmarks.timing import timed


def pursuit() -> None:
    """Three-player pursuit, T = 3, every stage game to 1e-12: at most 0.5 s warm."""
    import quantal as qt

    game = qt.games.pursuit.three_players()
    for value in ("expected", "greedy", "soft"):
        found = []
        seconds = timed(lambda: found.append(qt.solve(game, beta=1.0, horizon=3, value=value)))  # noqa: B023
        print(
            f"three-player pursuit, T = 3, {value:8s}: first {seconds.first:.2f} s, warm {seconds.warm:.3f} s, "
            f"residual {found[-1].residual:.1e} (promised: 0.5 s)"
        )


def paths() -> None:
    """`solve_path` with 100 betas against one solve at the largest: at most 10 times."""
    import quantal as qt

    cases = [
        ("three-player pursuit, T = 3", qt.games.pursuit.three_players(), {"horizon": 3}, 1.0),
        ("8 x 2 x 4, seed 0, discount 0.95", qt.games.random.stochastic(8, 2, 4, seed=0), {"discount": 0.95}, 200.0),
        ("8 x 2 x 4, seed 2 (folds)", qt.games.random.stochastic(8, 2, 4, seed=2), {"discount": 0.95}, 200.0),
        ("64 x 2 x 4, discount 0.95", qt.games.random.stochastic(64, 2, 4, seed=0), {"discount": 0.95}, 5.0),
        ("Selten-Chmura game 3", qt.games.experiments.selten_chmura_2008()[2].game, {}, 2.0),
    ]
    for name, game, how, top in cases:
        betas = np.linspace(0, top, 101)[1:]
        one = timed(lambda: qt.solve(game, beta=top, **how))  # noqa: B023
        many = timed(lambda: qt.solve_path(game, betas, **how), repeats=3)  # noqa: B023
        print(
            f"path of 100 betas, {name}: one solve {one.warm * 1e3:.1f} ms, path {many.warm * 1e3:.0f} ms: "
            f"{many.warm / one.warm:.1f} times (promised: 10)"
        )


def command_line() -> None:
    """`quantal solve pursuit-three`, whole process: at most 6 s the first time ever, 3 s after."""
    with tempfile.TemporaryDirectory() as cache:
        seconds = []
        for _ in range(3):
            start = perf_counter()
            subprocess.run(
                [sys.executable, "-m", "quantal", "solve", "pursuit-three"],
                check=True,
                capture_output=True,
                env={**os.environ, "QUANTAL_CACHE_DIR": cache},
            )
            seconds.append(perf_counter() - start)
    print(
        f"quantal solve pursuit-three: first run ever {seconds[0]:.1f} s (promised: 6 s), then "
        f"{min(seconds[1:]):.1f} s (promised: 3 s)"
    )


def main() -> None:
    """Print all three."""
    pursuit()
    paths()
    command_line()


if __name__ == "__main__":
    main()
