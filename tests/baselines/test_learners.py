"""Learners on games whose answers are known: optima, values of zero-sum games, frequencies, published failures."""

import numpy as np
import pytest
from scipy.optimize import linprog

import quantal as qt
from quantal import MarkovGame, ParameterError, baselines, experiments
from quantal.baselines import (
    FMQ,
    Boltzmann,
    Constant,
    Cooling,
    Correlated,
    Decay,
    Foe,
    Friend,
    Greedy,
    JointQ,
    Nash,
    PerVisit,
    QLearning,
    Uniform,
    joint_action_learner,
    model_based,
    nscp_learner,
    train,
)
from quantal.baselines.learned import settled_at
from quantal.baselines.schedules import exploration_of, schedule_of
from quantal.baselines.training import check_learner, check_seed, listed
from quantal.games.experiments import selten_chmura_2008

CLIMBING = np.array([[11.0, -30, 0], [-30, 7, 6], [0, 0, 5]])


def deterministic(states, counts, seed, rewards=None):
    """A random game with certain moves."""
    rng = np.random.default_rng(seed)
    moves = np.eye(states)[rng.integers(0, states, (states, *counts))]
    if rewards is None:
        rewards = [rng.random((states, *counts)) for _ in counts]
    return MarkovGame.from_arrays(rewards, moves), rewards, moves


def optimum(reward, moves, discount):
    """Value iteration over joint actions, plainly."""
    value = np.zeros(moves.shape[0])
    for _ in range(2000):
        value = (reward + discount * moves @ value).reshape(len(value), -1).max(axis=1)
    return value


def minimax_by_highs(table):
    """Value of a matrix game for its row player."""
    rows, columns = table.shape
    found = linprog(
        np.r_[np.zeros(rows), -1],
        A_ub=np.c_[-table.T, np.ones(columns)],
        b_ub=np.zeros(columns),
        A_eq=np.r_[np.ones(rows), 0][None],
        b_eq=[1],
        bounds=[(0, None)] * rows + [(None, None)],
        method="highs",
    )
    return -found.fun


def zero_sum(states=3, counts=(2, 3), seed=2):
    rng = np.random.default_rng(seed)
    reward = rng.normal(size=(states, *counts))
    moves = rng.dirichlet(np.ones(states), size=(states, *counts))
    return MarkovGame.from_arrays([reward, -reward], moves), reward, moves


# ---------------------------------------------------------------------- optima


def test_q_learning_of_one_agent_finds_the_optimum():
    # Certain moves and a rate of 1: asynchronous value iteration, which converges to the last digit.
    game, (reward,), moves = deterministic(6, (3,), 1)
    found = baselines.q_learning(game, steps=20_000, discount=0.8, rate=Constant(1.0), exploration=Uniform())
    np.testing.assert_allclose(found.value[0], optimum(reward, moves, 0.8), atol=1e-9)
    assert qt.exploitability(game, found).largest[0] <= 1e-9  # nothing is better: the decision problem is solved
    assert found.converged


def test_q_learning_of_one_agent_finds_the_optimum_of_a_noisy_problem():
    # Watkins & Dayan's conditions: every pair visited for ever, rates 1/n^0.7. 120,000 steps leave a few hundredths.
    game = qt.games.random.stochastic(4, 1, 3, seed=3)
    found = baselines.q_learning(game, steps=120_000, discount=0.8, rate=PerVisit(0.7), exploration=Uniform())
    best = qt.exploitability(game, found)
    assert best.largest[0] <= 0.02
    reward, moves = game.rewards[0], np.zeros((4, 3, 4))
    np.put_along_axis(moves, game.dynamics.successors.astype(int), game.dynamics.probabilities, axis=-1)
    np.testing.assert_allclose(found.value[0], optimum(reward, moves, 0.8), atol=0.05)


