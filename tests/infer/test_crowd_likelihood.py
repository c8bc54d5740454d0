"""The likelihood of a crowd, through its forward-backward fixed point (MGE-FB)."""

import numpy as np
import pytest
from tests.infer.test_likelihood import differences

import quantal as qt
from quantal.infer import Features, likelihood
from quantal.infer.features import Feature

T = 4


def row_of_cells(weight=1.0, count=1):
    """Two kinds on six cells in a row; moves by chance for one of them; goals at the ends."""
    n = 6
    x = np.arange(n)
    steps = np.stack([np.maximum(x - 1, 0), x, np.minimum(x + 1, n - 1)], axis=1)
    walker = qt.Kind("walker", actions=("left", "stay", "right"), successors=steps, rewards=np.full(n, -0.3))
    slips = np.stack([steps, np.broadcast_to(x[:, None], steps.shape)], axis=-1)
    chances = np.broadcast_to([0.8, 0.2], slips.shape)
    cart = qt.Kind("cart", actions=("left", "stay", "right"), successors=slips, probabilities=chances)
    return qt.CrowdGame(
        cells=n,
        kinds=[walker, cart],
        members=[
            qt.Member("ann", "walker", start=0, goal=4, goal_reward=1.0, weight=weight),
            qt.Member("bob", "walker", start=5, goal=1, goal_reward=1.0, weight=1.5 * weight, count=count),
            qt.Member("cat", "cart", start=2, weight=2.0 * weight, rewards=0.1 * x),
        ],
        kind_weights=[[1.0, 0.5], [2.0, 1.0]],
    )


def some_features(game, seed=1):
    rng = np.random.default_rng(seed)
    return Features.of(
        game,
        {"ann": [Feature("a", rng.normal(size=(6, 3)))], "cat": [Feature("c", rng.normal(size=(6, 1)))]},
        keep=True,
    )


def some_counts(game, seed=2):
    rng = np.random.default_rng(seed)
    counts = []
    for i in range(len(game.agents)):
        own = rng.integers(0, 4, size=(T, 6, 3)).astype(float)
        if game.goals[i] is not None:
            own[:, game.goals[i]] = 0.0
        counts.append(own)
    return counts


@pytest.mark.deep
@pytest.mark.parametrize("rule", ["expected", "soft", "greedy"])
def test_gradient_equals_central_differences(rule):
    game = row_of_cells()
    posed = likelihood(
        game,
        some_counts(game),
        features=some_features(game),
        beta=0.9,
        estimate_beta="per_agent",
        estimate_weights="per_agent",
        horizon=T,
        value=rule,
    )
    assert posed.names[-3:] == ("mu of ann", "mu of bob", "mu of cat")
    p = posed.start + np.array([0.3, -0.2, 0.1, 0.2, 0.05, 0.1, -0.1, 0.15])
    gradient, expected = posed.gradient(p), differences(posed.value, p, 1e-3)
    assert np.abs(gradient - expected).max() <= 1e-6 * np.abs(expected).max()
    np.testing.assert_allclose(posed.assess(p).gradient, gradient, rtol=1e-8, atol=1e-8)


def test_gradient_where_alternation_diverges():
    """Presences that cost so much that the alternation's Jacobian is expanding: found by damping, differentiated all
    the same.
    """
    game = row_of_cells(weight=5.0)
    posed = likelihood(
        game, some_counts(game), beta=3.0, estimate_beta="common", estimate_weights="per_kind", horizon=T
    )
    (solution,) = posed.solve(posed.start)
    assert solution.converged
    assert solution.certificate.spectral_radius > 1
    gradient, expected = posed.gradient(posed.start), differences(posed.value, posed.start, 1e-3)
    assert np.abs(gradient - expected).max() <= 1e-6 * np.abs(expected).max()


@pytest.mark.deep
def test_hessian_equals_differences_of_gradients():
    game = row_of_cells()
    posed = likelihood(game, some_counts(game), beta=0.9, estimate_beta="common", estimate_weights="common", horizon=T)
    expected = differences(posed.gradient, posed.start, 1e-3)
    np.testing.assert_allclose(posed.hessian(posed.start), expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


def test_value_is_that_of_the_public_solution():
    """Laid out with unknowns, the crowd is the one that `solve` solves: same log-probabilities, member by member."""
    game = row_of_cells(count=2)
    counts, wanted = some_counts(game), some_features(game)
    posed = likelihood(
        game, counts, features=wanted, beta=0.9, estimate_beta="per_agent", estimate_weights="per_agent", horizon=T
    )
    p = np.array([0.3, -0.2, 0.8, 1.1, 0.9, 0.4, 1.2, 2.5])
    members = [
        qt.Member(
            "ann", "walker", start=0, goal=4, goal_reward=1.0, weight=0.4, rewards=wanted.rewards([0.3, -0.2])[0]
        ),
        qt.Member("bob", "walker", start=5, goal=1, goal_reward=1.0, weight=1.2, count=2),
        qt.Member("cat", "cart", start=2, weight=2.5, rewards=wanted.rewards([0.3, -0.2])[2]),
    ]
    same = qt.CrowdGame(cells=6, kinds=game.kinds, members=members, kind_weights=game.kind_weights)
    solution = qt.solve(same, beta=(0.8, 1.1, 0.9), horizon=T)
    total = sum(float((c[c > 0] * np.log(solution.policy[i][c > 0])).sum()) for i, c in enumerate(counts))
    assert posed.value(p) == pytest.approx(total, rel=1e-10)


def test_members_who_are_alike_but_for_an_unknown_are_told_apart():
    """Two members with one first guess of beta must not be computed as one: each has a slope of its own."""
    game = qt.CrowdGame(
        cells=6,
        kinds=row_of_cells().kinds,
        members=[qt.Member("x", "cart", start=2), qt.Member("y", "cart", start=2)],
    )
    counts = [np.zeros((T, 6, 3)) for _ in range(2)]
    counts[0][:, 2] = [1.0, 5.0, 2.0]
    counts[1][:, 3] = [4.0, 1.0, 1.0]
    posed = likelihood(game, counts, beta=1.0, estimate_beta="per_agent", horizon=T)
    gradient, expected = posed.gradient([1.0, 1.0]), differences(posed.value, np.ones(2), 1e-3)
    np.testing.assert_allclose(gradient, expected, rtol=1e-6)
    assert abs(gradient[0] - gradient[1]) > 1e-3
