"""Play: drawn episodes against a player of one episode at a time, exact expectations against both."""

import math

import jax
import numpy as np
import pytest
from tests.cases import (
    Case,
    chain,
    coupled_game,
    final_at,
    looped_values,
    own_game,
    random_policies,
    reward_at,
    solution_of,
    with_ends,
)

import quantal as qt
from quantal import draws
from quantal.games import pursuit
from quantal.rollout import evaluate, most_probable, simulate

GAMES = {
    "own moves": lambda: own_game(30, (4, 3), (3, 2), (1, 1), ["s0", "01"]),
    "own moves with chance": lambda: own_game(31, (3, 4, 2), (2, 3, 2), (2, 1, 3), ["s012", "s", "2"]),
    "joint moves": lambda: coupled_game(32, 7, (2, 3), 3, ["s01", "s1"]),
    "matrices": lambda: coupled_game(33, 4, (3, 2), 4, ["s", "s01"]),
}


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=GAMES, name="case")
def _case(request, _double):
    return Case(with_ends(GAMES[request.param]()))


# --------------------------------------------------------------------------- the readable twin


def pick(chances, u):
    """The k at which the running sum of chances passes u times their total."""
    total, running = sum(chances), 0.0
    for k, chance in enumerate(chances):
        running += chance
        if u * total < running:
            return k
    raise AssertionError


def looped_episode(case, policies, numbers, steps, ends):
    """One episode, one number at a time: start, then each agent's action, then each uncertain move."""
    game, supply = case.game, iter(numbers)
    x = np.unravel_index(pick(game.start.reshape(-1), next(supply)), game.state_shape)
    states, actions, rewards = [x], [], []
    for time in range(steps):
        a = tuple(pick((p[time] if ends else p)[x], next(supply)) for p in policies)
        rewards.append([reward_at(game, i, x, a) for i in range(case.agents)])
        if isinstance(game.dynamics, qt.Independent):
            y = []
            for j, (table, chances) in enumerate(
                zip(game.dynamics.successors, game.dynamics.probabilities, strict=True)
            ):
                row = (x[j], a[j])
                branch = pick(chances[row], next(supply)) if chances.shape[-1] > 1 else 0
                y.append(table[row][branch])
            x = tuple(y)
        else:
            row = (*x, *a)
            x = (game.dynamics.successors[row][pick(game.dynamics.probabilities[row], next(supply))],)
        states.append(x)
        actions.append(a)
    final = [final_at(game, i, x) if ends else 0.0 for i in range(case.agents)]
    return states, actions, rewards, final


@pytest.mark.parametrize("horizon", [None, 5])
def test_simulation_equals_the_loops(case, horizon):
    # Number by number: the same random numbers must give the same episodes.
    policies = random_policies(case.game, np.random.default_rng(35), horizon)
    solution = solution_of(case.game, policies, horizon=horizon, discount=0.9)
    seen = simulate(case.game, solution, 20, seed=7, steps=5)
    uncertain = (
        sum(p.shape[-1] > 1 for p in case.game.dynamics.probabilities)
        if isinstance(case.game.dynamics, qt.Independent)
        else case.game.dynamics.probabilities.shape[-1] > 1
    )
    numbers = np.random.default_rng(7).random((20, 1 + 5 * (case.agents + uncertain)))
    for n in range(20):
        states, actions, rewards, final = looped_episode(case, policies, numbers[n], 5, horizon is not None)
        np.testing.assert_array_equal(seen.states[n], states)
        np.testing.assert_array_equal(seen.actions[n], actions)
        np.testing.assert_array_equal(seen.rewards[n], rewards)
        np.testing.assert_array_equal(seen.final_rewards[n], final)
        for i in range(case.agents):
            score = sum(0.9**t * r[i] for t, r in enumerate(rewards)) + 0.9**5 * final[i]
            assert seen.score[i][n] == pytest.approx(score, abs=1e-12)


