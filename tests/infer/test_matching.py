"""Feature matching: the textbook recursion, likelihood, the dual's gradient and its sign, and recovery."""

import itertools
import json
from pathlib import Path

import numpy as np
import optax
import pytest
from scipy.optimize import minimize
from tests.cases import own_game
from tests.solvers.test_causal_entropy import DECISIONS, TRUTH, two_by_two

import quantal as qt
from quantal.infer.expectations import expected, seen
from quantal.infer.features import Feature, Features

HORIZON = 5
PEER = json.loads((Path(__file__).parents[1] / "reference" / "imitation.json").read_text())
"""`benchmarks/reference/make_imitation.py` made it, in an environment of its own."""


@pytest.fixture(scope="module")
def alone():
    """One agent, four cells, three actions, moves by chance; two features."""
    rng = np.random.default_rng(8)
    game = own_game(7, (4,), (3,), (2,), [(4, 3)])
    game = qt.MarkovGame(
        state_shape=(4,), rewards=[np.zeros((1, 1))], dynamics=game.dynamics, actions=game.actions,
        agents=("ann",), start=[0.4, 0.3, 0.2, 0.1],
    )  # fmt: skip
    arrays = rng.normal(size=(4, 3)), rng.normal(size=(4, 1))
    features = Features.of(game, [[Feature(f"f{k}", array) for k, array in enumerate(arrays)]])
    truth = qt.solve(features.game_with(game, [0.9, -1.4]), beta=1.0, horizon=HORIZON, value="soft")
    return game, features, qt.simulate(game, truth, episodes=200, seed=1)


def kernel(game):
    """P(y | x, a), written out."""
    dense = np.zeros((4, 3, 4))
    for x, a, b in np.ndindex(game.dynamics.successors[0].shape):
        dense[x, a, game.dynamics.successors[0][x, a, b]] += game.dynamics.probabilities[0][x, a, b]
    return dense


def textbook(game, features, data):
    """Ziebart's MCE-IRL as textbooks have it: soft backward pass, forward pass, gradient ascent by L-BFGS."""
    P, F = kernel(game), np.stack([np.broadcast_to(f, (4, 3)) for f in features.arrays[0]])
    start = np.bincount(data.states[:, 0, 0], minlength=4) / len(data)
    told = np.zeros(2)
    for e, t in itertools.product(range(len(data)), range(HORIZON)):
        told += F[:, data.states[e, t, 0], data.actions[e, t, 0]] / len(data)

    def objective(theta):
        reward, V, policies = np.tensordot(theta, F, 1), np.zeros(4), []
        for _ in range(HORIZON):
            Q = reward + P @ V
            V = np.log(np.exp(Q).sum(axis=1))
            policies.append(np.exp(Q - V[:, None]))
        mass, found = start, np.zeros(2)
        for pi in reversed(policies):
            joint = mass[:, None] * pi
            found += (F * joint).sum(axis=(1, 2))
            mass = np.einsum("xa,xay->y", joint, P)
        return start @ V - theta @ told, found - told

    return minimize(objective, np.zeros(2), jac=True, method="L-BFGS-B", options={"ftol": 1e-15, "gtol": 1e-11}).x


def test_one_agent_alone_it_is_the_textbooks_mce_irl(alone):
    game, features, data = alone
    wanted = textbook(game, features, data)
    for play in ("soft", "entropy"):
        found = qt.infer.match(game, features, data, horizon=HORIZON, play=play)
        assert found.converged
        np.testing.assert_allclose(found.flat, wanted, atol=1e-6)


