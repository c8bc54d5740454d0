"""Play that follows theta by Newton's method is what a fresh solve finds; where the branch ends, it is solved anew."""

import numpy as np
import pytest

import quantal as qt
from quantal.infer.matching import Terms
from quantal.infer.walk import Walk
from quantal.precision import double_precision

wants = qt.infer.features


@pytest.mark.parametrize(
    ("terms", "play"),
    [
        ({"horizon": 4}, "expected"),
        pytest.param({"discount": 0.8}, "soft", marks=pytest.mark.deep),
        pytest.param({"discount": 0.5}, "greedy", marks=pytest.mark.deep),
    ],
)
def test_a_walk_ends_where_a_solve_does(terms, play):
    game = qt.games.grid.game_one()
    meet = wants.function(game, "A", "meet", lambda x, _: x[0] == x[1])
    features = qt.infer.Features.of(
        game, {"A": [meet, wants.function(game, "A", "stays", lambda _, a: a[0] == 0)]}, keep=True
    )
    truth, beta = np.array([-1.0, 0.6]), (0.1, 0.15)

    @double_precision
    def walked():
        walk = Walk(game, features, Terms(play, beta, terms.get("horizon"), terms.get("discount")), np.zeros(2))
        for share in (0.2, 0.5, 0.8, 1.0):
            walk.move(share * truth)
        first, record = walk.expected(3), walk.solution
        return walk, record, first, walk.expected(3)

    walk, record, before, after = walked()
    fresh = qt.solve(features.game_with(game, truth), beta=beta, value=play, **terms)
    assert walk.solves == 1
    assert record.converged
    for agent in game.agents:
        np.testing.assert_allclose(walk.policy[agent], fresh.policy[agent], atol=1e-10)
        np.testing.assert_allclose(record.policy[agent], fresh.policy[agent], atol=1e-10)
        np.testing.assert_allclose(record.value[agent], fresh.value[agent], atol=1e-8)
    np.testing.assert_allclose(before, after, atol=1e-12)


def coordination():
    """To choose the same is worth 1 to both; the row player may like to be on the left besides, by theta."""
    game = qt.MarkovGame.normal_form([np.eye(2), np.eye(2)], actions=[["left", "right"]] * 2, agents=["row", "column"])
    return game, qt.infer.Features.of(game, {"row": [wants.indicator(game, "row", action="left")]}, keep=True)


def test_a_branch_is_kept_until_it_ends():
    """With theta > 0 the principal branch is both on the left, with theta < 0 both on the right; but at beta = 6 both
    on the left stays an equilibrium for some way, until it meets another one and both are gone.
    """
    game, features = coordination()
    levels, left, solves = np.arange(0.2, -0.9, -0.05), [], []

    @double_precision
    def walked():
        walk = Walk(game, features, Terms("expected", 6.0, None, None), levels[:1])
        for level in levels:
            walk.move(np.array([level]))
            left.append(float(walk.policy["row"].reshape(-1)[0]))
            solves.append(walk.solves)
            # Every one is an equilibrium: 6 times what left is worth more, is the log-odds of left.
            row, column = (walk.policy[a].reshape(-1) for a in ("row", "column"))
            assert np.log(row[0] / row[1]) == pytest.approx(6 * (column[0] - column[1] + level), abs=1e-9)
            assert np.log(column[0] / column[1]) == pytest.approx(6 * (row[0] - row[1]), abs=1e-9)
        walk.afresh()
        return float(walk.policy["row"].reshape(-1)[0])

    last = walked()
    kept = np.array(left) > 0.5
    assert kept[levels > -0.3].all()
    assert not kept[-1]
    assert np.array(solves)[kept].max() == 1 < solves[-1]
    assert last == pytest.approx(left[-1], abs=1e-9)


def test_a_new_episode_begins_on_the_principal_branch():
    game, features = coordination()
    learner = qt.infer.online(game, features, agent="column", beta=6.0, theta={"row": [0.1]}, rate=0.4)
    learner.observe(0, ("right", "right"))  # theta falls below 0
    assert learner.theta["row"][0] < 0
    assert learner.policy.reshape(-1)[0] > 0.9
    learner.restart()
    assert learner.policy.reshape(-1)[0] < 0.1
    principal = qt.solve(features.game_with(game, learner.theta), beta=6.0)
    np.testing.assert_allclose(learner.policy, principal.policy["column"], atol=1e-9)