def test_the_same_seed_gives_the_same_episodes_whatever_the_batch(case):
    solution = solution_of(case.game, random_policies(case.game, np.random.default_rng(36)), discount=0.8)
    whole = simulate(case.game, solution, 100, seed=3, steps=6, terminate=True)
    for batch in (1, 7, 100, 1000):
        part = simulate(case.game, solution, 100, seed=3, steps=6, terminate=True, batch=batch)
        for name in ("states", "actions", "rewards", "final_rewards", "lengths"):
            np.testing.assert_array_equal(getattr(part, name), getattr(whole, name))
    # Fewer episodes are the first of more, and a generator goes on where it stopped.
    np.testing.assert_array_equal(
        simulate(case.game, solution, 30, seed=3, steps=6, terminate=True).states, whole.states[:30]
    )
    random = np.random.default_rng(3)
    both = [simulate(case.game, solution, 50, random, steps=6, terminate=True).states for _ in range(2)]
    np.testing.assert_array_equal(np.concatenate(both), whole.states)
    other = simulate(case.game, solution, 100, seed=4, steps=6, terminate=True)
    assert (other.states != whole.states).any()


def test_what_has_probability_zero_is_never_drawn():
    # The largest uniform number there is, on rows that rounding keeps from summing to one.
    largest = np.full(4, np.nextafter(1.0, 0.0))
    rows = np.array([[0.1, 0.2, 0.7, 0.0], [0.0, 1 / 3, 2 / 3 + 1e-10, 0.0], [1.0, 0.0, 0.0, 0.0], [0, 0, 0, 1.0]])
    np.testing.assert_array_equal(draws.choose(rows, np.arange(4), largest), [2, 2, 0, 3])
    np.testing.assert_array_equal(draws.choose(rows, np.arange(4), 0 * largest), [0, 1, 0, 3])


# --------------------------------------------------------------------------- exact expectations


def test_visits_and_scores_equal_the_chain(case):
    # Mass moved step by step with the dense matrix of each time.
    horizon = 4
    policies = random_policies(case.game, np.random.default_rng(37), horizon)
    solution = solution_of(case.game, policies, horizon=horizon, discount=0.7)
    found = evaluate(case.game, solution)
    mass = case.game.start.reshape(-1)
    for time in range(horizon):
        np.testing.assert_allclose(found.visits[time].reshape(-1), mass, atol=1e-14)
        matrix, _ = chain(case, [p[time] for p in policies])
        mass = mass @ matrix
    np.testing.assert_allclose(found.visits[horizon].reshape(-1), mass, atol=1e-14)
    np.testing.assert_allclose(found.visits.sum(axis=tuple(range(1, found.visits.ndim))), 1, rtol=1e-13)
    # Forward and backward agree: scores are the start's average of the values at time 0.
    values = looped_values(case, policies, [0.7] * case.agents, horizon)
    for i, agent in enumerate(case.game.agents):
        assert found.score[agent] == pytest.approx(case.game.start.reshape(-1) @ values[i], abs=1e-13)
    assert (found.error, found.steps) == (0.0, horizon)


def test_endless_play_equals_the_linear_system(case):
    policies = random_policies(case.game, np.random.default_rng(38))
    found = evaluate(case.game, solution_of(case.game, policies, discount=0.95))
    matrix, rewards = chain(case, policies)
    exact = np.linalg.solve(np.eye(len(matrix)) - 0.95 * matrix.T, case.game.start.reshape(-1))
    assert abs(found.visits.reshape(-1) - exact).sum() < 1e-11
    for i, agent in enumerate(case.game.agents):
        assert abs(found.score[agent] - exact @ rewards[i]) <= max(found.error, 1e-13)
    assert found.steps is None
    assert found.error < 1e-10


def test_discounts_of_ones_own_give_visits_of_ones_own():
    game = GAMES["own moves"]()
    policies = random_policies(game, np.random.default_rng(39))
    both = evaluate(game, solution_of(game, policies, discount=[0.5, 0.9]))
    assert both.visits.shape == (2, *game.state_shape)
    for i, discount in enumerate([0.5, 0.9]):
        alone = evaluate(game, solution_of(game, policies, discount=discount))
        np.testing.assert_allclose(both.visits[i], alone.visits, rtol=1e-12)
        assert both.score[game.agents[i]] == pytest.approx(alone.score[game.agents[i]], rel=1e-12)


