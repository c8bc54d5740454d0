"""Folds and bifurcations against curves that are known in closed form.

Where all agents and both states are alike, the equilibrium is one number p, the probability of the first action, and
log(p / (1 - p)) = beta d(p), with d(p) the advantage of that action: so beta(p) = log(p / (1 - p)) / d(p) *is* the
branch, which a scan over p draws in full, folds and all.
"""

import math

import numpy as np
import pytest
import scipy.optimize

import quantal as qt

P = np.linspace(0.5 + 1e-7, 1 - 1e-9, 400_001)


def turns_of(precision, p=P):
    """The folds of beta(p), refined by a bounded search around each turn of the scan."""
    grid = precision(p)
    found = []
    for k in np.flatnonzero(np.diff(np.sign(np.diff(grid)))):
        sign = 1 if grid[k + 1] > grid[k] else -1
        best = scipy.optimize.minimize_scalar(
            lambda x, sign=sign: -sign * precision(x),
            bounds=(p[k - 1], p[k + 3]),
            method="bounded",
            options={"xatol": 1e-13},
        )
        found.append(float(precision(best.x)))
    return found


def all_at(precision, beta, p=P):
    """Every p with beta(p) = beta, in the order in which the branch meets them (p grows along it)."""
    grid = precision(p) - beta
    return [
        scipy.optimize.brentq(lambda x: precision(x) - beta, p[k], p[k + 1], xtol=1e-15, rtol=1e-15)
        for k in np.flatnonzero(np.diff(np.sign(grid)))
    ]


# --------------------------------------------------------------------------- coordination in two states, for ever

DISCOUNT = 0.8
BASE, BONUS, TILT = 0.1, 1.0, 0.12


def two_states():
    """Two players in two states that mirror each other.

    Both choosing `work` pays and keeps them where they are; otherwise they move to the other state with probability
    1/2. The states are alike, so V is the same in both and moving makes no difference to anybody: per state the game
    is the same coordination game, and its equation is scalar, but the solver does not know that.
    """
    work = np.array([[BONUS, -0.55], [BASE, TILT]])  # own action first
    rewards = [np.broadcast_to(r, (2, 2, 2)) for r in (work, work.T)]
    transitions = np.full((2, 2, 2, 2), 0.5)
    transitions[:, 0, 0] = np.eye(2)
    return qt.MarkovGame.from_arrays(rewards, transitions)


def stopping(players, differences, go_on):
    """One live state and an end without payoff: three players alike, payoff by how many others play the first action.

    `go_on`: the chance to go on when k of all players play the first action.
    """
    shape = (2,) * players
    rewards = [np.zeros((2, *shape)) for _ in range(players)]
    transitions = np.zeros((2, *shape, 2))
    transitions[1, ..., 1] = 1
    for joint in np.ndindex(*shape):
        first = sum(a == 0 for a in joint)
        transitions[(0, *joint)] = [go_on[first], 1 - go_on[first]]
        for i in range(players):
            rewards[i][(0, *joint)] = differences[first - 1] if joint[i] == 0 else 0.0
    return qt.MarkovGame.from_arrays(rewards, transitions)


def advantage(players, differences, go_on, discount, rule, p):
    """Q(first) - Q(second) in the live state when everyone plays p: V is linear in itself, and solved for by hand."""
    chance = [math.comb(players - 1, k) * p**k * (1 - p) ** (players - 1 - k) for k in range(players)]
    reward = sum(c * d for c, d in zip(chance, differences, strict=True))
    stay_first = sum(c * go_on[k + 1] for k, c in enumerate(chance))
    stay_second = sum(c * go_on[k] for k, c in enumerate(chance))
    if rule == "expected":
        value = p * reward / (1 - discount * (p * stay_first + (1 - p) * stay_second))
    else:  # greedy, and p > 1/2 says that the first action is the better one
        value = reward / (1 - discount * stay_first)
    return reward + discount * (stay_first - stay_second) * value


DIP = ([0.345, -0.2, 0.145], [0.7, 0.8, 0.8, 0.7])
"""The first action's advantage nearly vanishes on the way up, which folds the branch."""


@pytest.mark.parametrize("rule", ["expected", "greedy"])
def test_folds_of_a_game_with_a_future_are_where_the_scan_puts_them(rule):
    game = stopping(3, *DIP)

    def precision(p):
        return np.log(p / (1 - p)) / advantage(3, *DIP, DISCOUNT, rule, p)

    turns = turns_of(precision)
    assert len(turns) == 2
    assert turns[0] > 1.2 * turns[1]
    middle = 0.5 * sum(turns)
    betas = [0.5 * turns[1], middle, 1.5 * turns[0]]
    path = qt.solve_path(game, betas, discount=DISCOUNT, value=rule)
    assert path.complete
    assert path.converged
    assert [f.beta for f in path.folds] == pytest.approx(turns, rel=1e-8)
    # Between the folds the branch passes three times; what solve gives is the first, and so is path[1].
    for passes, beta in zip(path.passes, betas, strict=True):
        expected = all_at(precision, beta)
        assert len(passes) == len(expected)
        for solution, p in zip(passes, expected, strict=True):
            assert solution.converged
            for i in range(3):
                assert solution.policy[i][0, 0] == pytest.approx(p, abs=1e-9)
        alone = qt.solve(game, beta=beta, discount=DISCOUNT, value=rule)
        assert alone.branch is qt.Branch.PRINCIPAL
        assert alone.policy[0][0, 0] == pytest.approx(expected[0], abs=1e-9)
    # Every point of the drawn curve lies on the scanned one (they are accurate enough to draw, not to quote).
    for beta, policy in path.curve[1:]:
        p = float(policy[0][0, 0])
        assert precision(p) == pytest.approx(beta, rel=2e-2)