def test_friends_find_the_optimum_of_a_cooperative_game():
    rng = np.random.default_rng(8)
    common = rng.random((5, 3, 2))
    game, _, moves = deterministic(5, (3, 2), 4, [common, common])
    best = optimum(common, moves, 0.8)
    known = model_based(game, Friend(), discount=0.8)
    sampled = baselines.friend_or_foe(game, "friend", steps=8_000, discount=0.8, rate=Constant(1.0))
    for found in (known, sampled):
        for i in range(2):
            np.testing.assert_allclose(found.value[i], best, atol=1e-8)
        # Distinct payoffs: friends agree on the joint action, and their play is worth the optimum.
        np.testing.assert_allclose(qt.evaluate(game, found).score["agent1"], best.mean(), atol=1e-7)


def test_foes_find_the_value_of_a_zero_sum_game():
    game, reward, moves = zero_sum()
    value = np.zeros(3)
    for _ in range(300):  # Shapley (1953), by HiGHS
        value = np.array([minimax_by_highs(q) for q in reward + 0.7 * moves @ value])
    found = model_based(game, Foe(), discount=0.7)
    np.testing.assert_allclose(found.value[0], value, atol=1e-8)
    np.testing.assert_allclose(found.value[1], -value, atol=1e-8)
    # Minimax play of both is a Nash equilibrium.
    assert max(qt.exploitability(game, found).largest) <= 1e-7


@pytest.mark.deep
def test_in_zero_sum_games_every_equilibrium_is_worth_what_foes_find():
    game, _, _ = zero_sum()
    value = model_based(game, Foe(), discount=0.7).value[0]
    for rule in (Nash(), Correlated("u"), Correlated("e")):
        np.testing.assert_allclose(model_based(game, rule, discount=0.7).value[0], value, atol=1e-8)


@pytest.mark.deep
def test_sampling_foes_learn_the_value_too():
    game, _, _ = zero_sum()
    limit = model_based(game, Foe(), discount=0.7)
    sampled = baselines.friend_or_foe(game, "foe", steps=60_000, discount=0.7, rate=PerVisit(0.7))
    np.testing.assert_allclose(sampled.value[0], limit.value[0], atol=0.06)


# ---------------------------------------------------------------------- Nash-Q


@pytest.mark.deep
def test_nash_q_finds_the_only_equilibrium_and_so_does_correlated_q():
    # Completely mixed 2x2 games of opposed interests have one equilibrium, Nash and correlated: known in closed form.
    for published in selten_chmura_2008()[::4]:
        up, left = experiments.mixed_nash(published.game)
        nash = model_based(published.game, Nash())
        np.testing.assert_allclose(nash.policy[0][0], [up, 1 - up], atol=1e-12)
        np.testing.assert_allclose(nash.policy[1][0], [left, 1 - left], atol=1e-12)
        correlated = model_based(published.game, Correlated("u"))
        for i in range(2):
            np.testing.assert_allclose(correlated.value[i], nash.value[i], atol=1e-12)
            np.testing.assert_allclose(correlated.policy[i], nash.policy[i], atol=1e-12)
        sampled = baselines.nash_q(published.game, steps=300, rate=Constant(1.0))
        np.testing.assert_allclose(sampled.value[0], nash.value[0], atol=1e-12)


@pytest.mark.parametrize("shape", [(2, 2), (4, 3)])
def test_every_selected_stage_equilibrium_is_a_nash_equilibrium(shape):
    # As many one-state games as one game of many states: nobody gains by deviating at any of them.
    rng = np.random.default_rng(11)
    smooth, tied = rng.normal(size=(2, 40, *shape)), rng.integers(-2, 3, (2, 40, *shape)) * 1.0
    for payoffs in (smooth, tied):
        moves = np.broadcast_to(np.eye(40)[:, None, None], (40, *shape, 40))
        game = MarkovGame.from_arrays(list(payoffs), moves)
        found = model_based(game, Nash(), discount=0.0)
        assert max(qt.exploitability(game, found).largest) <= 1e-9
        # Of pure equilibria, the one with the largest sum.
        for x in range(40):
            first, second = payoffs[:, x]
            pure = [
                first[a] + second[a]
                for a in np.ndindex(*shape)
                if first[a] == first[:, a[1]].max() and second[a] == second[a[0]].max()
            ]
            if pure:
                got = found.policy[0][x] @ (first + second) @ found.policy[1][x]
                assert got == pytest.approx(max(pure))