def test_many_steps_tend_to_endless_play():
    game = GAMES["joint moves"]()
    solution = solution_of(game, random_policies(game, np.random.default_rng(40)), discount=0.8)
    ever, long = evaluate(game, solution), evaluate(game, solution, steps=200)
    assert long.visits.shape == (201, 7)
    for agent in game.agents:
        assert long.score[agent] == pytest.approx(ever.score[agent], abs=1e-12)
    weights = 0.8 ** np.arange(201)
    np.testing.assert_allclose(np.tensordot(weights, long.visits, 1), ever.visits, atol=1e-12)


@pytest.mark.parametrize("play", ["sampled", "most_probable"])
def test_simulation_agrees_with_the_exact_expectation(case, play):
    # 20,000 episodes; four standard errors, for scores and for the mass of every state at the end.
    horizon = 6
    policies = random_policies(case.game, np.random.default_rng(41), horizon)
    solution = solution_of(case.game, policies, horizon=horizon, discount=0.9)
    exact = evaluate(case.game, solution, play=play)
    seen = simulate(case.game, solution, 20_000, seed=1, play=play)
    for agent in case.game.agents:
        error = seen.score[agent].std() / math.sqrt(len(seen))
        assert abs(seen.score[agent].mean() - exact.score[agent]) <= 4 * error + 1e-12
    last = np.zeros(case.game.state_shape)
    np.add.at(last, tuple(np.moveaxis(seen.states[:, -1], -1, 0)), 1 / len(seen))
    error = np.sqrt(exact.visits[-1] * (1 - exact.visits[-1]) / len(seen))
    assert (abs(last - exact.visits[-1]) <= 4 * error + 1e-12).all()


def test_stopping_at_random_has_the_discounted_expectation():
    # With the discount as the chance to go on, plain sums average to the discounted score.
    game = GAMES["joint moves"]()
    solution = solution_of(game, random_policies(game, np.random.default_rng(42)), discount=0.8)
    exact = evaluate(game, solution)
    seen = simulate(game, solution, 20_000, seed=2, steps=100, terminate=True)
    assert seen.discount == (1.0, 1.0)
    assert abs(seen.lengths.mean() - 5) <= 4 * math.sqrt(20 / 20_000)  # geometric: mean 1/0.2, variance 0.8/0.04
    for agent in game.agents:
        error = seen.score[agent].std() / math.sqrt(len(seen))
        assert abs(seen.score[agent].mean() - exact.score[agent]) <= 4 * error
    # After the end there is nothing; at the end there is a state.
    times = np.arange(101)
    np.testing.assert_array_equal(seen.states[..., 0] >= 0, times <= seen.lengths[:, None])
    np.testing.assert_array_equal(seen.actions[..., 0] >= 0, times[:-1] < seen.lengths[:, None])
    assert (seen.rewards[times[:-1] >= seen.lengths[:, None]] == 0).all()


# --------------------------------------------------------------------------- most probable actions


def test_ties_of_most_probable_actions_are_split_evenly():
    policy = np.array([[0.4, 0.4 * (1 - 1e-10), 0.2], [0.5, 0.3, 0.2], [1 / 3, 1 / 3, 1 / 3], [0.4, 0.3999, 0.2001]])
    np.testing.assert_allclose(most_probable(policy), [[0.5, 0.5, 0], [1, 0, 0], [1 / 3] * 3, [1, 0, 0]], atol=1e-15)


def test_play_of_tied_actions_is_exact_and_drawn_alike():
    # Row ties between its first and last action and never takes the middle one.
    game = qt.MarkovGame.normal_form([np.array([[1.0], [10.0], [3.0]]), np.zeros((3, 1))], agents=("row", "column"))
    solution = solution_of(game, [[[0.45, 0.1, 0.45]], [[1.0]]], horizon=None)
    assert evaluate(game, solution).score["row"] == pytest.approx(0.45 + 1.0 + 1.35)
    assert evaluate(game, solution, play="most_probable").score["row"] == pytest.approx(2.0)
    (chosen, _) = simulate(game, solution, 10_000, steps=1, play="most_probable").counts(game)
    assert chosen[0, 1] == 0
    assert abs(chosen[0, 0] - 5000) <= 4 * 50


