"""Time sgamesolver on its own random games; prints JSON.

    Q_p(s, a) = E_{pi_-p(.|s)} [ u[s, p, a] + delta[p] * sum_s' phi[s, a, s'] V_p(s') ] =: T(Q)
    pi_p      = softmax(lambda Q_p),   V_p(s) = sum_a pi_p(a|s) Q_p(s, a)

Run by an interpreter that has sgamesolver (`make_sgamesolver.py` says how to make one); a benchmark
finds it in an environment variable:

    $QUANTAL_SGAMESOLVER_PYTHON benchmarks/reference/time_sgamesolver.py
    $QUANTAL_SGAMESOLVER_PYTHON benchmarks/reference/time_sgamesolver.py --case 8x2x4/0/200

- A case is states x players x actions / seed / lambda.
- `build_seconds` is the construction of the game, `first_seconds` its first solve in this process.
- `warm_seconds` and `warm_cpu_seconds` are the further ones: `solver_setup()` and `solve()` on a
  fresh homotopy of the same game.
- `residual` is max|Q - T(Q)| of the answer.
- `settings`: `default` is sgamesolver's own (corrector and lambda tolerance 1e-7, on the whole
  path), `tight` asks for 1e-10 in both.
- `cold` is a whole process: start, imports, game, one solve.
- `load` is the machine's load average after the case: above the number of threads that BLAS uses,
  something else was running, and the processor seconds say more.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from importlib.metadata import version
from time import perf_counter, process_time

import numpy as np
from equations import look_ahead, residual
from sgamesolver import SGame
from sgamesolver.homotopy import QRE
from sgamesolver_games import random_sgame

SETTINGS = {"default": {}, "tight": {"corrector_tol": 1e-10, "convergence_tol": 1e-10}}
CASES = [f"8x2x4/{seed}/200" for seed in range(8)] + [
    "128x2x4/0/5",
    "100x3x3/0/1",
    "100x3x3/0/5",
]
COLD = "128x2x4/0/5"


def parse(case: str) -> tuple[tuple[int, int, int], int, float]:
    """Read "8x2x4/0/200" as (8, 2, 4), 0, 200.0."""
    shape, seed, lam = case.split("/")
    states, players, actions = map(int, shape.split("x"))
    return (states, players, actions), int(seed), float(lam)


def solve(game: SGame, lam: float, settings: str) -> tuple[QRE, float, float]:
    """One solve, its seconds and its processor seconds."""
    start, cpu = perf_counter(), process_time()
    homotopy = QRE(game)
    homotopy.solver_setup(target_lambda=lam)
    homotopy.solver.set_parameters(SETTINGS[settings], verbose=0)
    homotopy.solve()
    return homotopy, perf_counter() - start, process_time() - cpu


def measure(case: str, settings: str, repeats: int) -> dict:
    """One row of the answer."""
    shape, seed, lam = parse(case)
    start = perf_counter()
    game = SGame.random_game(*shape, seed=seed)
    row = {"case": case, "settings": settings, "build_seconds": perf_counter() - start}
    homotopy, row["first_seconds"], _ = solve(game, lam, settings)
    row["steps"] = homotopy.solver.step
    found = homotopy.equilibrium
    row["solved"] = found is not None
    if found is not None:
        plain = random_sgame(*shape, seed=seed)
        q = look_ahead(plain, np.nan_to_num(found.strategies), found.values)
        row["residual"] = residual(plain, q, lam)
    if repeats:
        times = [solve(game, lam, settings)[1:] for _ in range(repeats)]
        row["warm_seconds"], row["warm_cpu_seconds"] = map(list, zip(*times, strict=True))
        row["warm_median"] = statistics.median(row["warm_seconds"])
    row["load"] = os.getloadavg()[0]
    return row


def measure_cold(case: str, settings: str, repeats: int) -> dict:
    """The median time of whole processes that build and solve one case once."""
    command = [sys.executable, __file__, "--repeats", "0", "--case", case, "--settings", settings]
    seconds = []
    for _ in range(repeats):
        start = perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds.append(perf_counter() - start)
    median = statistics.median(seconds)
    return {"case": case, "settings": settings, "seconds": seconds, "median": median}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--case", action="append", help="states x players x actions/seed/lambda")
    parser.add_argument("--settings", choices=SETTINGS, action="append")
    parser.add_argument("--repeats", type=int, default=3, help="warm solves per case")
    args = parser.parse_args()
    settings = args.settings or list(SETTINGS)
    answer = {
        "versions": {name: version(name) for name in ("sgamesolver", "numpy")} | {"python": sys.version.split()[0]},
        "cpus": os.cpu_count(),
        "blas": np.show_config(mode="dicts")["Build Dependencies"]["blas"]["name"],
        "cases": [measure(c, s, args.repeats) for s in settings for c in args.case or CASES],
    }
    if not args.case:
        answer["cold"] = [measure_cold(COLD, s, args.repeats) for s in settings]
    print(json.dumps(answer, indent=1))


if __name__ == "__main__":
    main()
