"""`solve_path`: one pass must give what a solve at each precision gives, and every point where a branch folds."""

import importlib
import itertools
import re

import numpy as np
import pytest
from tests import plain
from tests.cases import coupled_game, own_game, with_ends

import quantal as qt

path_module = importlib.import_module("quantal.path")
solve_module = importlib.import_module("quantal.solve")  # the name in the package is the function


def apart(a, b):
    return max(float(np.abs(a.policy[i] - b.policy[i]).max()) for i in range(len(a.policy)))


def folded():
    """Three players alike, two actions; the advantage of the first, 0.02 + 2 (p - 3/4)^2, nearly vanishes at p = 3/4.

    beta(p) = log(p / (1 - p)) / advantage(p) then folds twice (tests/test_stage.py).
    """

    def advantage(p):
        return 0.02 + 2 * (p - 0.75) ** 2

    differences = [advantage(0.0), 2 * advantage(0.5) - 0.5 * (advantage(0.0) + advantage(1.0)), advantage(1.0)]
    payoffs = []
    for i in range(3):
        u = np.zeros((2, 2, 2))
        for joint in np.ndindex(2, 2, 2):
            others = sum(a == 0 for j, a in enumerate(joint) if j != i)
            u[joint] = differences[others] if joint[i] == 0 else 0.0
        payoffs.append(u)
    p = np.linspace(0.5 + 1e-7, 1 - 1e-9, 400_001)
    return qt.MarkovGame.normal_form(payoffs), p, np.log(p / (1 - p)) / advantage(p)


@pytest.fixture(scope="module")
def between_folds():
    game, p, precision = folded()
    turns = np.flatnonzero(np.diff(np.sign(np.diff(precision)))) + 1
    high, low = precision[turns]
    middle = float(0.5 * (low + high))
    expected = [float(p[k]) for k in np.flatnonzero(np.diff(np.sign(precision - middle)))]
    return game, middle, (float(high), float(low)), expected, qt.solve_path(game, [middle, 1.5 * float(high)])


def test_between_two_folds_the_branch_passes_three_times(between_folds):
    game, middle, turns, expected, path = between_folds
    assert len(expected) == 3
    assert [f.beta for f in path.folds] == pytest.approx(turns, rel=1e-6)
    assert [len(passes) for passes in path.passes] == [3, 1]
    for point, p in zip(path.passes[0], expected, strict=True):
        assert point.policy[0][0, 0] == pytest.approx(p, abs=1e-4)
        # Each is an equilibrium by itself, and says so: by the loops, by its certificate, by its label.
        assert point.converged
        assert point.branch is qt.Branch.PRINCIPAL
        assert plain.residual(point) < 1e-11
        assert point.certificate.residual <= 1e-12
        assert point.parameters.beta == (middle,) * 3
    # All alike, the map's strongest mode is beta d advantage / d log-odds; it is above one where the branch runs back.
    for point in path.passes[0]:
        p = float(point.policy[0][0, 0])
        slope = middle * 4 * (p - 0.75) * p * (1 - p)
        assert point.certificate.spectral_radius == pytest.approx(abs(slope), abs=1e-9)
        assert (slope > 1) == (point is path.passes[0][1])
    assert path[0] is path.passes[0][0]
    assert apart(path[0], qt.solve(game, beta=middle)) < 1e-10


def test_close_to_a_fold_the_first_pass_is_still_the_first(between_folds):
    # A hair below the upper fold the branch arrives and leaves again within one step. It comes from small p, so p must
    # grow from pass to pass, and the first is what `solve` gives, which stops at its first arrival.
    game, _, (high, _), _, path = between_folds
    for beta in (path.folds[0].beta - 1e-3, path.folds[0].beta - 1e-5, path.folds[1].beta + 1e-5):
        near = qt.solve_path(game, [beta, 1.5 * high])
        met = [float(point.policy[0][0, 0]) for point in near.passes[0]]
        assert met == sorted(met)
        assert len(met) == 3
        assert near[0].policy[0][0, 0] == pytest.approx(qt.solve(game, beta=beta).policy[0][0, 0], abs=1e-7)


