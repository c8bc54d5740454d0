"""Logit QRE of normal-form games, by Gambit.

    pi_i = softmax(lambda Q_i),   Q_i(a_i) = E_{pi_-i} [ u_i(a) ]

Writes `tests/reference/gambit.json`, which holds the payoffs too. Run it in an environment of its
own:

    pip install pygambit

Recorded is the principal branch (the one that starts at lambda = 0 with uniform play) at its
*first* passage of each lambda, then Newton's method at exactly lambda (`equations.polish`, which
shares no code with Gambit), which may move the policy by no more than 1e-6. Gambit is asked twice:
`logit_solve_lambda` gives the answers, and `logit_solve_branch` with small steps must pass the same
points (as far as it reaches: it ends where regret vanishes). Its corners are the turning points, to
about 1e-3.
"""

import json
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pygambit
from equations import Point, look_ahead, polish
from numpy.typing import NDArray
from sgamesolver_games import RandomSGame

OUT = Path(__file__).parents[2] / "tests" / "reference" / "gambit.json"
LAMBDAS = [0.1, 0.5, 1.0, 2.0, 5.0, 10.0, 50.0]
MOVED_AT_MOST = 1e-6
RESIDUAL_BELOW = 1e-14


def draw(shape: tuple[int, ...], seed: int) -> list:
    """Integer payoffs 0..9, player by player."""
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 10, shape).tolist() for _ in shape]


GAMES = {
    "asymmetric_matching_pennies": [[[9, 0], [0, 1]], [[0, 1], [1, 0]]],
    "asymmetric_coordination": [[[3, 0], [0, 2]], [[1, 0], [0, 4]]],
    "two_players_3x3": draw((3, 3), 1),
    "three_players_2x2x2": draw((2, 2, 2), 1),
    # Here the principal branch turns back and forth: lambda = 1 and 2 are passed three times.
    "folded_3x3": draw((3, 3), 53),
    "folded_2x2x2": draw((2, 2, 2), 83),
}


def as_stochastic(payoffs: list) -> RandomSGame:
    """The game as one state that nobody looks beyond."""
    u = np.array(payoffs, dtype=float)[None]
    players, actions = u.shape[1], u.shape[2:]
    counts = np.array([actions])
    return RandomSGame(u, np.zeros((1, *actions, 1)), np.zeros(players), counts)


def refine(game: RandomSGame, policy: NDArray, lam: float) -> Point:
    """The solution at exactly lam next to policy, (M, A)."""
    players = policy.shape[0]
    return polish(game, look_ahead(game, policy[None], np.zeros((1, players))), lam)


def to_array(profile: pygambit.MixedStrategyProfile) -> NDArray:
    """Gambit's profile as (M, A)."""
    return np.array([[profile[s] for s in player.strategies] for player in profile.game.players])


def passages(game: RandomSGame, branch: list) -> tuple[list[Point], list[float]]:
    """The first passage of each lambda that a branch of Gambit's reaches, and its turns."""
    lams = np.array([point.lam for point in branch])
    found = []
    for lam in (x for x in LAMBDAS if x <= lams.max()):
        after = int(np.argmax(lams >= lam))
        share = (lam - lams[after - 1]) / (lams[after] - lams[after - 1])
        ends = [to_array(branch[k].profile) for k in (after - 1, after)]
        found.append(refine(game, (1 - share) * ends[0] + share * ends[1], lam))
    steps = np.diff(lams)
    corners = np.nonzero(steps[1:] * steps[:-1] < 0)[0] + 1
    return found, [round(float(lams[k]), 3) for k in corners]


def solve(name: str, payoffs: list) -> dict:
    """The record of one game."""
    table = pygambit.Game.from_arrays(*map(np.array, payoffs), title=name)
    game = as_stochastic(payoffs)
    raw = [to_array(p.profile) for p in pygambit.qre.logit_solve_lambda(table, LAMBDAS)]
    points = [refine(game, policy, lam) for policy, lam in zip(raw, LAMBDAS, strict=True)]
    branch = pygambit.qre.logit_solve_branch(table, maxregret=1e-12, first_step=0.001, max_accel=1.001)
    checks, turns = passages(game, branch)
    moved = [np.abs(p.policy[0] - policy).max() for p, policy in zip(points, raw, strict=True)]
    apart = [np.abs(p.policy - q.policy).max() for p, q in zip(points, checks, strict=False)]
    record = {
        "payoffs": payoffs,
        "lambda": LAMBDAS,
        "policy": [point.policy[0].tolist() for point in points],
        "value": [point.values[0].tolist() for point in points],
        "residual": max(point.residual for point in points),
        "polish_moved_policy": float(max(moved)),
        "small_steps_apart": float(max(apart)),
        "small_steps_reach_lambda": LAMBDAS[len(checks) - 1],
        "turning_points": turns,
    }
    print(name, {k: record[k] for k in list(record)[4:]}, flush=True)
    assert record["residual"] < RESIDUAL_BELOW, name
    assert record["polish_moved_policy"] < MOVED_AT_MOST, name
    assert record["small_steps_apart"] < MOVED_AT_MOST, name
    return record


def main() -> None:
    about = {
        "equation": "pi_i = softmax(lambda Q_i), Q_i = E_{pi_-i}[u_i]",
        "recorded": "principal branch, first passage of each lambda",
        "keys": {
            "payoffs": "[player][a_1]..[a_M]",
            "policy": "[lambda][player][action]",
            "value": "[lambda][player]",
        },
        "made_by": "benchmarks/reference/make_gambit.py",
        "versions": {name: version(name) for name in ("pygambit", "numpy")} | {"python": sys.version.split()[0]},
        "games": {name: solve(name, payoffs) for name, payoffs in GAMES.items()},
    }
    OUT.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
