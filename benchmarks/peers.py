"""Random stochastic games, beside sgamesolver on the same arrays.

    python -m benchmarks.peers                 ours alone
    QUANTAL_SGAMESOLVER_PYTHON=.../bin/python python -m benchmarks.peers     both, in one run

The peer lives in an environment of its own (`benchmarks/reference/make_sgamesolver.py` says how to make one). Ours is
timed by the public `solve`, everything included: validation, the principal branch from beta = 0, the residual.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from benchmarks.timing import timed

CASES = [f"8x2x4/{seed}/200" for seed in range(8)] + ["128x2x4/0/5", "100x3x3/0/1", "100x3x3/0/5"]
WHOLE = "128x2x4/0/5"
DISCOUNT = 0.95


def ours(case: str, repeats: int = 5) -> dict:
    """Time one case in this process."""
    import quantal as qt

    (states, players, actions), seed, beta = parse(case)
    game = qt.games.random.stochastic(states, players, actions, seed=seed)
    found = []
    seconds = timed(lambda: found.append(qt.solve(game, beta=beta, discount=DISCOUNT)), repeats)
    return {
        "first": seconds.first,
        "warm": seconds.warm,
        "residual": found[-1].residual,
        "branch": str(found[-1].branch),
    }


def parse(case: str) -> tuple[tuple[int, int, int], int, float]:
    """Read "8x2x4/0/200": states x players x actions / seed / lambda."""
    shape, seed, beta = case.split("/")
    states, players, actions = map(int, shape.split("x"))
    return (states, players, actions), int(seed), float(beta)


def whole(case: str) -> float:
    """Seconds of a whole process, start to answer: imports and compilation included."""
    code = f"from benchmarks.peers import ours; ours({case!r}, repeats=0)"
    start = perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return perf_counter() - start


def theirs(case: str) -> dict | None:
    """Time one case in the peer's environment; None without one."""
    python = os.environ.get("QUANTAL_SGAMESOLVER_PYTHON")
    if not python:
        return None
    script = Path(__file__).parent / "reference" / "time_sgamesolver.py"
    command = [python, str(script), "--case", case, "--settings", "default", "--repeats", "2"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["cases"][0]


def main() -> None:
    """Print the table."""
    print("Random stochastic games, discount 0.95; seconds. sgamesolver: default settings, second solve of a process.")
    heads = ("states x players x actions / seed / beta", "first", "warm", "residual", "peer", "ratio")
    print("{:42s} {:>7s} {:>8s} {:>9s} {:>8s} {:>7s}".format(*heads))
    for case in CASES:
        mine, peer = ours(case), theirs(case)
        other = peer["warm_median"] if peer else None
        tail = f"{other:8.3f} {other / mine['warm']:6.0f}x" if other else f"{'-':>8s} {'-':>7s}"
        print(f"{case:42s} {mine['first']:7.2f} {mine['warm']:8.4f} {mine['residual']:9.1e} {tail}")
    seconds = min(whole(WHOLE) for _ in range(2))
    print(f"whole process, {WHOLE}: {seconds:.2f} s, imports and compilation included")


if __name__ == "__main__":
    main()