def test_one_agent_alone_whose_moves_are_certain_it_is_maximum_likelihood(alone):
    # sum_t [grad Q(x_t, a_t) - grad V(x_t)] telescopes to F~ - F-bar where the next state is the expected one. Where
    # chance moves, likelihood also answers to its luck: both then agree only on average.
    _, features, _ = alone
    rng = np.random.default_rng(2)
    game = qt.MarkovGame(
        state_shape=(4,),
        rewards=[np.zeros((1, 1))],
        dynamics=qt.Independent([rng.integers(4, size=(4, 3))]),
        actions=[("a", "b", "c")],
        agents=("ann",),
    )
    played = qt.solve(features.game_with(game, [0.9, -1.4]), beta=1.0, horizon=HORIZON, value="soft")
    data = qt.simulate(game, played, episodes=200, seed=1)
    found = qt.infer.match(game, features, data, horizon=HORIZON)

    def surprise(theta):
        log = qt.solve(features.game_with(game, theta), beta=1.0, horizon=HORIZON, value="soft").log_policy[0]
        return -log[np.arange(HORIZON), data.states[:, :-1, 0], data.actions[..., 0]].sum()

    best = minimize(surprise, found.flat + 0.1, method="BFGS", options={"gtol": 1e-4})
    np.testing.assert_allclose(found.flat, best.x, atol=1e-5)
    # So are their standard errors, the sandwich and the inverse information, but for the chance in the former.
    h, units = 1e-3, np.eye(2)
    information = [
        [
            sum(a * b * surprise(best.x + h * (a * u + b * v)) for a in (1, -1) for b in (1, -1)) / (4 * h * h)
            for v in units
        ]
        for u in units
    ]
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    np.testing.assert_allclose(found.standard_error, errors, rtol=0.1)


def test_the_duals_gradient_is_expected_less_observed():
    game, features = two_by_two()
    observed, step = np.array([0.2, -0.3]), 1e-5
    _, gradient = qt.infer.dual(game, features, TRUTH, observed, horizon=DECISIONS)
    for k in range(2):
        unit = np.eye(2)[k] * step
        high, low = (qt.infer.dual(game, features, TRUTH + s * unit, observed, horizon=DECISIONS)[0] for s in (1, -1))
        assert gradient[k] == pytest.approx((high - low) / (2 * step), abs=1e-8)


def ascended(play, sign, steps):
    """Algorithm 4's update, in batch, with averages that the truth makes."""
    game, features = two_by_two()
    solved = qt.infer.matching.Terms(play, 1.0, DECISIONS, None).solve
    observed = expected(features, solved(features.game_with(game, TRUTH)), DECISIONS)
    theta = np.zeros(2)
    for _ in range(steps):
        found = expected(features, solved(features.game_with(game, theta)), DECISIONS)
        theta = qt.infer.advance(theta, observed, found, sign * 3.0, 5.0, features.counts)
    return theta


def test_the_printed_sign_runs_into_the_ball_and_ours_recovers_the_truth():
    np.testing.assert_allclose(np.abs(ascended("expected", -1, steps=25)), 5.0, rtol=1e-6)
    np.testing.assert_allclose(ascended("expected", +1, steps=16), TRUTH, atol=1e-4)
    np.testing.assert_allclose(ascended("entropy", +1, steps=16), TRUTH, atol=1e-4)


def test_any_optimizer_of_optax_finds_the_same(alone):
    game, features, data = alone
    ours = qt.infer.match(game, features, data, horizon=HORIZON)
    theirs = qt.infer.match(
        game, features, data, horizon=HORIZON, optimizer=optax.sgd(3.0, momentum=0.5), tol=1e-7, max_steps=500
    )
    assert theirs.converged
    np.testing.assert_allclose(theirs.flat, ours.flat, atol=1e-5)
    assert ours.steps < theirs.steps


def test_the_ball_holds_what_would_be_infinite(alone):
    game, features, _ = alone
    # Nobody's averages: more than any play has.
    found = qt.infer.match(game, features, observed=[9.0, 9.0], horizon=HORIZON, bound=2.0, max_steps=60)
    assert np.linalg.norm(found.flat) == pytest.approx(2.0)
    assert found.at_bound == ("ann",)


def test_features_are_averaged_over_the_lengths_that_were_seen(alone):
    game, features, data = alone
    lengths = np.where(np.arange(len(data)) % 2, 2, HORIZON)
    actions = np.where(np.arange(HORIZON)[None, :, None] < lengths[:, None, None], data.actions, -1)
    cut = qt.Trajectories.from_arrays(game, data.states, actions)
    occasions = seen(game, features, cut)
    played = qt.solve(features.game_with(game, [0.9, -1.4]), beta=1.0, horizon=HORIZON, value="soft")
    P, F = kernel(game), np.stack([np.broadcast_to(f, (4, 3)) for f in features.arrays[0]])
    total = np.zeros(2)
    for e, length in enumerate(lengths):
        mass = np.eye(4)[data.states[e, 0, 0]]
        for t in range(length):
            joint = mass[:, None] * played.policy[0][t]
            total += (F * joint).sum(axis=(1, 2))
            mass = np.einsum("xa,xay->y", joint, P)
    np.testing.assert_allclose(expected(features, played, occasions), total / lengths.sum(), atol=1e-12)
    told = sum(
        F[:, data.states[e, t, 0], data.actions[e, t, 0]] for e, length in enumerate(lengths) for t in range(length)
    )
    np.testing.assert_allclose(occasions.mean, told / lengths.sum(), atol=1e-12)


