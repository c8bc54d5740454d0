"""Online MMCE-IRL: the update by hand, what is known stays known, and error that falls, with MGE-F, -I and -FB."""

import numpy as np
import pytest

import quantal as qt
from quantal.infer.expectations import expected

wants = qt.infer.features


@pytest.fixture(scope="module")
def pursuit():
    game = qt.games.pursuit.two_players()
    features = qt.infer.Features.of(
        game, {"h": [wants.distance(game, "h", "p")], "p": [wants.indicator(game, "p", at=4, name="middle")]}
    )
    return game, features


def watched(learner, data):
    for episode in range(len(data)):
        learner.restart()
        for time in range(int(data.lengths[episode])):
            learner.observe(data.states[episode, time].tolist(), data.actions[episode, time].tolist())
    return learner


def test_the_first_step_is_algorithm_4_with_a_plus(pursuit):
    game, features = pursuit
    learner = qt.infer.online(game, features, agent="h", horizon=3, theta=[-0.5, 0.2], rate=0.7)
    played = qt.solve(features.game_with(game, [-0.5, 0.2]), beta=1.0, horizon=3)
    np.testing.assert_allclose(learner.policy, played.policy["h"][0], atol=1e-12)
    stay = [names.index("stay") for names in game.actions]
    learner.observe((0, 4), stay)
    # After one step from (0, 4): the prey was in the middle, for certain. So F~ = F-bar, and nothing is learned.
    np.testing.assert_allclose(learner.theta["p"], 0.2, atol=1e-12)
    learner.observe((0, 4), stay)
    there = played.policy["p"][0][0, 4, stay[1]]
    assert learner.theta["p"][0] == pytest.approx(0.2 + 0.7 * (1 - (1 + there) / 2), abs=1e-12)
    # Its own weight it knows.
    assert learner.theta["h"][0] == -0.5
    assert len(learner.history) == 3
    with pytest.raises(qt.ParameterError, match=r"decision 2, at \(8, 4\): h cannot have come there from \(0, 4\)"):
        learner.observe((8, 4), stay)
    assert len(learner.history) == 3
    np.testing.assert_allclose(learner.choose((0, 4)), learner.solution.policy["h"][2][0, 4])


@pytest.mark.parametrize("terms", [{"horizon": 5}, pytest.param({"discount": 0.7}, marks=pytest.mark.deep)])
def test_error_falls_and_play_becomes_that_of_who_knows(pursuit, terms):
    game, features = pursuit
    truth = np.array([-0.8, 1.0])
    played = qt.solve(features.game_with(game, truth), beta=1.0, **terms)
    data = qt.simulate(game, played, episodes=10, seed=4, steps=None if "horizon" in terms else 5)
    learner = qt.infer.online(game, features, agent="h", theta={"h": [-0.8]}, rate=2.0, **terms)
    surprise = np.abs(learner.solution.policy["h"] - played.policy["h"]).max()
    watched(learner, data)
    errors = np.abs(np.array(learner.history)[:, 1] - 1.0)
    assert errors[-1] < 0.5 * errors[0]
    assert np.abs(learner.solution.policy["h"] - played.policy["h"]).max() < 0.5 * surprise
    # Batch matching on the same play is where it is heading.
    batch = qt.infer.match(game, features, data, play="expected", **terms)
    assert abs(learner.theta["p"][0] - batch.theta["p"][0]) < 0.4


@pytest.mark.deep
def test_a_crowds_member_learns_what_another_wants():
    scene = qt.read_scene("junction")
    crowd = scene.crowd()
    features = qt.infer.Features.of(crowd, {"car 3": [wants.waiting(crowd, "car 3")]}, keep=True)
    horizon = 6
    played = qt.solve(features.game_with(crowd, [1.5]), beta=scene.beta, horizon=horizon)
    learner = qt.infer.online(crowd, features, agent="car 1", beta=scene.beta, horizon=horizon, rate=3.0)
    rng = np.random.default_rng(0)
    stay = crowd.kind_of("car 1").actions.index("stay")
    assert learner.policy.shape == (38, 5)
    for _ in range(3):
        places = [int(np.flatnonzero(crowd.start(i))[0]) for i in range(4)]
        learner.restart()
        for time in range(horizon):
            actions = []
            for i in range(4):
                at_goal = places[i] == crowd.goals[i]
                actions.append(stay if at_goal else int(rng.choice(5, p=played.policy[i][time, places[i]])))
            learner.observe(places, actions)
            places = [
                int(crowd.kind_of(i).successors[x, a, 0]) for i, (x, a) in enumerate(zip(places, actions, strict=True))
            ]
    errors = np.abs(np.array(learner.history)[:, 0] - 1.5)
    assert errors[-1] < 0.5 * errors[0]
    assert (
        expected(features, learner.solution, horizon)[0]
        > expected(features, qt.solve(crowd, beta=scene.beta, horizon=horizon), horizon)[0]
    )


def test_what_is_seen_is_checked(pursuit):
    game, features = pursuit
    learner = qt.infer.online(game, features, agent="h", horizon=1)
    stay = ["stay", "stay"]
    with pytest.raises(qt.ParameterError, match="action of h: 'left' is illegal there: expected one of"):
        learner.observe((0, 4), ["left", "stay"])
    with pytest.raises(qt.ParameterError, match=r"action of p: expected one of .*: got 'fly'"):
        learner.observe((0, 4), ["stay", "fly"])
    with pytest.raises(qt.GameError, match="out of range"):
        learner.observe((0, 9), stay)
    with pytest.raises(qt.ParameterError, match="expected one for each of h, p"):
        learner.observe((0, 4), ["stay"])
    learner.observe((0, 4), stay)
    with pytest.raises(qt.ParameterError, match="the horizon, 1, is over"):
        learner.observe((0, 4), stay)
    with pytest.raises(qt.ParameterError, match="the horizon, 1, is over"):
        _ = learner.policy
    alone = qt.infer.Features.of(game, {"h": [wants.waiting(game, "h")]})
    with pytest.raises(qt.ParameterError, match="nobody but the learner has any"):
        qt.infer.online(game, alone, agent="h", horizon=1)
    with pytest.raises(qt.ParameterError, match="expected positive numbers"):
        qt.infer.online(game, features, agent="h", horizon=1, rate=0.0)