def test_the_papers_two_player_pursuit():
    # MODEL, section 3: sampled play of the reconstructed graph hunts 2.57 times, at 0.4 a time.
    game = pursuit.two_players()
    solution = qt.solve(game, beta=1.0, horizon=22)
    score = evaluate(game, solution).score
    assert score[game.agents[0]] / 0.4 == pytest.approx(2.57, abs=0.005)
    assert score[game.agents[1]] == pytest.approx(-score[game.agents[0]], abs=1e-12)


# --------------------------------------------------------------------------- starts and errors


def test_play_starts_where_it_is_told_to():
    game = pursuit.three_players()
    policies = random_policies(game, np.random.default_rng(43), 3)
    solution = solution_of(game, policies, horizon=3, discount=1.0)
    by_number = evaluate(game, solution, start=(0, 8, 4))
    by_label = evaluate(game, solution, start=("0", "8", "4"))
    spread = np.zeros(game.state_shape)
    spread[0, 8, 4] = 1.0
    by_mass = evaluate(game, solution, start=spread)
    assert by_number.score == by_label.score == by_mass.score
    assert (simulate(game, solution, 10, start=(0, 8, 4)).states[:, 0] == (0, 8, 4)).all()
    # The score of a mixture is the mixture of scores.
    mixed = evaluate(game, solution, start=0.25 * spread + 0.75 * game.start)
    assert mixed.score["p"] == pytest.approx(
        0.25 * by_number.score["p"] + 0.75 * evaluate(game, solution).score["p"], abs=1e-14
    )


def test_a_start_that_is_none_says_so():
    game = GAMES["joint moves"]()
    solution = solution_of(game, random_policies(game, np.random.default_rng(44), 2), horizon=2, discount=1.0)
    with pytest.raises(qt.ParameterError, match=r"shape \(7,\): got \(2,\)"):
        evaluate(game, solution, start=np.array([0.5, 0.5]))
    with pytest.raises(qt.ParameterError, match=r"a sum of 0.7"):
        evaluate(game, solution, start=np.full(7, 0.1))
    with pytest.raises(qt.ParameterError, match=r"a smallest of -1.0"):
        evaluate(game, solution, start=np.array([-1.0, 2, 0, 0, 0, 0, 0]))
    with pytest.raises(qt.GameError, match="out of range"):
        evaluate(game, solution, start=9)


def test_stationary_play_wants_a_number_of_steps():
    game = GAMES["joint moves"]()
    stationary = solution_of(game, random_policies(game, np.random.default_rng(45)), discount=[0.5, 0.6])
    with pytest.raises(qt.ParameterError, match=r"stationary.*expected steps="):
        simulate(game, stationary, 10)
    with pytest.raises(qt.ParameterError, match="one discount for all agents"):
        simulate(game, stationary, 10, steps=5, terminate=True)
    with pytest.raises(qt.ParameterError, match="at least 1"):
        simulate(game, stationary, 10, steps=0)
    finite = solution_of(game, random_policies(game, np.random.default_rng(45), 3), horizon=3, discount=1.0)
    with pytest.raises(qt.ParameterError, match=r"horizon of 3.*solve again with horizon=5"):
        evaluate(game, finite, steps=5)
    assert simulate(game, finite, 2, steps=3).actions.shape == (2, 3, 2)


def test_what_cannot_be_played_is_refused():
    game = GAMES["joint moves"]()
    solution = solution_of(game, random_policies(game, np.random.default_rng(46), 2), horizon=2, discount=1.0)
    with pytest.raises(qt.ParameterError, match=r"play='best': expected one of 'sampled', 'most_probable'"):
        evaluate(game, solution, play="best")
    with pytest.raises(qt.ParameterError, match="episodes=-1"):
        simulate(game, solution, -1)
    with pytest.raises(qt.ParameterError, match="batch=0"):
        simulate(game, solution, 3, batch=0)
    with pytest.raises(qt.TooLargeError, match=r"keeping 10{12} episodes"):
        simulate(game, solution, 10**12)
    assert len(simulate(game, solution, 0)) == 0
