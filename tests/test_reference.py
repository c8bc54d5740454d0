"""The same equilibria as sgamesolver and Gambit, on the principal branch, far past where plain iteration fails.

The numbers were computed by those programs and polished to rounding by an independent Newton method
(`benchmarks/reference/`, which also says how to make them again).
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import quantal as qt

HERE = Path(__file__).parent / "reference"
STOCHASTIC = json.loads((HERE / "sgamesolver.json").read_text())["games"]
NORMAL = json.loads((HERE / "gambit.json").read_text())["games"]
KNOWN = np.load(HERE / "sgamesolver.npz")


def stochastic(name: str) -> qt.MarkovGame:
    draws = STOCHASTIC[name]["random_sgame"]
    actions = tuple(draws["actions"]) if isinstance(draws["actions"], list) else draws["actions"]
    return qt.games.random.stochastic(draws["states"], draws["players"], actions, seed=draws["seed"])


def furthest(solution: qt.Solution, policy: np.ndarray) -> float:
    """Largest difference of a probability; the reference pads missing actions with zeros: (S, M, A)."""
    return max(
        float(np.abs(solution.policy[i] - policy[:, i, : solution.policy[i].shape[-1]]).max())
        for i in range(policy.shape[1])
    )


@pytest.mark.parametrize("name", [f"8x2x4_seed{k}" for k in range(8)])
def test_solve_meets_sgamesolver_at_every_precision(name):
    # lambda goes up to 200; plain iteration ends at 4 to 8 on these games (MODEL, section 1).
    game = stochastic(name)
    for beta, policy in zip(KNOWN[f"{name}/lambda"], KNOWN[f"{name}/policy"], strict=True):
        found = qt.solve(game, beta=float(beta), discount=0.95)
        assert found.converged, found.status
        assert found.branch is qt.Branch.PRINCIPAL
        assert furthest(found, policy) < 1e-7


@pytest.mark.parametrize(
    "name",
    ["4x3x3_seed0", "4x3x3_seed1", "3x4x2_seed0", "3x4x2_seed1", "6x3x2_seed0", "16x2x3_seed0", "5x3x2to4_seed0"],
)
def test_the_branch_meets_sgamesolver_with_two_to_four_players(name):
    # One path per game: the branch's first passage of each lambda is where sgamesolver stops.
    path = qt.solve_path(stochastic(name), [float(b) for b in KNOWN[f"{name}/lambda"]], discount=0.95)
    assert path.converged
    for found, policy in zip(path, KNOWN[f"{name}/policy"], strict=True):
        assert furthest(found, policy) < 1e-7


def test_discounts_may_differ_between_agents():
    game, name = stochastic("5x2x3_seed0"), "5x2x3_seed0"
    for beta, policy in zip(KNOWN[f"{name}/lambda"], KNOWN[f"{name}/policy"], strict=True):
        found = qt.solve(game, beta=float(beta), discount=[0.9, 0.5])
        assert found.converged
        assert furthest(found, policy) < 1e-7


@pytest.mark.parametrize("name", list(NORMAL))
def test_solve_meets_gambit_on_normal_form_games(name):
    facts = NORMAL[name]
    game = qt.MarkovGame.normal_form([np.asarray(p, dtype=float) for p in facts["payoffs"]])
    for beta, policy in zip(facts["lambda"], facts["policy"], strict=True):
        found = qt.solve(game, beta=float(beta))
        assert found.converged
        for i, expected in enumerate(policy):
            np.testing.assert_allclose(found.policy[i][0], expected, atol=1e-7)


def test_the_folds_of_a_game_are_where_an_independent_trace_puts_them():
    # 8 x 2 x 4, seed 2: the branch turns back and forward again within 0.08 of 36; a jump over both is easily made.
    turns = STOCHASTIC["8x2x4_seed2"]["turning_points"]
    path = qt.solve_path(stochastic("8x2x4_seed2"), [36.0, 40.0], discount=0.95)
    assert [fold.beta for fold in path.folds] == pytest.approx(turns, abs=1e-4)
    assert len(path.passes[0]) == 3  # between the folds the branch passes three times
    assert all(point.converged for point in path.passes[0])
    wide = qt.solve_path(stochastic("5x3x2to4_seed0"), [12.0, 20.0], discount=0.95)
    assert [fold.beta for fold in wide.folds] == pytest.approx([14.47636, 10.80660], abs=1e-4)


@pytest.mark.parametrize("name", ["folded_3x3", "folded_2x2x2"])
def test_the_folds_of_normal_form_games_are_where_gambit_puts_them(name):
    facts = NORMAL[name]
    game = qt.MarkovGame.normal_form([np.asarray(p, dtype=float) for p in facts["payoffs"]])
    path = qt.solve_path(game, [10.0])
    assert [fold.beta for fold in path.folds] == pytest.approx(facts["turning_points"], abs=2e-3)
