"""Exact evaluation and best responses, against loops, dense linear algebra and brute force."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.cases import (
    GAMES,
    Case,
    chain,
    coupled_game,
    looped_values,
    own_game,
    random_policies,
    solution_of,
    successors_at,
)

import quantal as qt
from quantal import evaluation
from quantal.layout import DenseMoves, OwnMoves, from_public, model_of
from quantal.solution import PerAgent


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


EVALUATED = [
    "one agent, chance",
    "two agents, one with chance",
    "three agents",
    "coupled, two agents",
    "dense, three agents",
]


@pytest.fixture(params=EVALUATED, name="case")
def _case(request, _double):
    return Case(GAMES[request.param]())


# --------------------------------------------------------------------------- policies given


def test_finite_values_equal_the_loops(case):
    rng = np.random.default_rng(0)
    policies = random_policies(case.game, rng, horizon=3)
    discount = case.discount

    def play(time):
        return evaluation.policies_at(case.model, PerAgent(case.game.agents, tuple(policies)), time)

    *_, first = evaluation.backward(case.model, jnp.asarray(discount), play, 3)
    assert first.time == 0
    for fast, slow in zip(first.value, looped_values(case, policies, discount, 3), strict=True):
        np.testing.assert_allclose(np.asarray(fast).reshape(-1), slow, rtol=1e-12, atol=1e-12)


def test_stationary_values_solve_the_linear_system(case):
    # (I - discount P) V = r by dense linear algebra, one discount per agent.
    discount = case.discount
    policies = random_policies(case.game, np.random.default_rng(1))
    matrix, rewards = chain(case, policies)
    engine = evaluation.policies_at(case.model, PerAgent(case.game.agents, tuple(policies)))
    found = evaluation.stationary_values(case.model, jnp.asarray(discount), engine)
    for i, (value, error) in enumerate(found):
        exact = np.linalg.solve(np.eye(len(matrix)) - discount[i] * matrix, rewards[i])
        assert abs(value.reshape(-1) - exact).max() <= max(error, 1e-13) <= 1e-10 * abs(exact).max()


def test_discount_zero_is_the_reward_itself(case):
    policies = random_policies(case.game, np.random.default_rng(2))
    _, rewards = chain(case, policies)
    engine = evaluation.policies_at(case.model, PerAgent(case.game.agents, tuple(policies)))
    found = evaluation.stationary_values(case.model, jnp.zeros(case.agents), engine)
    for value, slow in zip(found, rewards, strict=True):
        np.testing.assert_allclose(value.value.reshape(-1), slow, rtol=1e-13, atol=1e-13)


def test_discounted_visits_solve_the_transposed_system(case):
    policies = random_policies(case.game, np.random.default_rng(3))
    matrix, _ = chain(case, policies)
    start = np.random.default_rng(4).dirichlet(np.ones(len(matrix)))
    engine = evaluation.policies_at(case.model, PerAgent(case.game.agents, tuple(policies)))
    visits, error = evaluation.discounted_visits(case.model, 0.9, engine, start.reshape(case.model.state_shape))
    exact = np.linalg.solve(np.eye(len(matrix)) - 0.9 * matrix.T, start)
    assert abs(visits.reshape(-1) - exact).sum() <= max(error, 1e-13) < 1e-11
    np.testing.assert_allclose(visits.sum(), 10, rtol=1e-12)


def ring(length):
    """One agent walks round a ring; +1 each time it passes the start. GMRES hates a long cycle."""
    successors = ((np.arange(length) + 1) % length)[:, None]
    reward = np.zeros((length, 1))
    reward[0] = 1.0
    return qt.MarkovGame(
        state_shape=(length,),
        rewards=(reward,),
        dynamics=qt.Independent([successors]),
        actions=(("on",),),
        agents=("walker",),
    )


def test_values_are_right_where_krylov_subspaces_are_too_short():
    # A cycle of 400 states is the textbook case of GMRES(40) making no progress: the safeguard must.
    model = model_of(ring(400))
    (found,) = evaluation.stationary_values(model, jnp.asarray([0.99]), (jnp.ones((1, 400)),))
    ahead = (-np.arange(400)) % 400
    exact = 0.99**ahead / (1 - 0.99**400)
    assert abs(found.value - exact).max() <= found.error < 1e-10


def test_the_bound_says_so_when_accuracy_is_out_of_reach():
    # With 1 - discount = 1e-9 rounding alone moves values by 1e-7 of their size; the bound must not promise more.
    (found,) = evaluation.stationary_values(model_of(ring(3)), jnp.asarray([1 - 1e-9]), (jnp.ones((1, 3)),))
    exact = (1 - 1e-9) ** np.array([0.0, 2.0, 1.0]) / -np.expm1(3 * np.log1p(-1e-9))
    assert abs(found.value - exact).max() <= found.error
    assert found.error > 1e-8 * abs(exact).max()


# --------------------------------------------------------------------------- best responses


TINY = {
    "own moves": lambda: own_game(20, (2, 2), (2, 2), (1, 2), ["s01", "s01"]),
    "sparse joint moves": lambda: coupled_game(21, 6, (2, 2), 1, ["s01", "s0"]),
    "matrices": lambda: coupled_game(22, 4, (2, 3), 4, ["s01", "s01"]),
}


def deterministic_policies(game, i):
    """Every map from states to legal actions of agent i."""
    mask = np.broadcast_to(game.legal[i], (*game.state_shape, game.action_counts[i]))
    choices = [np.flatnonzero(row) for row in mask.reshape(-1, mask.shape[-1])]
    for chosen in itertools.product(*choices):
        policy = np.zeros((len(choices), mask.shape[-1]))
        policy[np.arange(len(choices)), chosen] = 1.0
        yield policy.reshape(mask.shape)


@pytest.mark.parametrize("make", TINY.values(), ids=TINY.keys())
def test_stationary_best_response_is_the_best_of_all_deterministic_policies(make):
    case = Case(make())
    policies = random_policies(case.game, np.random.default_rng(8))
    engine = evaluation.policies_at(case.model, PerAgent(case.game.agents, tuple(policies)))
    discount = jnp.asarray([0.9, 0.8])
    values = evaluation.stationary_values(case.model, discount, engine)
    for i in range(2):
        best = np.full(case.game.number_of_states, -np.inf)
        for own in deterministic_policies(case.game, i):
            matrix, rewards = chain(case, [own if j == i else policies[j] for j in range(2)])
            value = np.linalg.solve(np.eye(len(matrix)) - float(discount[i]) * matrix, rewards[i])
            best = np.maximum(best, value)
        found, policy = evaluation.best_response(case.model, discount, i, engine, values[i].value)
        assert abs(found.value.reshape(-1) - best).max() <= max(found.error, 1e-13) < 1e-11
        # The policy that comes with it attains the value.
        answer = tuple(policy if j == i else engine[j] for j in range(2))
        attained = evaluation.stationary_values(case.model, discount, answer)[i]
        np.testing.assert_allclose(attained.value, found.value, rtol=1e-11)


def test_finite_best_response_is_the_best_of_all_plans():
    # All deterministic plans over two decisions, enumerated.
    case = Case(TINY["own moves"]())
    policies = random_policies(case.game, np.random.default_rng(9), horizon=2)
    discount = np.array([1.0, 0.5])

    def play(time):
        return evaluation.policies_at(case.model, PerAgent(case.game.agents, tuple(policies)), time)

    *_, first = evaluation.backward(case.model, jnp.asarray(discount), play, 2)
    for i in range(2):
        best = np.full(case.game.number_of_states, -np.inf)
        for plan in itertools.product(deterministic_policies(case.game, i), repeat=2):
            tried = [np.stack(plan) if j == i else policies[j] for j in range(2)]
            best = np.maximum(best, looped_values(case, tried, discount, 2)[i])
        np.testing.assert_allclose(np.asarray(first.best[i]).reshape(-1), best, rtol=1e-12, atol=1e-13)


def test_ties_do_not_keep_policy_iteration_busy():
    # Every action is as good as every other: it must stop at once, with no gain.
    rng = np.random.default_rng(23)
    dynamics = qt.Coupled(
        np.broadcast_to(rng.integers(6, size=(6, 1, 1, 2)), (6, 3, 2, 2)),
        np.broadcast_to(rng.dirichlet([1, 1], size=(6, 1, 1)), (6, 3, 2, 2)),
    )
    game = qt.MarkovGame(
        state_shape=(6,),
        rewards=tuple(rng.normal(size=(2, 6, 1, 1))),
        dynamics=dynamics,
        actions=(("a", "b", "c"), ("a", "b")),
        agents=("one", "two"),
    )
    uniform = [np.full((6, n), 1 / n) for n in game.action_counts]
    found = qt.exploitability(game, solution_of(game, uniform, discount=0.95))
    assert max(found.values()) <= found.error < 1e-11


# --------------------------------------------------------------------------- exploitability


def pennies(stake=1.0):
    payoff = np.array([[stake, -1.0], [-1.0, 1.0]])
    return qt.MarkovGame.normal_form([payoff, -payoff], agents=("row", "column"))


def test_matching_pennies_at_its_equilibrium_cannot_be_exploited():
    found = qt.exploitability(pennies(), solution_of(pennies(), [[[0.5, 0.5]], [[0.5, 0.5]]]))
    assert dict(found) == {"row": 0.0, "column": 0.0}


def test_matching_pennies_off_its_equilibrium_by_hand():
    # Column plays heads with 0.7: row's best answer earns 0.7 - 0.3 = 0.4. Row plays heads with 0.6, so it now has
    # 0.6 * 0.4 - 0.4 * 0.4 = 0.08, and gains 0.32; column has -0.08 and could have 0.2 (tails against 0.6), gains 0.28.
    found = qt.exploitability(pennies(), solution_of(pennies(), [[[0.6, 0.4]], [[0.7, 0.3]]]))
    assert found["row"] == pytest.approx(0.32, abs=1e-14)
    assert found["column"] == pytest.approx(0.28, abs=1e-14)
    assert found[1] == found["column"]
    assert found.expected == pytest.approx({"row": 0.32, "column": 0.28}, abs=1e-14)
    assert isinstance(found["row"], float)
    with pytest.raises(KeyError, match="expected one of row, column"):
        found["nobody"]


def test_largest_and_expected_gains_are_told_apart():
    # Two rooms, left for good: a right choice earns 1 in the first and 3 in the second, where play starts with 1/4.
    reward = np.array([[0.0, 1.0], [0.0, 3.0]])
    game = qt.MarkovGame.from_arrays([reward], np.eye(2)[:, None].repeat(2, axis=1), start=[0.75, 0.25], agents=("a",))
    found = qt.exploitability(game, solution_of(game, [[[1.0, 0.0], [1.0, 0.0]]], discount=0.5))
    assert found["a"] == pytest.approx(6)
    assert found.where == ((1,),)
    assert found.expected["a"] == pytest.approx(0.75 * 2 + 0.25 * 6)
    np.testing.assert_allclose(found.gains["a"], [2, 6])


def test_a_late_mistake_shows_at_its_own_time():
    # Right at time 0, wrong at time 1, where it costs 2 undiscounted: seen from time 0 that is worth 0.5 * 2.
    reward = np.array([[0.0, 2.0]])
    game = qt.MarkovGame.from_arrays([reward], np.ones((1, 2, 1)), agents=("a",))
    plan = np.array([[[0.0, 1.0]], [[1.0, 0.0]]])
    found = qt.exploitability(game, solution_of(game, [plan], horizon=2, discount=0.5))
    assert found["a"] == pytest.approx(2)
    assert found.where == ((1, 0),)
    assert found.expected["a"] == pytest.approx(1)


def test_final_rewards_count():
    # One decision, left or right; only the final reward of the right room matters, discounted once.
    successors = np.array([[[0], [1]], [[1], [1]]])
    game = qt.MarkovGame.from_arrays(
        [np.zeros((2, 1))], qt.Coupled(successors), final_rewards=[[0.0, 4.0]], start=[1.0, 0.0], agents=("a",)
    )
    found = qt.exploitability(game, solution_of(game, [np.full((1, 2, 2), 0.5)], horizon=1, discount=0.5))
    assert found.expected["a"] == pytest.approx(0.5 * 4 - 0.5 * 0.5 * 4)


def test_exploitability_of_a_solved_game_fades_as_precision_grows():
    # A QRE is no Nash equilibrium, but tends to one: a law of the game, not of the code that is tested.
    payoffs = pennies(stake=3.0)
    gains = [max(qt.exploitability(payoffs, qt.solve(payoffs, beta=b)).values()) for b in (1.0, 10.0, 100.0)]
    assert gains[0] > 0.2 > gains[1] > gains[2]
    assert gains[2] < 0.02


def test_every_kind_of_moves_is_exploited_alike():
    # One game written twice, as own moves and as a joint matrix: the same gains.
    game = own_game(24, (2, 3), (2, 2), (2, 2), ["s01", "s01"])
    case = Case(game)
    matrix = np.zeros((6, 2, 2, 6))
    for k, x in enumerate(case.states()):
        for a in case.actions():
            for y, p in successors_at(case, x, a):
                matrix[(k, *a, int(np.ravel_multi_index(y, (2, 3))))] += p
    legal = [np.broadcast_to(m, (2, 3, 2)).reshape(6, 2) for m in game.legal]
    joint = qt.MarkovGame.from_arrays(
        [r.reshape(6, 2, 2) for r in game.rewards], matrix, legal=legal, agents=game.agents
    )
    assert isinstance(model_of(game).moves, OwnMoves)
    assert isinstance(model_of(joint).moves, DenseMoves)
    policies = random_policies(game, np.random.default_rng(10))
    own = qt.exploitability(game, solution_of(game, policies, discount=0.9))
    flat = [p.reshape(6, -1) for p in policies]
    both = qt.exploitability(joint, solution_of(joint, flat, discount=0.9))
    for agent in game.agents:
        np.testing.assert_allclose(own.gains[agent].reshape(-1), both.gains[agent], atol=1e-11)


def test_policies_of_another_game_are_refused():
    rows = [[[0.5, 0.5]], [[0.5, 0.5]]]
    other = qt.MarkovGame.normal_form([np.zeros((3, 2))] * 2, agents=("row", "column"))
    with pytest.raises(qt.ParameterError, match=r"policy of row: expected shape \(1, 3\).*got \(1, 2\)"):
        qt.exploitability(other, solution_of(pennies(), rows))
    named = qt.MarkovGame.normal_form([np.zeros((2, 2))] * 2, agents=("a", "b"))
    with pytest.raises(qt.ParameterError, match=r"expected policies of a, b: got row, column"):
        qt.exploitability(named, solution_of(pennies(), rows))


def test_from_public_lays_policies_out_for_the_engine(case):
    policies = random_policies(case.game, np.random.default_rng(11))
    engine = evaluation.policies_at(case.model, PerAgent(case.game.agents, tuple(policies)))
    for public, laid in zip(policies, engine, strict=True):
        np.testing.assert_array_equal(laid, from_public(public, case.model.state_shape))
        np.testing.assert_array_equal(np.moveaxis(np.asarray(laid), 0, -1), public.reshape(*laid.shape[1:], -1))