def test_nash_q_is_for_two():
    with pytest.raises(ParameterError, match="two agents: got 3"):
        baselines.nash_q(qt.games.random.stochastic(2, 3, 2), steps=10)


# ---------------------------------------------------------------------- repeated games


def test_fmq_climbs_where_q_learning_does_not():
    # Kapetanakis & Kudenko's climbing game, 1000 moves, the same temperatures: (a, a) pays 11, but finding it costs 30.
    game = MarkovGame.normal_form([CLIMBING, CLIMBING])

    def share(learner):
        runs = train(game, learner, steps=1_000, seeds=range(100))
        return np.mean([run.policy[0][0, 0] * run.policy[1][0, 0] for run in runs])

    fmq, plain = share(FMQ()), share(QLearning(Constant(0.9), Boltzmann()))
    assert fmq >= 0.95  # the paper: practically always
    assert plain <= 0.4
    # Claus & Boutilier: joint-action learners do not climb either; penalties frighten them off.
    assert share(joint_action_learner(exploration=Boltzmann())) <= 0.4


def test_the_models_of_jal_are_the_empirical_frequencies():
    # Everybody explores uniformly: frequencies of 20,000 draws are within 5 standard errors of 1/A.
    game = MarkovGame.normal_form([np.zeros((2, 5))] * 2)
    found = baselines.jal(game, steps=20_000, exploration=Uniform())
    for i, count in enumerate((2, 5)):
        p = 1 / count
        np.testing.assert_allclose(found.models[i][0], p, atol=5 * np.sqrt(p * (1 - p) / 20_000))
        assert (found.models[i][0] * 20_000).round(6).tolist() == (found.models[i][0] * 20_000).round().tolist()
    # A dominant action, tried with epsilon = 0.3: probability 0.7 + 0.3 / 2 once it is known.
    steady = MarkovGame.normal_form([np.array([[1.0, 1.0], [0.0, 0.0]]), np.zeros((2, 2))])
    found = baselines.jal(steady, steps=20_000, exploration=Greedy(Constant(0.3)), rate=Constant(0.5))
    assert found.models[0][0, 0] == pytest.approx(0.85, abs=0.02)


def test_recent_actions_weigh_more_for_nscp():
    # A model with weight 1 is the last action alone; JAL's forgets nothing.
    game = MarkovGame.normal_form([np.zeros((3, 3))] * 2)
    found = baselines.nscp(game, steps=100, weight=1.0, exploration=Uniform())
    assert sorted(found.models[0][0].tolist()) == [0, 0, 1]
    assert "reconstructed" in found.method
    # Against uniform play its models scatter around 1/3 with variance p (1 - p) w / (2 - w).
    runs = train(game, nscp_learner(exploration=Uniform(), weight=0.1), steps=200, seeds=range(200))
    spread = np.std([run.models[0][0, 0] for run in runs])
    assert spread == pytest.approx(np.sqrt(2 / 9 * 0.1 / 1.9), rel=0.2)


def test_fictitious_play_finds_the_value_of_matching_pennies():
    pennies = np.array([[1.0, -1.0], [-1.0, 1.0]])
    found = baselines.fictitious_play(MarkovGame.normal_form([pennies, -pennies]), steps=20_000)
    np.testing.assert_allclose(found.policy[0][0], [0.5, 0.5], atol=0.01)  # Robinson (1951)
    assert max(found.certificate.exploitability.largest) <= 0.02


def test_fictitious_play_converges_in_a_zero_sum_markov_game():
    game, _, _ = zero_sum()
    found = baselines.fictitious_play(game, steps=20_000, discount=0.5)
    value = model_based(game, Foe(), discount=0.5).value[0]
    np.testing.assert_allclose(found.value[0], value, atol=0.02)
    short = baselines.fictitious_play(game, steps=200, discount=0.5)
    assert max(qt.exploitability(game, found).largest) < max(qt.exploitability(game, short).largest)


