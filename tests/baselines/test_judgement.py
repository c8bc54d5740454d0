"""How learned play is judged: joint play as a game, gains of disobeying a signal, what public functions accept."""

from dataclasses import replace

import numpy as np
import pytest

import quantal as qt
from quantal import ParameterError, baselines
from quantal.baselines import Correlated, Friend, joint_play, model_based, signal_gain
from quantal.solution import PerAgent


@pytest.fixture(scope="module")
def independent():
    """Policies that are drawn independently, with a joint distribution that says the same."""
    game = qt.games.random.stochastic(3, 2, 2, seed=4)
    found = baselines.q_learning(game, steps=200, discount=0.8)
    rng = np.random.default_rng(1)
    policies = tuple(rng.dirichlet(np.ones(2), size=3) for _ in range(2))
    joint = np.einsum("sa,sb->sab", *policies)
    return replace(found, policy=PerAgent(game.agents, policies), joint=joint)


def test_joint_play_of_independent_policies_is_their_play(independent):
    together = joint_play(independent)
    apart = qt.evaluate(independent.game, independent)
    same = qt.evaluate(together.game, together)
    for agent in independent.game.agents:
        assert same.score[agent] == pytest.approx(apart.score[agent], abs=1e-10)
    np.testing.assert_allclose(same.visits, apart.visits, atol=1e-10)
    played = qt.simulate(together.game, together, episodes=500, steps=10, seed=0)
    assert played.rewards.shape == (500, 10, 2)


def test_without_correlation_disobeying_gains_what_deviating_gains(independent):
    # A signal that tells an agent nothing about the others leaves it the deviations that it has anyway.
    gains = signal_gain(independent.game, independent.joint, independent.parameters.discount)
    exact = qt.exploitability(independent.game, independent)
    for agent in independent.game.agents:
        assert gains[agent] == pytest.approx(exact[agent], abs=1e-9)


def test_joint_play_of_agents_that_move_on_their_own():
    # A product game (pursuit): its joint table is written out for joint play, and must say the same.
    game = qt.games.pursuit.two_players()
    found = model_based(game, Friend(), discount=0.5)
    joint = np.einsum("xya,xyb->xyab", found.policy["h"], found.policy["p"])
    together = joint_play(replace(found, joint=joint))
    for agent in game.agents:
        assert qt.evaluate(together.game, together, steps=5).score[agent] == pytest.approx(
            qt.evaluate(game, found, steps=5).score[agent], abs=1e-12
        )


def test_a_signal_can_gain_where_marginals_cannot():
    # Battle of the sexes by a fair coin: an equilibrium with the signal, though its marginals meet half of the time.
    first, second = np.diag([2.0, 1.0]), np.diag([1.0, 2.0])
    game = qt.MarkovGame.normal_form([first, second])
    coin = np.diag([0.5, 0.5])[None]
    assert max(signal_gain(game, coin, (0.0, 0.0)).values()) <= 1e-12
    # Told the first action for certain while the column player flips a coin of its own: nothing to gain either; told
    # the second, the row player would rather play the first: 2 p against 1 (1 - p) with p = 1/2.
    wrong = np.array([[0.0, 0.0], [0.5, 0.5]])[None]
    assert signal_gain(game, wrong, (0.0, 0.0))["agent1"] == pytest.approx(0.5)


@pytest.mark.deep
def test_public_functions_take_what_was_learned():
    game = qt.games.random.stochastic(3, 2, 2, seed=4)
    found = baselines.correlated_q(game, "u", steps=300)
    assert qt.certify(found) is found.certificate
    text = str(qt.certify(found))
    assert "exploitability" in text
    assert "common signal" in text
    assert found.method in repr(found)
    assert qt.simulate(game, found, episodes=3, steps=4).rewards.shape == (3, 4, 2)
    assert isinstance(found.joint, np.ndarray)
    np.testing.assert_allclose(found.joint.sum(axis=2), found.policy[0], atol=1e-12)
    assert np.isnan(found.q[0]).sum() == 0


def test_without_joint_play_there_is_none():
    game = qt.games.random.stochastic(3, 2, 2, seed=4)
    with pytest.raises(ParameterError, match="no joint play was learned"):
        joint_play(baselines.q_learning(game, steps=10))
    own = model_based(game, Correlated("l"), max_sweeps=1)
    assert not own.converged
    with pytest.raises(ParameterError, match="say whose to follow"):
        joint_play(own)
