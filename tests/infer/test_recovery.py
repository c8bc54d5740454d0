"""Parameters are recovered from simulated play: errors fall like 1/sqrt(n), and intervals hold what they promise.

200 replications each; the share of 95% intervals that cover the truth is then itself known to about 1.5 points.
"""

import numpy as np
import pytest

import quantal as qt
from quantal.infer import Features
from quantal.infer import features as wants

pytestmark = pytest.mark.deep

REPLICATIONS = 200


def judge(vectors, errors, truth):
    vectors, errors = np.array(vectors), np.array(errors)
    covered = np.abs(vectors - truth) <= 1.959964 * errors
    assert 0.90 <= covered.mean() <= 0.99
    # What is claimed of the spread is what the spread is; 200 replications leave 5% open.
    np.testing.assert_allclose(errors.mean(axis=0), vectors.std(axis=0), rtol=0.25)
    return vectors.std(axis=0)


def rates(few, many, ratio):
    """Four times the data halve the error."""
    np.testing.assert_allclose(few / many, np.sqrt(ratio), rtol=0.25)


def replicate(draw, estimate, truth):
    vectors, errors = [], []
    for seed in range(REPLICATIONS):
        found = estimate(draw(seed))
        assert found.converged
        vectors.append(found.vector)
        errors.append(found.standard_errors)
    return judge(vectors, errors, truth)


def test_pursuit_over_a_finite_horizon():
    """What meeting is worth (1 and -1) is known: it says what beta is, the other weights being worth what they are."""
    game, horizon = qt.games.pursuit.two_players(), 5
    meeting = Features.of(game, {a: [wants.collision(game, a)] for a in game.agents})
    game = meeting.game_with(game, [1.0, -1.0])
    wanted = Features.of(game, {a: [wants.waiting(game, a)] for a in game.agents}, keep=True)
    truth = [-0.3, 0.5]
    solution = qt.solve(wanted.game_with(game, truth), beta=1.2, horizon=horizon)
    spreads = [
        replicate(
            lambda seed, n=n: qt.simulate(game, solution, episodes=n, seed=seed),
            lambda data: qt.infer.rewards(game, wanted, data, estimate_beta="common", horizon=horizon),
            [*truth, 1.2],
        )
        for n in (300, 1200)
    ]
    rates(*spreads, 4)


def test_grid_game_without_end():
    game = qt.games.grid.game_one()
    stay = [names.index("stay") for names in game.actions]
    wanted = Features.of(
        game,
        [[wants.function(game, i, "stays", lambda x, a, i=i: a[i] == stay[i])] for i in range(2)],
        keep=True,
    )
    truth = [5.0, -5.0]
    solution = qt.solve(wanted.game_with(game, truth), beta=0.05, discount=0.8)
    spreads = [
        replicate(
            lambda seed, n=n: qt.simulate(game, solution, episodes=n, seed=seed, steps=4),
            lambda data: qt.infer.rewards(game, wanted, data, beta=0.05, estimate_beta="common", discount=0.8),
            [*truth, 0.05],
        )
        for n in (300, 1200)
    ]
    rates(*spreads, 4)


def crowd_play(game, solution, n, seed):
    """Counts of n independent rounds: each agent's chain, cell by cell, in multinomial draws."""
    rng, horizon, counts = np.random.default_rng(seed), solution.horizon, []
    for i in range(len(game.agents)):
        kind, goal = game.kind_of(i), game.goals[i]
        here = rng.multinomial(n, game.start(i))
        own = np.zeros((horizon, game.number_of_cells, len(kind.actions)))
        for t in range(horizon):
            after = np.zeros_like(here)
            for x in np.flatnonzero(here):
                if x == goal:
                    after[x] += here[x]
                    continue
                chosen = rng.multinomial(here[x], solution.policy[i][t, x] / solution.policy[i][t, x].sum())
                own[t, x] = chosen
                for a in np.flatnonzero(chosen):
                    arrived = rng.multinomial(chosen[a], kind.probabilities[x, a])
                    np.add.at(after, kind.successors[x, a], arrived)
            here = after
        counts.append(own)
    return counts


def test_driving_crowd():
    game, horizon = qt.games.driving.junction(), 10
    wanted = Features.of(game, {"car 1": [wants.waiting(game, "car 1")]}, keep=True)
    truth = np.array([0.2, 1.0])
    solution = qt.solve(wanted.game_with(game, truth[:1]), beta=1.0, horizon=horizon)
    spreads = [
        replicate(
            lambda seed, n=n: crowd_play(game, solution, n, seed),
            lambda data: qt.infer.rewards(game, wanted, data, beta=0.8, estimate_beta="common", horizon=horizon),
            truth,
        )
        for n in (50, 200)
    ]
    rates(*spreads, 4)