def test_fictitious_play_first_rounds_by_hand():
    # Round 1 answers uniform play: row's payoffs average (2, 1), column's (1, 2). Round 2 answers (up, right).
    row, column = np.array([[4.0, 0.0], [1.0, 1.0]]), np.array([[0.0, 2.0], [2.0, 2.0]])
    game = MarkovGame.normal_form([row, column])
    one, two = (baselines.fictitious_play(game, steps=k) for k in (1, 2))
    np.testing.assert_array_equal(one.policy[0][0], [1, 0])
    np.testing.assert_array_equal(one.policy[1][0], [0, 1])
    np.testing.assert_array_equal(two.policy[0][0], [0.5, 0.5])  # against right, down pays 1 and up 0
    np.testing.assert_array_equal(two.policy[1][0], [0, 1])


# ---------------------------------------------------------------------- runs


@pytest.mark.parametrize(
    "learner",
    [
        QLearning(),
        pytest.param(JointQ(Correlated("l"), exploration=Greedy()), marks=pytest.mark.deep),
        pytest.param(JointQ(Correlated("u"), exploration=Greedy()), marks=pytest.mark.deep),
        pytest.param(JointQ(Nash(), PerVisit()), marks=pytest.mark.deep),
        pytest.param(nscp_learner(), marks=pytest.mark.deep),
        pytest.param(FMQ(), marks=pytest.mark.deep),
    ],
    ids=lambda learner: learner.name,
)
def test_a_seed_gives_the_same_run_bit_for_bit_whichever_run_beside_it(learner):
    # Alone, at other places among others, and in a second block.
    game = qt.games.random.stochastic(3, 2, 2, seed=1)
    alone = train(game, learner, steps=700, seeds=(6,))[0]
    for seeds in ((4, 5, 6), (6, 1, 2, 3), (*range(30, 47), 6, 5)):
        runs = train(game, learner, steps=700, seeds=seeds)
        beside = runs[seeds.index(6)]
        for name in ("policy", "q", "value"):
            for i in range(2):
                np.testing.assert_array_equal(getattr(beside, name)[i], getattr(alone, name)[i])
        np.testing.assert_array_equal(beside.curve, alone.curve)
        assert beside.parameters == alone.parameters
        assert any((runs[0].q[i] != runs[1].q[i]).any() for i in range(2))  # seeds matter


def test_a_run_counted_in_episodes_ends_alike_beside_longer_ones():
    # Lanes that need more steps for as many episodes go on beside one that is over: it must not notice.
    game = qt.games.grid.game_one("2x2")
    runs = train(game, QLearning(), episodes=300, seeds=range(6))
    assert len({run.parameters.steps for run in runs}) > 1
    shortest = min(runs, key=lambda run: run.parameters.steps)
    alone = train(game, QLearning(), episodes=300, seeds=(shortest.parameters.seed,))[0]
    np.testing.assert_array_equal(shortest.curve, alone.curve)
    np.testing.assert_array_equal(shortest.curve_steps, alone.curve_steps)
    assert shortest.settled == alone.settled


def test_who_has_learned_nothing_has_not_settled():
    # A rate of 0 learns nothing, whatever is seen: its curve is as flat as one that has long settled.
    run = baselines.q_learning(qt.games.random.stochastic(3, 2, 2, seed=1), steps=100, rate=0.0)
    assert (run.curve == run.curve[0]).all()
    assert run.settled is None
    assert run.steps_to_settle is None
    assert not run.converged
    assert "never moved" in str(run.status)
    # One that jumps to its end at once has.
    assert settled_at(np.array([[0.0], [1.0], [1.0], [1.0]])) == 1


def test_plain_numbers_are_schedules():
    game = qt.games.random.stochastic(3, 2, 2, seed=1)
    plain = baselines.q_learning(game, steps=50, rate=0.1, exploration=0.2)
    said = baselines.q_learning(game, steps=50, rate=Constant(0.1), exploration=Greedy(Constant(0.2)))
    assert plain.learner == said.learner
    np.testing.assert_array_equal(plain.q[0], said.q[0])
    assert nscp_learner(0.5, 0.1).exploration == Greedy(0.1)