@pytest.mark.parametrize("terms", [{"horizon": 3}, pytest.param({"discount": 0.8}, marks=pytest.mark.deep)])
def test_rewards_of_two_agents_are_recovered_and_errors_say_how_well(terms):
    game = qt.games.pursuit.two_players()
    wants = qt.infer.features
    features = Features.of(
        game, {"h": [wants.distance(game, "h", "p")], "p": [wants.indicator(game, "p", at=4, name="middle")]}
    )
    truth = np.array([-0.8, 0.7])
    played = qt.solve(features.game_with(game, truth), beta=1.0, **terms)
    off = []
    for episodes in (80, 5120):
        data = qt.simulate(game, played, episodes=episodes, seed=2, steps=None if "horizon" in terms else 3)
        found = qt.infer.match(game, features, data, play="expected", **terms)
        assert found.converged
        assert (np.abs(found.flat - truth) < 4 * found.standard_error).all()
        off.append(found.standard_error)
    # 64 times the data, an eighth of the error.
    np.testing.assert_allclose(off[0] / off[1], 8.0, rtol=0.35)


@pytest.mark.deep
def test_a_crowds_rewards_are_recovered():
    scene = qt.read_scene("junction")
    crowd = scene.crowd()
    wants = qt.infer.features
    features = Features.of(crowd, {"car 3": [wants.waiting(crowd, "car 3")]}, keep=True)
    truth = np.array([0.4])
    played = qt.solve(features.game_with(crowd, truth), beta=scene.beta, horizon=8)
    found = qt.infer.match(
        crowd, features, observed=expected(features, played, 8), horizon=8, beta=scene.beta, play="expected", tol=1e-7
    )
    np.testing.assert_allclose(found.flat, truth, atol=1e-4)


def test_what_averages_do_not_determine_is_named(alone):
    game, features, data = alone
    twice = Features.of(game, [[Feature("a", features.arrays[0][0]), Feature("b", 2 * features.arrays[0][0])]])
    with pytest.warns(UserWarning, match="not identified by these features' averages: ann: a, ann: b"):
        found = qt.infer.match(game, twice, data, horizon=HORIZON)
    assert found.unidentified == ("ann: a", "ann: b")
    assert np.isnan(found.standard_error).all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"play": "wild"}, "play='wild': expected one of"),
        ({"play": "entropy", "horizon": None, "discount": 0.9}, "has a last decision"),
        ({"play": "entropy", "beta": 2.0}, "precision is 1"),
        ({"bound": 0.0}, "bound=0.0"),
        ({"observed": [0.0, 0.0]}, "one of them"),
        ({"horizon": 3}, "an episode has 5 decisions: expected at most the horizon, 3"),
    ],
)
def test_what_is_asked_for_is_checked(alone, given, message):
    game, features, data = alone
    with pytest.raises(qt.ParameterError, match=message):
        qt.infer.match(game, features, data, **{"horizon": HORIZON, **given})


@pytest.mark.parametrize("name", PEER["problems"])
def test_one_agent_alone_it_is_what_imitation_finds(name):
    """Its policy at the true weights, and the weights that it finds, to the 1e-6 at which its search stops."""
    given = PEER["problems"][name]
    phi, horizon = np.array(given["features"]), given["horizon"]
    actions = np.array(given["policy_at_0"]).shape[1]
    game = qt.MarkovGame.from_arrays([np.zeros((len(phi), actions))], given["moves"], start=given["start"])
    features = Features.of(game, [[Feature(f"f{k}", column[:, None]) for k, column in enumerate(phi.T)]])
    means = np.array(given["visits"]) @ phi / horizon
    found = qt.infer.match(game, features, observed=means, horizon=horizon, play="soft")
    assert found.converged
    np.testing.assert_allclose(found.flat, given["theta"], atol=3e-6)
    np.testing.assert_allclose(found.solution.policy[0][0], given["policy_at_0"], atol=1e-6)
