"""Problem (13): its solution against Theorem 4's soft game, loops, and a general-purpose constrained optimiser."""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import minimize
from tests.cases import coupled_game, own_game
from tests.games.loops import legal_at, reward_at, successors_at

import quantal as qt
from quantal.infer.features import Feature, Features
from quantal.solvers import causal_entropy


def two_by_two():
    """2 agents, 2 states, 2 actions; features of state and own action, one per agent, and where the states lead."""
    rng = np.random.default_rng(3)
    moves = rng.dirichlet(np.ones(2) * 0.4, size=(2, 2, 2))
    game = qt.MarkovGame.from_arrays([np.zeros((2, 1, 1))] * 2, moves, start=[0.5, 0.5])
    arrays = [rng.normal(size=(2, 2, 1)), rng.normal(size=(2, 1, 2))]
    features = Features.of(game, [[Feature(f"f{i}", array)] for i, array in enumerate(arrays)])
    return game, features


TRUTH = (1.3, -0.8)
DECISIONS = 2


def play_of(game, policy, decisions):
    """Loops: entropy of play and expected per-agent reward-free occupancy {(t, x, a): probability}."""
    agents = game.number_of_agents
    mass = np.array(game.start, dtype=float)
    entropy, joint = 0.0, {}
    for t in range(decisions):
        after = np.zeros_like(mass)
        for x in range(mass.size):
            for a in itertools.product(*(range(n) for n in game.action_counts)):
                p = mass[x] * math.prod(policy[i][t][x][a[i]] for i in range(agents))
                if p == 0:
                    continue
                joint[t, x, a] = p
                entropy -= p * math.log(p / mass[x])
                successors, chances = game.dynamics.successors[(x, *a)], game.dynamics.probabilities[(x, *a)]
                for y, q in zip(successors, chances, strict=True):
                    after[y] += p * q
        mass = after
    return entropy, joint


def expected(features, joint):
    """E[sum_t F_i] per agent, flat."""
    totals = []
    for array in features.arrays:
        for part in array:
            lengths = part.shape
            totals.append(
                sum(
                    p * part[tuple(min(k, n - 1) for k, n in zip((x, *a), lengths, strict=True))]
                    for (_, x, a), p in joint.items()
                )
            )
    return np.array(totals)


def most_random(game, features, observed):
    """Problem (13) handed to SLSQP as it is printed, from several starts: the largest entropy it finds."""
    shape = (2, DECISIONS, 2)

    def policy_of(p):
        first = p.reshape(shape)
        return [np.stack([first[i], 1 - first[i]], axis=-1) for i in range(2)]

    def entropy(p):
        return play_of(game, policy_of(p), DECISIONS)[0]

    def missed(p):
        return expected(features, play_of(game, policy_of(p), DECISIONS)[1]) - observed

    best = -np.inf
    rng = np.random.default_rng(0)
    for _ in range(4):
        found = minimize(
            lambda p: -entropy(p),
            rng.uniform(0.2, 0.8, size=8),
            method="SLSQP",
            bounds=[(1e-9, 1 - 1e-9)] * 8,
            constraints={"type": "eq", "fun": missed},
            options={"maxiter": 300, "ftol": 1e-12},
        )
        if np.abs(missed(found.x)).max() < 1e-8:
            best = max(best, -found.fun)
    return best


def test_it_is_a_stationary_point_of_the_lagrangian_and_theorem_4_is_not():
    game, features = two_by_two()
    paid = features.game_with(game, TRUTH)
    ours = causal_entropy.solve(paid, DECISIONS)
    assert ours.converged
    assert ours.residual < 1e-12
    theirs = qt.solve(paid, beta=1.0, horizon=DECISIONS, value="soft")
    # The certificate differentiates play itself, so it would show if the recursion above were wrong.
    assert causal_entropy.stationarity(paid, ours.policy, DECISIONS) < 1e-9
    assert causal_entropy.stationarity(paid, theirs.policy, DECISIONS) > 1e-3


