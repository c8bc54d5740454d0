"""Logit Markov QRE of random games, by sgamesolver's homotopy.

    Q_p(s, a) = E_{pi_-p(.|s)} [ u[s, p, a] + delta[p] * sum_s' phi[s, a, s'] V_p(s') ]
    pi_p      = softmax(lambda Q_p),   V_p(s) = sum_a pi_p(a|s) Q_p(s, a)

Writes `tests/reference/sgamesolver.npz` and `sgamesolver.json`. Run it in an environment of its own
(Python 3.11 and a C compiler):

    pip install 'numpy<2' 'pandas<3' 'matplotlib<3.10' 'scipy<1.17'
    pip install 'cython<3.1' 'setuptools<80' wheel
    pip install --no-build-isolation sgamesolver

What is recorded, for each game and each lambda:

- sgamesolver follows the principal branch from lambda = 0 and stops at its *first* passage of
  lambda. Where the branch turns back, more of its points lie at the same lambda: not recorded.
- Tolerances 1e-10 on path and target, then Newton's method at exactly lambda (`equations.polish`,
  which shares no code with sgamesolver), which may move the policy by no more than 1e-6. Accepted
  below a residual of 1e-14.
- A second trace checks the branch: steps of 0.1 at most in (log policy, value, lambda), a stricter
  corrector and the test of determinants against jumps. Both must meet at every lambda. It also
  gives the turning points.
"""

import json
import statistics
import sys
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import numpy as np
from equations import Point, look_ahead, polish, residual
from numpy.typing import NDArray
from sgamesolver import SGame
from sgamesolver.homotopy import QRE
from sgamesolver_games import RandomSGame, random_sgame

OUT = Path(__file__).parents[2] / "tests" / "reference"
TIGHT = {"corrector_tol": 1e-10, "convergence_tol": 1e-10}
SMALL_STEPS = TIGHT | {
    "ds_max": 0.1,
    "ds_inflation_factor": 1.1,
    "corrector_steps_max": 30,
    "corrector_distance_max": 0.1,
    "corrector_ratio_max": 0.1,
    "test_segment_jumping": True,
}
MOVED_AT_MOST = 1e-6
RESIDUAL_BELOW = 1e-14


class Case(NamedTuple):
    """What `random_sgame` is called with; (low, high) actions give a game with illegal actions."""

    states: int
    players: int
    actions: int | tuple[int, int]
    delta: float | tuple[float, ...] = 0.95
    seed: int = 0

    @property
    def lambdas(self) -> tuple[float, ...]:
        """Where the branch is recorded."""
        some = (40.0, 100.0) if self.states == 8 else (50.0,)
        fold = (INSIDE_FOLD[self],) if self in INSIDE_FOLD else ()
        return tuple(sorted((1.0, 5.0, 20.0, *some, 200.0, *fold)))

    @property
    def key(self) -> str:
        actions = self.actions if isinstance(self.actions, int) else "{}to{}".format(*self.actions)
        return f"{self.states}x{self.players}x{actions}_seed{self.seed}"


INSIDE_FOLD = {Case(8, 2, 4, seed=2): 36.0, Case(5, 3, (2, 4)): 12.0}  # passed three times
GAMES = (
    *(Case(8, 2, 4, seed=seed) for seed in range(8)),
    Case(4, 3, 3),
    Case(4, 3, 3, seed=1),
    Case(3, 4, 2),
    Case(3, 4, 2, seed=1),
    Case(6, 3, 2),
    Case(16, 2, 3),
    Case(5, 3, (2, 4)),
    Case(5, 2, 3, delta=(0.9, 0.5)),
    Case(1, 3, 3, delta=0.0),
)


def draw(case: Case) -> tuple[RandomSGame, SGame]:
    """The game from our function and from sgamesolver, which must be equal to the last bit."""
    ours = random_sgame(*case)
    theirs = SGame.random_game(*case._replace(delta=ours.discount))
    their_arrays = (theirs.u, theirs.phi, theirs.delta, theirs.nums_actions)
    for left, right in zip(ours, their_arrays, strict=True):
        assert np.array_equal(left, right), case
    return ours, theirs


def trace(game: SGame, lam: float, settings: dict, keep_path: bool = False) -> QRE:
    """Follow sgamesolver's homotopy from lambda = 0 to lam."""
    homotopy = QRE(game)
    homotopy.solver_setup(target_lambda=lam)
    homotopy.solver.set_parameters(settings, verbose=0)
    if keep_path:
        homotopy.solver.start_storing_path(max_steps=100_000)
    homotopy.solve()
    assert homotopy.equilibrium is not None, f"stopped at lambda = {homotopy.solver.t}"
    return homotopy


