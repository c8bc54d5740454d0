"""Extreme numbers: every answer is converged or says that it is not, and nothing is NaN that means something."""

import math

import numpy as np
import pytest
from tests import plain
from tests.cases import coupled_game

import quantal as qt

RULES = ("expected", "soft", "greedy")


def game_of(seed=0, scale=1.0, states=5, counts=(3, 2)):
    random = np.random.default_rng(seed)
    rewards = [scale * random.normal(size=(states, *counts)) for _ in counts]
    return qt.MarkovGame.from_arrays(rewards, random.dirichlet(np.ones(states), size=(states, *counts)))


def is_sound(found):
    """What every solution owes its reader, converged or not."""
    game = found.game
    lead = () if found.horizon is None else (found.horizon,)
    assert found.converged == (found.status is qt.Status.CONVERGED)
    assert found.converged == (found.residual <= found.parameters.tol)
    assert found.converged or found.branch is qt.Branch.UNLABELLED or found.status is qt.Status.PRECISION
    assert math.isfinite(found.residual)
    assert found.residual == found.residuals.max()
    for i, mask in enumerate(game.legal):
        legal = np.broadcast_to(mask, (*lead, *game.state_shape, mask.shape[-1]))
        assert found.policy[i].shape == legal.shape
        np.testing.assert_allclose(found.policy[i].sum(axis=-1), 1, atol=1e-12)
        assert (found.policy[i][~legal] == 0).all()
        assert np.isfinite(found.q[i][legal]).all()
        assert np.isnan(found.q[i][~legal]).all()
        assert np.isfinite(found.value[i]).all()
        assert np.isfinite(found.log_policy[i][legal]).all()
        assert (found.log_policy[i][~legal] == -np.inf).all()
        # The logarithms are those of the policy wherever it has not underflowed.
        shown = legal & (found.policy[i] > 1e-250)
        np.testing.assert_allclose(np.exp(found.log_policy[i][shown]), found.policy[i][shown], rtol=1e-9)
    return found


HOW = [{"discount": 0.9}, {"horizon": 3}]
ALL_DEEP = ["expected", *(pytest.param(rule, marks=pytest.mark.deep) for rule in RULES[1:])]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("rule", ALL_DEEP)
@pytest.mark.parametrize("beta", [1e-9, 1e3, 1e6])
def test_extreme_precisions(beta, rule, how):
    game = game_of()
    found = is_sound(qt.solve(game, beta=beta, value=rule, **how))
    if beta == 1e-9:
        assert found.converged
        assert all(np.allclose(p, 1 / p.shape[-1], atol=1e-7) for p in found.policy.values())
    if found.converged and beta >= 1e3 and rule == "expected":
        # Close to a Nash equilibrium: nobody gains more than the price of exploring, log(actions)/beta a decision.
        gains = qt.exploitability(game, found)
        assert max(gains.values()) <= math.log(3) / beta * (10 if "discount" in how else 3) + 1e-9


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_tiny_and_huge_payoffs(scale, how):
    # beta in proportion: the same game in other units, so the same play.
    unit = qt.solve(game_of(), beta=2.0, **how)
    found = is_sound(qt.solve(game_of(scale=scale), beta=2.0 / scale, **how))
    assert found.converged
    assert found.residual <= 1e-8 * scale
    for i in range(2):
        np.testing.assert_allclose(found.policy[i], unit.policy[i], atol=1e-9)


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_tiny_and_huge_payoffs_at_an_ordinary_precision(scale):
    for how in HOW:
        found = is_sound(qt.solve(game_of(scale=scale), beta=1.0, **how))
        if scale < 1:
            assert found.converged
            assert all(np.allclose(p, 1 / p.shape[-1], atol=1e-7) for p in found.policy.values())


@pytest.mark.parametrize("rule", ALL_DEEP)
@pytest.mark.parametrize("how", HOW)
def test_an_agent_with_one_action_watches(rule, how):
    # Everybody else's choice is a single-agent problem then, which plain dynamic programming solves in loops.
    game = game_of(counts=(3, 1))
    found = is_sound(qt.solve(game, beta=5.0, value=rule, **how))
    assert found.converged
    assert (found.policy[1] == 1).all()
    assert plain.residual(found) < 1e-10
    assert found.branch is qt.Branch.UNIQUE or "discount" in how


def test_nobody_has_a_choice():
    # All policies are 1; the values solve V = R + discount P V.
    game = game_of(counts=(1, 1))
    found = is_sound(qt.solve(game, beta=3.0, discount=0.9))
    assert found.converged
    kernel = np.zeros((5, 5))
    for s in range(5):
        np.add.at(kernel[s], game.dynamics.successors[s, 0, 0], game.dynamics.probabilities[s, 0, 0])
    for i in range(2):
        expected = np.linalg.solve(np.eye(5) - 0.9 * kernel, game.rewards[i][:, 0, 0])
        np.testing.assert_allclose(found.value[i], expected, atol=1e-10)


@pytest.mark.parametrize("rule", ALL_DEEP)
def test_one_agent_alone(rule):
    game = game_of(counts=(3,))
    for how in HOW:
        found = is_sound(qt.solve(game, beta=50.0, value=rule, **how))
        assert found.converged
        assert plain.residual(found) < 1e-10
    # A stage with one agent has one answer, whatever the precision.
    assert qt.solve(game, beta=1e5, horizon=2, value=rule).branch is qt.Branch.UNIQUE


