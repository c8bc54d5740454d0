"""Play of crowds: exact scores against the equation that defines values, episodes against both and against loops."""

import numpy as np
import pytest
from tests.crowds import loops
from tests.crowds.loops import GAMES, on_graph, on_grid

import quantal as qt
from quantal.errors import ParameterError
from quantal.rollout_crowd import persons

HORIZON = 5
BETA = 0.6


def attraction(others, kind):
    del kind
    return 0.3 * others.sum(axis=0) ** 2


KINDS = GAMES | {"graph, a function of one's own": lambda: on_graph(interaction=attraction)}


@pytest.fixture(scope="module", params=KINDS, name="solution")
def _solution(request):
    solution = qt.solve(KINDS[request.param](), beta=BETA, horizon=HORIZON)
    assert solution.converged
    return solution


def test_scores_are_the_values_at_the_start(solution):
    # By the rule `expected`, V^0 is what is to come from everyone's policies, at the fixed point.
    game = solution.game
    scores = qt.evaluate(game, solution)
    for i, agent in enumerate(game.agents):
        start = game.start(i)
        worth = float(start[start > 0] @ solution.value[i][0][start > 0])
        assert scores.score[agent] == pytest.approx(worth, abs=1e-8)
        assert scores.score[agent] == scores.own[agent] + scores.interaction[agent]


def test_what_others_are_worth_is_summed_cell_by_cell():
    solution = qt.solve(GAMES["grid, nearness"](), beta=BETA, horizon=HORIZON)
    game = solution.game
    found = qt.evaluate(game, solution).interaction
    for i, agent in enumerate(game.agents):
        total = 0.0
        for time in range(HORIZON):
            now = [solution.occupancy[j][time] for j in range(len(game.members))]
            cells = [x for x in range(12) if x != game.goals[i] and now[i][x] > 0]
            total += sum(now[i][x] * loops.psi(game, now, i, x) for x in cells)
        assert found[agent] == pytest.approx(total, abs=1e-10)


@pytest.mark.parametrize("play", ["sampled", "most_probable"])
def test_episodes_have_the_exact_scores_on_average(solution, play):
    game = solution.game
    expected = qt.evaluate(game, solution, play=play).score
    played = qt.simulate(game, solution, 4000, seed=3, play=play)
    for name, i in persons(game):
        drawn = played.score[name]
        error = drawn.std(ddof=1) / np.sqrt(drawn.size)
        assert abs(drawn.mean() - expected[game.agents[i]]) <= 5 * error + 1e-9


def test_episodes_are_legal_and_paid_as_loops_pay():
    game = on_grid(final_interaction=True, nearness=loops.NEAR)
    solution = qt.solve(game, beta=BETA, horizon=HORIZON, max_steps=5)
    played = qt.simulate(game, solution, 30, seed=1)
    people = persons(game)
    assert played.agents == ("ann", "bob", "cars 1", "cars 2", "cars 3", "dora")
    assert played.axes[2] == "state_cars 1"
    for states, actions, rewards, final in zip(
        played.states, played.actions, played.rewards, played.final_rewards, strict=True
    ):
        for p, (_, i) in enumerate(people):
            kind, goal = game.kind_of(i), game.goals[i]
            assert game.start(i)[states[0, p]] > 0
            for time in range(HORIZON + 1):
                x = states[time, p]
                met = 0.0
                for q, (_, j) in enumerate(people):
                    y = states[time, q]
                    if p != q and (y != game.goals[j] or game.members[j].present_at_goal):
                        met -= loops.weight_between(game, i, j) * loops.near_at(game, x, y)
                if time == HORIZON:
                    worth = game.members[i].goal_reward if x == goal else game.final_rewards[i][x] + met
                    assert final[p] == pytest.approx(worth)
                    continue
                a = actions[time, p]
                if x == goal:
                    assert (states[time + 1, p], rewards[time, p]) == (x, 0.0)
                    continue
                assert kind.legal[x, a]
                assert states[time + 1, p] in kind.successors[x, a]
                own = game.rewards[i]
                assert rewards[time, p] == pytest.approx(own[x, a if own.shape[1] > 1 else 0] + met)


def test_seeds_and_batches():
    solution = qt.solve(on_graph(), beta=BETA, horizon=HORIZON)
    whole = qt.simulate(solution.game, solution, 50, seed=9)
    for other in (
        qt.simulate(solution.game, solution, 50, seed=9, batch=7),
        qt.simulate(solution.game, solution, 80, seed=9),
    ):
        np.testing.assert_array_equal(other.states[:50], whole.states)
        np.testing.assert_array_equal(other.rewards[:50], whole.rewards)
    assert len(qt.simulate(solution.game, solution, 0)) == 0


def test_what_cannot_be_played():
    solution = qt.solve(on_graph(), beta=BETA, horizon=HORIZON)
    with pytest.raises(ParameterError, match=r"steps=3: this solution is for a horizon of 5"):
        qt.simulate(solution.game, solution, 2, steps=3)
    with pytest.raises(ParameterError, match="terminate: not for a crowd"):
        qt.simulate(solution.game, solution, 2, terminate=True)
    with pytest.raises(ParameterError, match="start: not for a crowd"):
        qt.evaluate(solution.game, solution, start=0)
    with pytest.raises(ParameterError, match="Use the game that was solved"):
        qt.simulate(on_grid(), solution, 2)
    with pytest.raises(ParameterError, match="expected a game and then a solution"):
        qt.simulate(qt.games.pursuit.three_players(), solution, 2)
    with pytest.raises(ParameterError, match="play='x'"):
        qt.evaluate(solution.game, solution, play="x")


def test_more_people_than_anyone_can_list_are_refused_at_once():
    game = on_grid()
    members = [qt.Member("many", game.kinds[0].name, 0, count=10**12, weight=0.0)]
    crowd = qt.CrowdGame(cells=game.cells, kinds=game.kinds, members=members)
    solution = qt.solve(crowd, beta=BETA, horizon=2)
    with pytest.raises(qt.TooLargeError, match="of 1,000,000,000,000 agents"):
        qt.simulate(crowd, solution, episodes=1)
