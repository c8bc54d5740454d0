"""Which branch is followed where symmetric games are torn open a little: several branches nearly cross at once."""

import numpy as np
import pytest

import quantal as qt


def alike(*payoffs):
    """Both agents gain payoffs[k] if both choose k."""
    table = np.diag(np.array(payoffs, dtype=float))
    return qt.MarkovGame.normal_form([table, table])


def scattered(*payoffs):
    """Stationary: every state is such a game of its own, and actions do not move the state."""
    tables = np.stack([np.diag(np.array(p, dtype=float)) for p in payoffs])
    n, a = tables.shape[:2]
    return qt.MarkovGame.from_arrays([tables, tables], np.full((n, a, a, n), 1 / n))


def descended(table, beta, steps=40_000):
    """The branch from uniform play in tiny steps of beta, by a damped iteration that a bend cannot shake off."""
    p = np.full(len(table), 1 / len(table))
    for level in np.concatenate([np.linspace(0, beta, steps), np.full(200, beta)]):
        logits = level * table @ p
        new = np.exp(logits - logits.max())
        p = 0.5 * p + 0.5 * new / new.sum()
    return p


@pytest.mark.parametrize("beta", [4.0, 10.0, 100.0, 1000.0])
@pytest.mark.parametrize("step", [1e-2, 1e-3])
def test_a_branch_torn_open_in_two_dimensions_is_followed_at_every_target(beta, step):
    # At beta near 3 two eigenvalues change sign almost together: the determinant's sign says nothing. The best action
    # wins all the same, however far the target is.
    game = alike(1, 1 + step, 1 + 2 * step)
    found = qt.solve(game, beta=beta)
    assert found.converged
    np.testing.assert_allclose(found.policy[0][0], descended(np.diag([1, 1 + step, 1 + 2 * step]), beta), atol=1e-6)
    np.testing.assert_allclose(qt.solve_path(game, [beta], discount=0.0)[0].policy[0], found.policy[0], atol=1e-9)


@pytest.mark.parametrize("step", [3e-3, 1e-4])
def test_states_that_do_not_interact_are_followed_as_each_alone(step):
    one = qt.solve(alike(1, 1 + step), beta=3.0).policy[0][0]
    assert one[1] > 0.9
    for state in qt.solve(scattered((1, 1 + step), (1, 1 + step)), beta=3.0, discount=0.9).policy[0]:
        np.testing.assert_allclose(state, one, atol=1e-9)


@pytest.mark.parametrize("actions", [2, 3, 4])
def test_a_crossing_is_reported_in_however_many_dimensions(actions):
    # The uniform branch of a pure coordination game with n actions is left at beta = n, in n - 1 dimensions at once.
    path = qt.solve_path(alike(*[1] * actions), [10.0], discount=0.0)
    assert [b.beta for b in path.bifurcations] == pytest.approx([actions], abs=2e-3)


@pytest.mark.parametrize("top", [3.0, 7.0, 20.0])
def test_crossings_are_reported_wherever_the_path_ends(top):
    path = qt.solve_path(scattered((1, 1), (2, 2)), [top], discount=0.9)
    assert [b.beta for b in path.bifurcations] == pytest.approx([1.0, 2.0], abs=2e-2)


def test_a_path_over_one_decision_is_the_path_of_the_game_played_once():
    # An S-shaped branch: answers close to each other in beta need not lie on one stretch of it.
    row = np.array([[5.251, 0], [2.28, 2.766]])
    column = np.array([[5.251, 2.28], [0, 3.261]])
    game = qt.MarkovGame.normal_form([row, column])
    betas = np.linspace(0, 8, 60)
    once, traced = qt.solve_path(game, betas, horizon=1), qt.solve_path(game, betas, discount=0.0)
    assert once.converged
    for a, b in zip(once, traced, strict=True):
        np.testing.assert_allclose(a.policy[0][0], b.policy[0], atol=1e-9)


def test_an_answer_that_rounding_has_swallowed_is_not_called_precise():
    pennies = qt.MarkovGame.normal_form([[[9.0, 0.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]])
    found = qt.solve(pennies, beta=1e18)
    assert not found.converged
    assert found.status is not qt.Status.PRECISION
    assert found.branch is qt.Branch.UNLABELLED