def turning_points(arc: NDArray, lams: NDArray) -> list[float]:
    """The local extremes of lambda along a fine path, each at the vertex of a parabola."""
    turns = []
    for k in range(1, len(lams) - 1):
        if (lams[k] - lams[k - 1]) * (lams[k + 1] - lams[k]) < 0:
            near = slice(k - 1, k + 2)
            a, b, c = np.polyfit(arc[near] - arc[k], lams[near], 2)
            turns.append(round(float(c - b**2 / (4 * a)), 5))
    return turns


def passages(game: RandomSGame, homotopy: QRE, lams: tuple[float, ...]) -> tuple[list[Point], list]:
    """The first passage of each lambda on a stored path, and the path's turning points."""
    path = homotopy.solver.path
    points = np.vstack([path.y[: path.index], homotopy.solver.y])
    found = []
    for lam in lams:
        after = int(np.argmax(points[:, -1] >= lam - 1e-9))
        before, low, high = after - 1, points[after - 1, -1], points[after, -1]
        share = (lam - low) / (high - low)
        y = (1 - share) * points[before] + share * points[after]
        policy, values, _ = homotopy.y_to_sigma_V_t(y, zeros=True)
        found.append(polish(game, look_ahead(game, policy, values), lam))
    arc = path.s[: path.index]
    return found, turning_points(arc, points[:-1, -1])


def solve(case: Case) -> tuple[dict[str, NDArray], dict]:
    """The arrays of one game, and the line about it."""
    game, peer = draw(case)
    lams = case.lambdas
    points, seconds, moved, peer_residual = [], [], [], []
    for lam in lams:
        trace(peer, lam, {})
        times = []
        for _ in range(3):
            start = perf_counter()
            trace(peer, lam, {})
            times.append(perf_counter() - start)
        seconds.append(statistics.median(times))
        found = trace(peer, lam, TIGHT).equilibrium
        policy = np.nan_to_num(found.strategies)
        q = look_ahead(game, policy, found.values)
        peer_residual.append(residual(game, q, lam))
        points.append(polish(game, q, lam))
        moved.append(float(np.abs(points[-1].policy - policy).max()))
    checks, turns = passages(game, trace(peer, lams[-1], SMALL_STEPS, keep_path=True), lams)
    if turns:  # once more with finer steps, for their place to 1e-5
        fine = SMALL_STEPS | {"ds_max": 0.02}
        _, turns = passages(game, trace(peer, max(turns) + 1, fine, keep_path=True), ())
    apart = [float(np.abs(a.policy - b.policy).max()) for a, b in zip(points, checks, strict=True)]
    line = {
        "random_sgame": case._asdict(),
        "lambda": lams,
        "sgamesolver_residual": max(peer_residual),
        "polish_moved_policy": max(moved),
        "residual": max(point.residual for point in points),
        "condition": [round(point.condition, 1) for point in points],
        "small_steps_apart": max(apart),
        "turning_points": turns,
    }
    print(case.key, line, flush=True)
    assert line["polish_moved_policy"] < MOVED_AT_MOST, case
    assert line["residual"] < RESIDUAL_BELOW, case
    assert line["small_steps_apart"] < MOVED_AT_MOST, case
    arrays = {
        f"{case.key}/lambda": np.array(lams),
        f"{case.key}/policy": np.stack([point.policy for point in points]),
        f"{case.key}/value": np.stack([point.values for point in points]),
        f"{case.key}/warm_seconds": np.array(seconds),
    }
    return arrays, line


def main() -> None:
    arrays, lines = {}, {}
    for case in GAMES:
        found, line = solve(case)
        arrays |= found
        lines[case.key] = line
    np.savez_compressed(OUT / "sgamesolver.npz", **arrays)
    about = {
        "equation": "Q = E_{pi_-i}[u + discount * phi V], V = sum pi Q, pi = softmax(lambda Q)",
        "recorded": "principal branch, first passage of each lambda",
        "keys": {
            "<game>/lambda": "(L,)",
            "<game>/policy": "(L, S, M, A), padded with 0",
            "<game>/value": "(L, S, M)",
            "<game>/warm_seconds": "(L,), default settings, median of 3, on a machine not idle",
            "turning_points": "lambda at the folds of the branch, to 1e-5",
        },
        "game": "sgamesolver_games.random_sgame(**games[<game>]['random_sgame'])",
        "made_by": "benchmarks/reference/make_sgamesolver.py",
        "settings": TIGHT,
        "check_settings": SMALL_STEPS,
        "versions": {name: version(name) for name in ("sgamesolver", "numpy")} | {"python": sys.version.split()[0]},
        "games": lines,
    }
    text = json.dumps(about, indent=1)
    (OUT / "sgamesolver.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