@pytest.mark.parametrize("rule", ALL_DEEP)
def test_five_agents(rule):
    game = game_of(states=2, counts=(2, 2, 3, 2, 2))
    for how in ({"discount": 0.5}, {"horizon": 2}):
        found = is_sound(qt.solve(game, beta=1.0, value=rule, **how))
        assert found.converged
        assert plain.residual(found) < 1e-11


@pytest.mark.parametrize("rule", ["expected", pytest.param("greedy", marks=pytest.mark.deep)])
@pytest.mark.parametrize("how", HOW)
def test_one_agent_plays_uniformly_and_the_other_does_not(rule, how):
    game = game_of()
    found = is_sound(qt.solve(game, beta=[0.0, 4.0], value=rule, **how))
    assert found.converged
    np.testing.assert_allclose(found.policy[0], 1 / 3, atol=1e-14)
    assert plain.residual(found) < 1e-11


@pytest.mark.parametrize("rule", ALL_DEEP)
def test_a_discount_close_to_one(rule):
    found = is_sound(qt.solve(game_of(), beta=1.0, discount=0.999, value=rule))
    assert found.converged
    assert plain.residual(found) < 1e-9
    assert found.residual <= found.parameters.tol < 1e-9


def test_no_discount_at_all_needs_no_future():
    game = game_of()
    once = is_sound(qt.solve(game, beta=3.0, horizon=1))
    myopic = is_sound(qt.solve(game, beta=3.0, discount=0.0))
    # Without final rewards a single decision is the discount-free game.
    assert once.converged
    for i in range(2):
        np.testing.assert_allclose(once.policy[i][0], myopic.policy[i], atol=1e-12)
        np.testing.assert_allclose(once.value[i][0], myopic.value[i], atol=1e-12)


def test_one_state_for_ever_is_the_game_played_once():
    # V is a constant that every action gets alike.
    payoffs = [np.random.default_rng(k).normal(size=(3, 2)) for k in range(2)]
    once = qt.solve(qt.MarkovGame.normal_form(payoffs), beta=2.0)
    forever = qt.MarkovGame.from_arrays([u[None] for u in payoffs], np.ones((1, 3, 2, 1)))
    found = is_sound(qt.solve(forever, beta=2.0, discount=0.9))
    assert found.converged
    for i in range(2):
        np.testing.assert_allclose(found.policy[i], once.policy[i], atol=1e-10)
        np.testing.assert_allclose(found.value[i], 10 * once.value[i], atol=1e-9)


@pytest.mark.parametrize("rule", ["expected", pytest.param("greedy", marks=pytest.mark.deep)])
def test_what_happens_in_an_absorbing_state_stays_there(rule):
    # State 4 absorbs and pays nothing: its value is 0; the rest must satisfy the loops.
    random = np.random.default_rng(2)
    rewards = [random.normal(size=(5, 3, 2)) for _ in range(2)]
    transitions = random.dirichlet(np.ones(5), size=(5, 3, 2))
    for r in rewards:
        r[4] = 0
    transitions[4] = np.eye(5)[4]
    game = qt.MarkovGame.from_arrays(rewards, transitions)
    assert game.absorbing.tolist() == [False] * 4 + [True]
    for how in HOW:
        found = is_sound(qt.solve(game, beta=3.0, value=rule, **how))
        assert found.converged
        assert plain.residual(found) < 1e-11
        for i in range(2):
            np.testing.assert_allclose(found.value[i][..., 4], 0, atol=1e-12)
            assert np.allclose(found.policy[i][..., 4, :], 1 / found.policy[i].shape[-1])


def test_equal_payoffs_leave_nothing_to_choose():
    game = qt.MarkovGame.normal_form([np.full((3, 4), 7.0), np.zeros((3, 4))])
    for beta in (0.0, 1.0, 1e6):
        found = is_sound(qt.solve(game, beta=beta))
        assert found.converged
        assert found.branch is qt.Branch.UNIQUE
        assert all(np.allclose(p, 1 / p.shape[-1]) for p in found.policy.values())


@pytest.mark.parametrize("beta", [1e2, 1e4, 1e6])
def test_a_mixed_equilibrium_at_extreme_precision(beta):
    # Matching pennies with unequal stakes: as beta grows play tends to the mixed Nash equilibrium, (1/2, 1/10).
    game = qt.MarkovGame.normal_form([np.array([[9.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])])
    found = is_sound(qt.solve(game, beta=beta))
    assert found.converged
    assert found.branch is qt.Branch.UNIQUE
    assert found.policy[0][0, 0] == pytest.approx(0.5, abs=3 / beta)
    assert found.policy[1][0, 0] == pytest.approx(0.1, abs=1 / beta)


@pytest.mark.parametrize("method", ["picard", "newton", "continuation"])
def test_every_method_is_honest_where_it_is_hard(method):
    game = coupled_game(12, 5, (3, 2), 5, ["s01", "s01"])
    for how in HOW:
        for beta in (30.0, 1e5):
            is_sound(qt.solve(game, beta=beta, method=method, max_steps=300, **how))
