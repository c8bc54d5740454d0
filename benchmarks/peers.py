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

WHOLE = ["128x2x4/0/5", "100x3x3/0/1", "100x3x3/0/5"]
CASES = [*(f"8x2x4/{seed}/200" for seed in range(8)), *WHOLE]
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
        "compiling": seconds.compiling,
        "warm": seconds.warm,
        "residual": found[-1].residual,
        "branch": str(found[-1].branch),
    }


def parse(case: str) -> tuple[tuple[int, int, int], int, float]:
    """Read "8x2x4/0/200": states x players x actions / seed / lambda."""
    shape, seed, beta = case.split("/")
    states, players, actions = map(int, shape.split("x"))
    return (states, players, actions), int(seed), float(beta)


ONE_SOLVE = """
import quantal as qt
(states, players, actions), seed, beta = {case}
game = qt.games.random.stochastic(states, players, actions, seed=seed)
assert qt.solve(game, beta=beta, discount={discount}).converged
"""


def whole(case: str) -> float:
    """Seconds of a whole process, start to answer: imports and first call included."""
    start = perf_counter()
    subprocess.run([sys.executable, "-c", ONE_SOLVE.format(case=parse(case), discount=DISCOUNT)], check=True)
    return perf_counter() - start


def theirs(case: str, repeats: int = 1) -> tuple[dict, float] | None:
    """Time one case in the peer's environment, and the whole process; None without one."""
    python = os.environ.get("QUANTAL_SGAMESOLVER_PYTHON")
    if not python:
        return None
    script = Path(__file__).parent / "reference" / "time_sgamesolver.py"
    command = [python, str(script), "--case", case, "--settings", "default", "--repeats", str(repeats)]
    start = perf_counter()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)["cases"][0], perf_counter() - start


def main() -> None:
    """Print both tables."""
    print("Random stochastic games, discount 0.95; seconds. Peer: sgamesolver, its default settings, second solve")
    heads = ("states x players x actions / seed / beta", "first", "compile", "warm", "residual", "peer", "ratio")
    print("{:42s} {:>7s} {:>7s} {:>8s} {:>9s} {:>8s} {:>7s}".format(*heads))
    for case in CASES:
        mine, peer = ours(case), theirs(case)
        other = peer[0]["warm_median"] if peer else None
        tail = f"{other:8.3f} {other / mine['warm']:6.0f}x" if other else f"{'-':>8s} {'-':>7s}"
        row = f"{mine['first']:7.2f} {mine['compiling']:7.2f} {mine['warm']:8.4f} {mine['residual']:9.1e} {tail}"
        print(f"{case:42s} {row}")
    print("\nWhole processes, from start to answer (imports, first call; ours compiles nothing), best of two")
    for case in WHOLE:
        mine = min(whole(case) for _ in range(2))
        peers = [found[1] for found in (theirs(case, repeats=0) for _ in range(2)) if found]
        tail = f"{min(peers):8.2f} {min(peers) / mine:6.1f}x" if peers else f"{'-':>8s} {'-':>7s}"
        print(f"{case:42s} {mine:7.2f} {tail}")


if __name__ == "__main__":
    main()