def test_the_certificate_is_the_slope_that_finite_differences_see():
    game, features = two_by_two()
    paid = features.game_with(game, TRUTH)
    policy = qt.solve(paid, beta=1.0, horizon=DECISIONS, value="soft").policy

    def lagrangian(logits):
        pi = [np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True) for z in logits]
        entropy, joint = play_of(game, pi, DECISIONS)
        return entropy + expected(features, joint) @ np.array(TRUTH)

    logits, worst, step = [np.log(policy[i]) for i in range(2)], 0.0, 1e-5
    for i, t, x, a in np.ndindex(2, DECISIONS, 2, 2):
        slopes = []
        for sign in (1, -1):
            moved = [z.copy() for z in logits]
            moved[i][t, x, a] += sign * step
            slopes.append(lagrangian(moved))
        worst = max(worst, abs(slopes[0] - slopes[1]) / (2 * step))
    assert causal_entropy.stationarity(paid, policy, DECISIONS) == pytest.approx(worst, rel=1e-6)


def test_at_equal_features_it_is_more_random_than_theorem_4_and_as_random_as_can_be():
    game, features = two_by_two()
    soft = qt.solve(features.game_with(game, TRUTH), beta=1.0, horizon=DECISIONS, value="soft")
    theirs, joint = play_of(game, soft.policy, DECISIONS)
    observed = expected(features, joint)
    # The dual, minimised over theta: its gradient vanishes where our features equal Theorem 4's.
    means = observed / DECISIONS
    matched = qt.infer.match(game, features, observed=means, horizon=DECISIONS, play="entropy")
    ours, joint = play_of(game, matched.solution.policy, DECISIONS)
    np.testing.assert_allclose(expected(features, joint), observed, atol=1e-8)
    assert causal_entropy.causal_entropy(game, matched.solution.policy, DECISIONS) == pytest.approx(ours, abs=1e-12)
    assert ours > theirs + 1e-4
    assert ours == pytest.approx(most_random(game, features, observed), abs=1e-6)


def test_one_agent_is_zieberts_soft_recursion_so_both_agree():
    game = own_game(5, (4,), (3,), (2,), [(4, 3)])
    ours = causal_entropy.solve(game, 4)
    soft = qt.solve(game, beta=1.0, horizon=4, value="soft")
    np.testing.assert_allclose(ours.policy[0], soft.policy[0], atol=1e-12)
    np.testing.assert_allclose(ours.value, soft.value[0], atol=1e-11)


@pytest.mark.parametrize("kind", ["own", "coupled"])
def test_it_solves_its_equations_in_loops(kind):
    if kind == "own":
        game = own_game(1, (3, 2), (2, 3), (2, 1), [(3, 2, 2, 1), (1, 2, 1, 3)])
    else:
        game = coupled_game(2, 3, (2, 3), 2, [(3, 2, 3), (1, 2, 3)])
    found = causal_entropy.solve(game, 3)
    assert found.converged
    for t in range(3):
        for x in np.ndindex(*game.state_shape):
            allowed = legal_at(game, x)
            pi = [found.policy[i][t][x] for i in range(2)]
            u = {
                a: sum(reward_at(game, i, x, a) for i in range(2))
                + sum(p * found.value[t + 1][y] for p, y in successors_at(game, x, a))
                for a in itertools.product(*allowed)
            }
            entropy = -sum(p * math.log(p) for row in pi for p in row if p > 0)
            total = sum(pi[0][a] * pi[1][b] * v for (a, b), v in u.items()) + entropy
            assert found.value[t][x] == pytest.approx(total, abs=1e-10)
            for i in range(2):
                answers = {
                    mine: sum(pi[1 - i][a[1 - i]] * v for a, v in u.items() if a[i] == mine) for mine in allowed[i]
                }
                level = math.log(sum(math.exp(v) for v in answers.values()))
                for mine, v in answers.items():
                    assert pi[i][mine] == pytest.approx(math.exp(v - level), abs=1e-10)


def test_where_there_are_several_stationary_points_the_highest_is_taken():
    # Both meet, either at 0 or, better, at 1; the principal branch starts from uniform play, which leans to neither...
    u = np.array([[3.0, 0.0, -6.0], [0.0, 0.0, -6.0], [-6.0, -6.0, 4.0]])
    # ... but here the third action is bad against uniform play, and best against itself.
    game = qt.MarkovGame.normal_form([2 * u, np.zeros_like(u)])
    found = causal_entropy.solve(game, 1)
    principal = qt.solve(qt.MarkovGame.normal_form([2 * u, 2 * u]), beta=1.0, method="continuation")
    assert principal.policy[0][0, 0] > 0.9
    assert found.policy[0][0, 0, 2] > 0.9
    assert not found.unique.any()


def test_the_horizon_is_checked():
    with pytest.raises(qt.ParameterError, match="horizon=0: expected a whole number of decisions"):
        causal_entropy.solve(two_by_two()[0], 0)