def test_a_fold_of_the_policy_is_a_fold_of_the_scan():
    # What the fold record says is played there is where beta(p) is flat.
    game = stopping(3, *DIP)

    def precision(p):
        return np.log(p / (1 - p)) / advantage(3, *DIP, DISCOUNT, "expected", p)

    path = qt.solve_path(game, [1.5 * turns_of(precision)[0]], discount=DISCOUNT)
    for fold in path.folds:
        p = float(fold.policy[0][0, 0])
        assert (precision(p + 1e-4) - precision(p - 1e-4)) / 2e-4 == pytest.approx(0, abs=0.05 * fold.beta)
        assert precision(p) == pytest.approx(fold.beta, rel=1e-6)


def test_two_states_that_mirror_each_other_have_the_branch_of_one():
    # A coordination game, tilted: beta(p) from the payoffs of one state alone.
    game = two_states()

    def precision(p):
        gain = p * (BONUS - BASE) + (1 - p) * (-0.55 - TILT)
        return np.log(p / (1 - p)) / gain

    betas = [1.0, 5.0, 20.0]
    path = qt.solve_path(game, betas, discount=DISCOUNT)
    assert path.converged
    for solution, beta in zip(path, betas, strict=True):
        p = all_at(precision, beta)[0]
        for i in range(2):
            np.testing.assert_allclose(solution.policy[i][:, 0], p, atol=1e-10)
        # V = r / (1 - discount) in both states.
        payoff = p * (p * BONUS - (1 - p) * 0.55) + (1 - p) * (p * BASE + (1 - p) * TILT)
        np.testing.assert_allclose(solution.value[0], payoff / (1 - DISCOUNT), atol=1e-10)


# --------------------------------------------------------------------------- bifurcations


@pytest.mark.parametrize(("size", "stake"), [(2, 5.0), (3, 2.0)])
def test_a_symmetric_coordination_game_forks_where_its_slope_says(size, stake):
    # u = stake I: at uniform play log-odds respond with slope beta stake / size, and the branch forks where it is 1.
    game = qt.MarkovGame.normal_form([stake * np.eye(size)] * 2)
    fork = size / stake
    path = qt.solve_path(game, [0.5 * fork, 2.0 * fork])
    assert path.complete
    assert path.folds == ()
    # Uniform play stays on the branch straight through. For 3 actions two eigenvalues cross at once: the determinant
    # keeps its sign, so an even crossing cannot be seen by it and none need be reported.
    assert [b.beta for b in path.bifurcations] == pytest.approx([fork] if size == 2 else [], rel=1e-6)
    for solution in path:
        assert solution.converged
        np.testing.assert_allclose(solution.policy[0], 1 / size, atol=1e-10)


def test_a_fork_of_a_game_with_a_future_lies_where_its_stage_forks():
    # Four mirrored states would fork together; with two the symmetric and the opposed mode fork at different betas:
    # both states tip alike at beta stake / 2 = 1. The future is the same from both, so it does not move that fork.
    stake = 4.0
    rewards = [np.broadcast_to(stake * np.eye(2), (2, 2, 2))] * 2
    transitions = np.full((2, 2, 2, 2), 0.5)
    game = qt.MarkovGame.from_arrays(rewards, transitions)
    path = qt.solve_path(game, [0.4, 0.7], discount=0.6)
    # Transitions that nobody influences leave the states apart: both tip at beta = 2 / stake, a double crossing.
    assert path.converged
    assert len(path.bifurcations) % 2 == 0
    for b in path.bifurcations:
        assert b.beta == pytest.approx(2 / stake, rel=1e-4)
    assert all(np.allclose(s.policy[i], 0.5, atol=1e-9) for s in path for i in range(2))


def test_one_state_of_two_forks_alone():
    # The same with different stakes: each state forks at its own beta = 2 / stake, and both are reported in order.
    stakes = np.array([4.0, 2.5])
    rewards = [stakes[:, None, None] * np.eye(2)] * 2
    transitions = np.full((2, 2, 2, 2), 0.5)
    game = qt.MarkovGame.from_arrays(rewards, transitions)
    path = qt.solve_path(game, [0.1, 1.0], discount=0.6)
    assert path.converged
    assert [b.beta for b in path.bifurcations] == pytest.approx(list(2 / stakes), rel=1e-6)
    assert path.folds == ()


def test_a_perturbed_fork_is_none():
    # The tiniest tilt turns the fork into a bend: nothing is crossed, and the tilted side is followed up.
    for tilt in (1e-1, 1e-3, 1e-5):
        payoffs = 5 * np.eye(2)
        payoffs[0] += tilt
        game = qt.MarkovGame.normal_form([payoffs, payoffs.T])
        path = qt.solve_path(game, [1.0])
        assert path.bifurcations == ()
        assert path.folds == ()
        top = scipy.optimize.brentq(
            lambda p, tilt=tilt: math.log(p / (1 - p)) - 5 * (2 * p - 1) - tilt, 0.9, 1 - 1e-9, xtol=1e-15
        )
        assert path[0].policy[0][0, 0] == pytest.approx(top, abs=1e-10)