def test_episodes_are_counted_and_end_runs():
    game = qt.games.random.stochastic(3, 2, 2, seed=1)
    runs = train(game, QLearning(), episodes=12, episode_length=10, seeds=(0, 1))
    for run in runs:
        assert (run.parameters.episodes, run.parameters.steps) == (12, 120)
    # An episode ends where nothing more can happen: game I, 2x2, never takes the whole 100 steps.
    grid = qt.games.grid.game_one("2x2")
    run = baselines.q_learning(grid, episodes=50, seed=1)
    assert run.parameters.episodes == 50
    assert run.parameters.steps < 50 * 100


def test_what_was_never_visited_is_said():
    run = baselines.q_learning(qt.games.grid.game_two(), steps=5)
    assert run.visited[6, 8]  # the start: both bottom corners
    assert run.visited.sum() <= 5


def test_learning_follows_the_update_rule_step_by_step():
    # One state, one action each: every step is Q <- Q + rate (r + discount Q - Q), whatever is drawn.
    moves = np.ones((1, 1, 1, 1))
    game = MarkovGame.from_arrays([np.full((1, 1, 1), 2.0), np.full((1, 1, 1), -1.0)], moves)
    expected = np.zeros(2)
    for _ in range(7):
        expected += 0.3 * (np.array([2.0, -1.0]) + 0.5 * expected - expected)
    for learner in (QLearning(Constant(0.3)), JointQ(Correlated("e"), Constant(0.3)), nscp_learner(Constant(0.3))):
        run = train(game, learner, steps=7, discount=0.5)[0]
        np.testing.assert_allclose([run.value[0][0], run.value[1][0]], expected, atol=1e-14)


def test_bad_input_says_what_is_accepted():
    game = qt.games.grid.game_two()
    with pytest.raises(ParameterError, match="steps=None, episodes=None: expected one of the two"):
        baselines.q_learning(game)
    with pytest.raises(ParameterError, match="0 <= discount < 1"):
        baselines.q_learning(game, steps=10, discount=1.0)
    with pytest.raises(ParameterError, match="seeds: expected at least one"):
        train(game, QLearning(), steps=10, seeds=())
    with pytest.raises(ParameterError, match="others='enemy'"):
        baselines.friend_or_foe(game, "enemy", steps=10)
    with pytest.raises(ParameterError, match="got Boltzmann"):
        baselines.correlated_q(game, steps=10, exploration=Boltzmann())
    with pytest.raises(ParameterError, match="selection='z'"):
        baselines.correlated_q(game, "z", steps=10)
    for learner, said in (("nash-q", "got 'nash-q'"), (QLearning, r"QLearning\(...\): got the class"), (None, "None")):
        with pytest.raises(ParameterError, match=f"learner: expected settings.*{said}"):
            check_learner(learner)
    for seed in (2**63, 2**64, -1, 0.5, True, "3"):
        with pytest.raises(ParameterError, match=r"0 <= seed < 2\*\*63"):
            check_seed(seed)
    assert check_seed(2**63 - 1) == 2**63 - 1  # not by way of a float, which would round it
    with pytest.raises(ParameterError, match="seed=18446744073709551616"):
        train(game, QLearning(), steps=10, seeds=(2**64,))
    with pytest.raises(ParameterError, match="seeds=3: expected several"):
        listed(3)
    for steps in (10**13, 10**30):
        with pytest.raises(ParameterError, match="at most 1,000,000,000,000"):
            train(game, QLearning(), steps=steps)
    with pytest.raises(ParameterError, match="rule=<class"):
        JointQ(Correlated)
    for settings, said in (
        ({"rate": 1.5}, "rate=1.5: expected at most 1"),
        ({"exploration": 1.5}, "epsilon=1.5: expected at most 1"),
        ({"initial": np.inf}, "initial=inf"),
    ):
        with pytest.raises(ParameterError, match=said):
            QLearning(**settings)
    with pytest.raises(ParameterError, match="rate='fast': expected a number"):
        schedule_of("rate", "fast")
    with pytest.raises(ParameterError, match="exploration=<class"):
        exploration_of(Decay)
    for temperature in (0.0, Constant(0.0), Cooling(5.0, 0.0, 1.0)):
        with pytest.raises(ParameterError, match="positive"):
            Boltzmann(temperature)
    with pytest.raises(ParameterError, match=r"value=-1\.0: expected a finite number >= 0"):
        Constant(-1.0)
