"""Greenwald's grid games: the outcomes that are known, over seeds, and the limits that the learners come to."""

import numpy as np
import pytest

import quantal as qt
from quantal.baselines import Correlated, JointQ, Nash, QLearning, joint_play, model_based, train
from quantal.baselines.comparison import scores

STEPS = 40_000


def pairs(runs, **how):
    return [tuple(round(s, 2) + 0.0 for s in scores(run, 100, **how).values()) for run in runs]


@pytest.fixture(scope="module")
def one():
    return qt.games.grid.game_one("3x3", "bounce")


@pytest.fixture(scope="module")
def two():
    return qt.games.grid.game_two()


# ---------------------------------------------------------------------- game I


def test_q_learners_reach_their_goals(one):
    assert set(pairs(train(one, QLearning(), steps=STEPS, seeds=range(10)))) == {(30.0, 30.0)}


@pytest.mark.deep
@pytest.mark.parametrize("selection", ["u", "e", "r", "l"])
def test_correlated_learners_reach_their_goals(selection):
    # The paper's 2x2 map: 30, 30 for everyone.
    runs = train(qt.games.grid.game_one(), JointQ(Correlated(selection)), steps=10_000, seeds=range(4))
    assert set(pairs(runs)) == {(30.0, 30.0)}
    assert all(run.certificate.correlated_violation <= 1e-9 for run in runs)


@pytest.mark.deep
@pytest.mark.parametrize("selection", ["u", "e", "r"])
def test_correlated_learners_reach_their_goals_on_nine_cells(one, selection):
    runs = train(one, JointQ(Correlated(selection)), steps=STEPS, seeds=range(20))
    assert set(pairs(runs)) == {(30.0, 30.0)}


@pytest.mark.deep
def test_libertarian_learners_need_a_leader_on_nine_cells(one):
    # Many routes are equally good, and each agent's favourite equilibrium knows the other's by heart: they do not fit.
    runs = train(one, JointQ(Correlated("l")), steps=STEPS, seeds=range(20))
    assert set(pairs(runs, follow="A")) == set(pairs(runs, follow="B")) == {(30.0, 30.0)}
    assert min(min(pair) for pair in pairs(runs)) < 0


# ---------------------------------------------------------------------- game II


def test_one_q_learner_takes_the_barrier(two):
    # Expected 1 for it (through with probability 1/2), and 2 for the other, who walks in the middle.
    played = pairs(train(two, QLearning(), steps=STEPS, seeds=range(10)))
    assert {tuple(sorted(pair)) for pair in played} == {(1.0, 2.0)}
    assert len(set(played)) == 2  # which of the two is chance


@pytest.mark.deep
def test_utilitarian_learners_agree_on_who_takes_the_barrier(two):
    runs = train(two, JointQ(Correlated("u")), steps=STEPS, seeds=range(6))
    assert {tuple(sorted(pair)) for pair in pairs(runs)} == {(1.0, 2.0)}
    for run in runs:  # constraints hold at every visited state, though learned stage games are nearly tied
        assert run.certificate.correlated_violation <= 1e-9
        assert run.joint[run.visited].min() >= 0


@pytest.mark.deep
def test_libertarian_learners_collide_unless_one_leads(two):
    runs = train(two, JointQ(Correlated("l")), steps=STEPS, seeds=range(20))
    assert set(pairs(runs, follow="A")) == {(2.0, 1.0)}  # the paper's lCE-Q
    assert set(pairs(runs, follow="B")) == {(1.0, 2.0)}
    assert set(pairs(runs)) == {(-100.0, -100.0)}  # both want the middle, for ever


@pytest.mark.deep
def test_the_limits_of_game_two_by_hand(two):
    # Three steps to the goal, discount 0.9: 2 * 0.9^2 = 1.62 in the middle; 0.81 through the barrier, half of the time.
    limits = {rule.name: model_based(two, rule) for rule in (Correlated("u"), Correlated("e"), Nash())}
    start = (6, 8)
    for name in ("uCE-Q", "Nash-Q"):  # ties between (A, B) and (B, A) go to A; the pure equilibrium is the best sum
        found = limits[name]
        assert found.converged
        np.testing.assert_allclose([found.value[i][start] for i in range(2)], [1.62, 0.81], atol=1e-9)
        assert max(found.certificate.exploitability.expected.values()) <= 1e-9
    # Egalitarian: a coin decides who takes the barrier, 1.215 each; without the signal they collide at times.
    fair = limits["eCE-Q"]
    np.testing.assert_allclose([fair.value[i][start] for i in range(2)], [1.215, 1.215], atol=1e-9)
    together = joint_play(fair)
    signalled = qt.evaluate(together.game, together, steps=100).score
    assert signalled["A"] == pytest.approx(1.215, abs=1e-9)
    assert qt.evaluate(two, fair, steps=100).score["A"] < 0.8
    # Nobody gains by disobeying, at any state of the true game: a correlated equilibrium of the whole Markov game.
    assert max(fair.certificate.signal_gain.values()) <= 1e-9
    assert fair.certificate.correlated_violation <= 1e-12
