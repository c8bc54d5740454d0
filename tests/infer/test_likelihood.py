"""Derivatives of the likelihood through the equilibrium, held against differences of plain solves."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests import cases

import quantal as qt
from quantal.infer import Features, implicit, likelihood
from quantal.infer.features import Feature


def some_features(game, seed, count=2):
    """Random features on states and all actions: no two actions are ever equally good."""
    rng = np.random.default_rng(seed)
    shape = game.state_shape + game.action_counts
    return Features.of(
        game, {a: [Feature(f"f{k}", rng.normal(size=shape)) for k in range(count)] for a in game.agents}, keep=True
    )


def some_counts(game, seed, horizon=None):
    """Whatever is legal may have been seen; gradients need not be at a maximum."""
    rng = np.random.default_rng(seed)
    lead = () if horizon is None else (horizon,)
    return [
        rng.integers(0, 4, size=(*lead, *game.state_shape, mask.shape[-1])) * mask.astype(float) for mask in game.legal
    ]


def differences(function, p, h):
    """Fourth-order central differences."""
    found = []
    for e in np.eye(p.size):
        near, far = (np.asarray(function(p + k * h * e)) - np.asarray(function(p - k * h * e)) for k in (1, 2))
        found.append((8 * near - far) / (12 * h))
    return np.array(found)


def check_gradient(posed, p, h=2e-4, *, forward=False):
    posed.tracing = True  # every value from a solve of its own
    gradient = posed.gradient(p)
    expected = differences(posed.value, p, h)
    assert np.abs(gradient - expected).max() <= 1e-6 * np.abs(expected).max()
    if forward:  # the way to the same gradient that the search takes
        np.testing.assert_allclose(posed.assess(p).gradient, gradient, rtol=1e-9, atol=1e-9 * np.abs(gradient).max())


@pytest.mark.parametrize(
    ("kind", "terms", "rule"),
    [
        ("two agents, joint rewards", {"horizon": 3}, "expected"),
        pytest.param("two agents, joint rewards", {"horizon": 3}, "soft", marks=pytest.mark.deep),
        ("coupled, three agents", {"horizon": 2, "discount": 0.8}, "greedy"),
        pytest.param("two agents, one with chance", {"discount": 0.8}, "expected", marks=pytest.mark.deep),
        pytest.param("dense, two agents", {"discount": (0.7, 0.9)}, "soft", marks=pytest.mark.deep),
        pytest.param("dense, two agents", {"discount": (0.7, 0.9)}, "greedy", marks=pytest.mark.deep),
    ],
)
def test_gradient_equals_central_differences(kind, terms, rule):
    game = cases.with_ends(cases.GAMES[kind]())
    posed = likelihood(
        game,
        some_counts(game, 1, terms.get("horizon")),
        features=some_features(game, 2),
        beta=0.8,
        estimate_beta="per_agent",
        value=rule,
        **terms,
    )
    p = posed.start + np.random.default_rng(3).normal(scale=0.2, size=posed.start.size)
    check_gradient(posed, p, forward=rule == "expected")


@pytest.mark.parametrize("terms", [{"discount": 0.6}, {"horizon": 3}, {}])
def test_gradient_where_iterating_diverges(terms):
    """At beta = 8 the map is expanding (spectral radius above 1): only continuation gets there, and Neumann's series of
    the adjoint would diverge. The implicit derivative does not care.
    """
    game = qt.MarkovGame.normal_form([[[3.0, 0.0], [0.0, 1.0]], [[0.0, 2.0], [1.0, 0.0]]])
    if terms:
        rng = np.random.default_rng(5)
        stays = rng.dirichlet(np.ones(2), size=(2, 2, 2))
        pay = np.stack([game.rewards[i][0] for i in range(2)])
        game = qt.MarkovGame.from_arrays([np.stack([r, 1.5 * r.T[::-1]]) for r in pay], stays)
    posed = likelihood(game, some_counts(game, 1, terms.get("horizon")), beta=8.0, estimate_beta="per_agent", **terms)
    (solution,) = posed.solve(posed.start)
    assert solution.converged
    assert solution.certificate.spectral_radius > 1
    check_gradient(posed, posed.start, 1e-3)


def test_gradient_on_the_branch_that_is_handed_in():
    """A coordination game has three equilibria at beta = 3: each has a gradient of its own."""
    game = qt.MarkovGame.normal_form([np.eye(2) + 0.1, np.eye(2) + 0.1 * np.arange(4).reshape(2, 2)])
    counts = [[7.0, 3.0], [4.0, 6.0]]
    posed = likelihood(game, counts, beta=3.0, estimate_beta="common")
    first = qt.solve(game, beta=3.0, restarts=30)
    gradients = []
    for solution in (first, *first.others):
        posed.use(posed.start, [solution])
        gradient = posed.gradient(posed.start)

        def near(p, solution=solution):
            posed.use([3.0], [solution])
            return posed.value(p)

        np.testing.assert_allclose(gradient, differences(near, posed.start, 1e-3), rtol=1e-6)
        gradients.append(float(gradient[0]))
    assert len(gradients) == 3
    assert len({round(g, 3) for g in gradients}) == 3


@pytest.mark.parametrize("terms", [{"horizon": 2}, pytest.param({"discount": 0.7}, marks=pytest.mark.deep)])
@pytest.mark.parametrize("criterion", ["likelihood", "squared_distance"])
def test_hessian_equals_differences_of_gradients(terms, criterion):
    game = cases.GAMES["two agents, joint rewards"]()
    posed = likelihood(
        game,
        some_counts(game, 1, terms.get("horizon")),
        features=some_features(game, 2, count=1),
        beta=0.8,
        estimate_beta="common",
        **terms,
    )
    p = posed.start + 0.1
    hessian = posed.hessian(p, criterion)
    expected = differences(lambda x: posed.assess(x, criterion).gradient, p, 1e-3)
    np.testing.assert_allclose(hessian, expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


@pytest.mark.deep
def test_large_games_solve_their_adjoint_without_a_matrix(monkeypatch):
    """GMRES on Jacobian-vector products, and on their transposes, gives what factorising gives."""
    game = cases.GAMES["dense, two agents"]()
    posed = likelihood(game, some_counts(game, 1), beta=0.9, estimate_beta="per_agent", discount=0.9)
    posed.solve(posed.start)
    expected = posed.gradient(posed.start)
    monkeypatch.setattr(implicit, "DENSE", 0)
    (problem,), point = posed.problems, posed._at[0][1]
    with jax.enable_x64(True):
        p = jnp.asarray(posed.start)

        def value(p):
            logs = problem.engine.log_policies(point, p)
            return sum(
                jnp.where(c > 0, c * jnp.where(c > 0, x, 0), 0).sum()
                for c, x in zip(problem.engine.counts, logs, strict=True)
            )

        backward = jax.jit(jax.grad(value))(p)
        forward = jax.jit(lambda p, e: jax.jvp(value, (p,), (e,))[1])(p, jnp.asarray([1.0, 0.0]))
    np.testing.assert_allclose(backward, expected, rtol=1e-8)
    assert float(forward) == pytest.approx(expected[0], rel=1e-8)


def test_log_likelihood_is_the_sum_over_choices():
    """The readable loop: log-policies of a plain solve, looked up choice by choice."""
    game = qt.games.pursuit.two_players()
    solution = qt.solve(game, beta=1.3, horizon=4)
    played = qt.simulate(game, solution, episodes=20, seed=1)
    posed = likelihood(game, played, beta=1.3, estimate_beta="common", horizon=4)
    total = 0.0
    for episode in range(20):
        for time in range(4):
            place = tuple(played.states[episode, time])
            for i in range(2):
                total += solution.log_policy[i][(time, *place, played.actions[episode, time, i])]
    assert posed.value([1.3]) == pytest.approx(total, rel=1e-12)


def test_choices_of_no_probability_in_double_precision_have_a_gradient():
    """At beta = 2000 the worse of two actions has probability exp(-2000), whose logarithm is exact."""
    game = qt.MarkovGame.normal_form([np.array([1.0, 0.0])])
    posed = likelihood(game, [[0.0, 3.0]], beta=2000.0, estimate_beta="common")
    assert posed.value([2000.0]) == pytest.approx(-6000.0, rel=1e-12)
    assert posed.gradient([2000.0])[0] == pytest.approx(-3.0, rel=1e-12)


@pytest.mark.parametrize("terms", [{"horizon": 5}, {"discount": 0.9}])
def test_single_agent_soft_gradient_is_observed_less_expected_features(terms):
    """One agent, soft rule, beta = 1: the likelihood's gradient is F~ - F-bar, what matching features sets to zero.

    F-bar starts where play was observed to start; over an infinite horizon the identity holds for discounted sums, so
    the observed play there is itself the discounted occupancy of another policy.
    """
    rng = np.random.default_rng(0)
    states, actions = 4, 3
    moves = rng.dirichlet(np.ones(states), size=(states, actions))
    feature = rng.normal(size=(2, states, actions))
    game = qt.MarkovGame.from_arrays([np.zeros((1, 1))], moves)
    wanted = Features.of(game, [[Feature("a", feature[0]), Feature("b", feature[1])]])
    theta, start = np.array([0.7, -0.4]), rng.dirichlet(np.ones(states))
    horizon, discount = terms.get("horizon"), terms.get("discount", 1.0)

    def occupancy(policy):
        """Expected (discounted) counts of (time,) state and action."""
        mass, rows = start, []
        for t in range(horizon or 800):
            joint = mass[:, None] * policy[t if horizon else 0]
            rows.append(joint * discount**t)
            mass = np.einsum("sa,sat->t", joint, moves)
        return np.stack(rows) if horizon else np.sum(rows, axis=0)[None]

    other = rng.dirichlet(np.ones(actions), size=(horizon or 1, states))
    seen = occupancy(other)
    posed = likelihood(game, [seen if horizon else seen[0]], features=wanted, value="soft", **terms)
    (solution,) = posed.solve(theta)
    policy = solution.policy[0] if horizon else solution.policy[0][None]
    gap = np.einsum("tsa,ksa->k", seen - occupancy(policy), feature)
    np.testing.assert_allclose(posed.gradient(theta), gap, rtol=1e-9, atol=1e-11)