def test_a_path_reads_like_one(between_folds):
    path = between_folds[-1]
    assert re.fullmatch(
        r"<Path over 2 betas, [\d.]+ to [\d.]+: fold at beta = [\d.]+, fold at beta = [\d.]+>", repr(path)
    )
    assert len(path) == 2
    assert list(path) == [path[0], path[1]]
    assert path.converged
    assert path.complete
    # The curve starts in uniform play at beta = 0 and ends at the largest beta.
    assert path.curve[0][0] == 0.0
    np.testing.assert_allclose(path.curve[0][1][0], 0.5)
    assert path.curve[-1][0] == pytest.approx(path.betas[-1])


def test_a_trail_is_the_branch_in_order(between_folds):
    path = between_folds[-1]
    trail, folds = path.trail, [fold.beta for fold in path.folds]
    # beta rises, falls and rises again, and turns nowhere but at the folds.
    for a, b in itertools.pairwise(trail):
        assert (b.beta > a.beta) == ((a.stretch if a.kind != "fold" else a.stretch + 1) % 2 == 0)
    assert [step.beta for step in trail if step.kind == "fold"] == folds
    # Every pass is there once, on its stretch; nothing is there twice.
    for beta, passes in zip(path.betas, path.passes, strict=True):
        found = [step for step in trail if step.kind == "asked" and step.beta == beta]
        assert [step.solution for step in found] == list(passes)
        assert [step.stretch for step in found] == ([0, 1, 2] if len(passes) == 3 else [2])
    # Values are those of the policies: here at every step, played once, expected payoffs.
    game = path[0].game
    for step in trail:
        joint = np.einsum("i,j,k->ijk", *(step.policy[i].ravel() for i in range(3)))
        for i in range(3):
            worth = (joint * np.broadcast_to(game.rewards[i], (1, 2, 2, 2))[0]).sum()
            assert step.value[i].item() == pytest.approx(worth, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("rule", ["expected", "soft", "greedy"])
def test_one_pass_is_a_solve_at_each_precision(rule):
    # Rewards and moves that depend on everything; a stationary game.
    game = coupled_game(12, 5, (3, 2), 5, ["s", "s01"])
    betas = [0.3, 1.0, 2.5, 6.0]
    path = qt.solve_path(game, betas, discount=[0.8, 0.6], value=rule)
    assert path.converged
    for beta, found in zip(betas, path, strict=True):
        assert found.parameters.beta == (beta, beta)
        assert found.parameters.value == rule
        assert found.residual <= 1e-12
        assert found.branch is not qt.Branch.UNLABELLED
        assert plain.residual(found) < 1e-11
        alone = qt.solve(game, beta=beta, discount=[0.8, 0.6], value=rule)
        assert apart(found, alone) < 1e-10


@pytest.mark.parametrize("rule", ["expected", "soft", "greedy"])
@pytest.mark.parametrize("how", [{"horizon": 3}, {"horizon": 2, "discount": 0.7}, {"discount": 0.0}])
def test_a_horizon_is_solved_stage_by_stage_at_every_precision(how, rule):
    game = with_ends(own_game(3, (4, 3), (2, 3), (1, 3), ["s01", "0"]))
    betas = [0.5, 2.0, 4.0]
    path = qt.solve_path(game, betas, value=rule, **how)
    assert path.converged
    assert path.curve == ()
    for beta, found in zip(betas, path, strict=True):
        assert plain.residual(found) < 1e-11
        alone = qt.solve(game, beta=beta, value=rule, **how)
        assert apart(found, alone) < 1e-10
        assert found.horizon == how.get("horizon")


def test_many_precisions_are_interpolated_and_still_solved():
    # More betas than twice the nodes: most answers come from a polynomial, and each must satisfy the equations.
    game = with_ends(own_game(3, (4, 3), (2, 3), (1, 3), ["s01", "0"]))
    betas = np.linspace(0.1, 4, 2 * solve_module.NODES + 1)
    shares = []
    path = qt.solve_path(game, betas, horizon=2, progress=shares.append)
    assert path.converged
    assert max(found.residual for found in path) <= 1e-12
    assert all(found.branch is not qt.Branch.UNLABELLED for found in path)
    for k in (0, 17, 48):
        assert plain.residual(path[k]) < 1e-11
        assert apart(path[k], qt.solve(game, beta=float(betas[k]), horizon=2)) < 1e-10
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_logits_that_change_nobodys_payoffs_are_followed_too():
    # Where an agent has arrived, nobody's choice matters to anybody else: residuals vanish at all logits.
    game = qt.games.grid.game_one()
    for solution in qt.solve_path(game, [0.0, 0.1, 0.25, 1.0], horizon=3):
        assert solution.converged
        alone = qt.solve(game, beta=solution.parameters.beta[0], horizon=3)
        for agent in game.agents:
            np.testing.assert_allclose(solution.policy[agent], alone.policy[agent], atol=1e-10)


def test_betas_come_back_in_the_order_asked_for_and_as_often():
    game = coupled_game(12, 5, (3, 2), 5, ["s", "s01"])
    asked = [1.0, 0.0, 6.0, 1.0, 2.5, 0.0]
    for how in ({"discount": 0.8}, {"horizon": 2}):
        path = qt.solve_path(game, asked, **how)
        assert path.betas == tuple(asked)
        assert [found.parameters.beta[0] for found in path] == asked
        assert len(path.passes) == len(asked)
        assert apart(path[0], path[3]) == 0
        # beta = 0 is uniform play over legal actions, whatever the payoffs.
        for i, mask in enumerate(game.legal):
            full = np.broadcast_to(mask, path[1].policy[i].shape)
            np.testing.assert_allclose(path[1].policy[i], full / full.sum(axis=-1, keepdims=True), atol=1e-14)
        assert path.converged


def test_precision_zero_alone_is_a_path_too():
    game = coupled_game(12, 5, (3, 2), 5, ["s", "s01"])
    path = qt.solve_path(game, [0.0], discount=0.8)
    assert path.converged
    assert path.complete
    # The values of uniform play, by the loops.
    assert plain.residual(path[0]) < 1e-12


def test_the_share_done_grows_to_one():
    shares = []
    qt.solve_path(coupled_game(12, 5, (3, 2), 5, ["s", "s01"]), [1.0, 6.0], discount=0.8, progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_a_branch_that_is_lost_is_reported_and_not_invented(monkeypatch):
    # Path following is stopped after a few points: betas that it never reached must not read as solved.
    monkeypatch.setattr(path_module.continuation, "POINTS", 3)
    game = coupled_game(12, 5, (3, 2), 5, ["s", "s01"])
    path = qt.solve_path(game, [1e-3, 50.0], discount=0.8)
    assert not path.complete
    assert not path.converged
    assert path[0].converged
    assert path[1].status is qt.Status.LOST
    assert path[1].branch is qt.Branch.UNLABELLED
    assert path[1].residual > 1e-6


@pytest.mark.parametrize(
    ("betas", "options", "message"),
    [
        ([], {}, "non-empty list"),
        (np.ones((1, 2)), {}, r"got shape \(1, 2\)"),
        (np.array(["much"]), {}, "non-empty list of numbers"),
        ([1.0, -2.0], {}, "beta=-2.0: expected finite and >= 0"),
        ([1.0, np.inf], {}, "beta=inf"),
        ([1.0, np.nan], {}, "NaN"),
        ([0.0, 1.0], {"value": "soft"}, "soft rule divides by beta"),
        ([1.0], {"discount": 1.0}, "expected 0 <= discount < 1"),
        ([1.0], {"discount": None}, "say how long the game lasts"),
        ([1.0], {"horizon": 0}, "horizon=0"),
        ([1.0], {"tol": -1.0}, "tol=-1.0"),
        ([1.0], {"value": "hard"}, "value='hard'"),
    ],
)
def test_what_cannot_be_used_is_named(betas, options, message):
    game = coupled_game(12, 5, (3, 2), 5, ["s", "s01"])
    with pytest.raises(qt.ParameterError, match=message):
        qt.solve_path(game, betas, **{"discount": 0.8, **options})


def test_a_game_too_large_to_follow_says_what_to_do(monkeypatch):
    monkeypatch.setattr(solve_module, "TRACE_BYTES", 10)
    with pytest.raises(qt.TooLargeError, match=r"5 states x 6 joint actions x 2 agents.*method='picard'"):
        qt.solve_path(coupled_game(12, 5, (3, 2), 5, ["s", "s01"]), [1.0], discount=0.8)
