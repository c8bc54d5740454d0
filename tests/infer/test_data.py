"""Data that cannot have been play of the game are refused, and the place is named."""

import itertools

import numpy as np
import pytest

import quantal as qt
from quantal import FileError, GameError, ParameterError
from quantal.infer.data import observed
from quantal.infer.expectations import seen
from quantal.trajectories import Trajectories

GAME = qt.games.pursuit.two_players()


def played(episodes=3, steps=2):
    return qt.simulate(GAME, qt.solve(GAME, beta=1.0, horizon=steps), episodes=episodes, seed=0)


def altered(data, states=None, actions=None):
    return Trajectories(
        agents=data.agents,
        axes=data.axes,
        state_labels=data.state_labels,
        action_labels=data.action_labels,
        states=data.states if states is None else states,
        actions=data.actions if actions is None else actions,
        lengths=data.lengths,
    )


def test_counts_are_those_of_a_plain_loop():
    data = played(20, 3)
    counts = observed(GAME, data, 5).counts
    expected = [np.zeros((5, 9, 9, a)) for a in GAME.action_counts]
    for episode in range(20):
        for time in range(3):
            for i in range(2):
                expected[i][(time, *data.states[episode, time], data.actions[episode, time, i])] += 1
    for own, loop in zip(counts, expected, strict=True):
        np.testing.assert_array_equal(own, loop)


def test_an_impossible_transition_is_named():
    data = played()
    states = data.states.copy()
    states[1, 1, 0] = (states[1, 0, 0] + 5) % 9 if states[1, 0, 0] != 4 else 4
    if states[1, 0, 0] == 4:
        states[1, 0, 0] = 0
    with pytest.raises(ParameterError, match=r"episode 1, time 0: .*(probability above 0|illegal)"):
        observed(GAME, altered(data, states=states), 2)


def test_an_impossible_transition_of_a_coupled_game_is_named():
    moves = np.zeros((2, 1, 2))
    moves[:, 0, 1] = 1.0  # always to state 1
    game = qt.MarkovGame.from_arrays([np.zeros((1, 1))], moves)
    data = Trajectories.from_arrays(game, [[[0], [1], [0]]], [[[0], [0]]])
    with pytest.raises(ParameterError, match=r"episode 0, time 1: the state is \(1\).*got \(0\)"):
        observed(game, data, None)


def test_an_unobserved_last_state_is_no_transition():
    moves = np.ones((1, 1, 1))
    game = qt.MarkovGame.from_arrays([np.zeros((1, 1))], moves)
    data = Trajectories.from_arrays(game, [[[0]]], [[[0]]])
    assert observed(game, data, None).choices == 1


def test_an_illegal_action_is_named():
    data = played()
    actions, states = data.actions.copy(), data.states.copy()
    states[2, 0], actions[2, 0, 0] = (0, 0), GAME.actions[0].index("left")  # node 0 is the left edge
    with pytest.raises(ParameterError, match=r"episode 2, time 0: action of h .*'left' is illegal there"):
        observed(GAME, altered(data, states=states, actions=actions), 2)


def test_longer_episodes_than_the_horizon_are_named():
    with pytest.raises(ParameterError, match="episode 0 has 2 decisions: expected at most horizon=1"):
        observed(GAME, played(), 1)


def test_another_games_play_is_refused():
    other = qt.games.grid.game_one()
    data = qt.simulate(other, qt.solve(other, beta=1.0, horizon=2), episodes=2, seed=0)
    with pytest.raises(ParameterError, match="another game: agents"):
        qt.infer.precision(GAME, data, horizon=2)


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([[1.0, 2.0]], "one array of counts for each of agent1, agent2: got 1"),
        ([[1.0, np.nan], [1.0, 1.0]], r"data of agent1, state \(play\), action '1': expected a count.*got nan"),
        ([[1.0, -2.0], [1.0, 1.0]], "got -2"),
        ([[1.0, 2.0, 3.0], [1.0, 1.0]], r"expected shape \(1, 2\)"),
        ([["a", "b"], [1.0, 1.0]], "expected an array of counts"),
        ([[0.0, 0.0], [0.0, 0.0]], "at least one observed choice"),
    ],
)
def test_bad_counts_are_named(counts, message):
    game = qt.MarkovGame.normal_form([np.eye(2), np.eye(2)])
    with pytest.raises(ParameterError, match=message):
        qt.infer.precision(game, counts)


def test_counts_of_illegal_actions_are_named():
    counts = [np.zeros((9, 9, a)) for a in GAME.action_counts]
    counts[0][0, 3, GAME.actions[0].index("left")] = 2
    with pytest.raises(ParameterError, match=r"data of h, state \(0, 3\), action 'left': this action is illegal"):
        qt.infer.precision(GAME, counts, discount=0.5)


def test_files_name_the_row(tmp_path):
    """What a file holds is checked as it is read: rows are known there."""
    played().to_csv(tmp_path / "play.csv")
    lines = (tmp_path / "play.csv").read_text().splitlines()
    wrong = tmp_path / "wrong.csv"
    for old, new, message in (
        (lines[1], lines[1].replace(lines[1].split(",")[2], "nowhere", 1), "line 2"),
        (lines[0], lines[0].replace("_h", "_x"), "no column"),
    ):
        wrong.write_text("\n".join([new if line == old else line for line in lines]))
        with pytest.raises(FileError, match=message):
            Trajectories.from_csv(wrong, GAME)
    wrong.write_text("")
    with pytest.raises(FileError, match="no column"):
        Trajectories.from_csv(wrong, GAME)
    wrong.write_text(lines[0] + "\n")
    with pytest.raises(ParameterError, match="at least one decision"):
        qt.infer.precision(GAME, Trajectories.from_csv(wrong, GAME), horizon=2)


def test_a_crowds_play_is_checked_agent_by_agent():
    x = np.arange(3)
    kind = qt.Kind(
        "walker", actions=("left", "right"), successors=np.stack([np.maximum(x - 1, 0), np.minimum(x + 1, 2)], 1)
    )
    game = qt.CrowdGame(
        cells=("w", "m", "e"), kinds=[kind], members=[qt.Member("ann", "walker", start=0, goal="e", goal_reward=1.0)]
    )

    def data(cells, actions):
        return Trajectories(
            agents=("ann",),
            axes=("state_ann",),
            state_labels=(game.cells,),
            action_labels=game.actions,
            states=np.array(cells)[None, :, None],
            actions=np.array(actions)[None, :, None],
            lengths=np.array([len(actions)]),
        )

    counts = observed(game, data([0, 1, 2, 2], [1, 1, 0]), 3).counts[0]
    assert counts.sum() == 2  # at its goal it chooses nothing
    with pytest.raises(ParameterError, match=r"time 1: ann is at m and chooses 'right': expected .* got w"):
        observed(game, data([0, 1, 0], [1, 1]), 3)
    with pytest.raises(ParameterError, match="time 2: ann is at e"):
        observed(game, data([0, 1, 2, 1], [1, 1, 0]), 3)


def test_what_cannot_be_asked_for_says_why():
    game = qt.MarkovGame.normal_form([np.eye(2), np.eye(2)])
    counts = [[1.0, 2.0], [2.0, 1.0]]
    with pytest.raises(ParameterError, match="criterion='distance'"):
        qt.infer.precision(game, counts, criterion="distance")
    with pytest.raises(ParameterError, match="one entry for each of 2 games"):
        qt.infer.precision([game, game], [counts])
    with pytest.raises(ParameterError, match="nothing is unknown"):
        qt.infer.likelihood(game, counts)
    with pytest.raises(ParameterError, match="only a crowd"):
        qt.infer.likelihood(game, counts, estimate_weights="common")
    with pytest.raises(GameError, match="no agent"):
        qt.infer.Features.of(game, {"nobody": []})


WAITING = qt.infer.features.waiting(GAME, "p")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"features": qt.infer.Features.of(GAME, {})}, "with at least one"),
        ({"common": "waits"}, r"in a sequence: \('waits',\)"),
        ({"prior": -1.0}, "expected one number >= 0"),
        ({"start": [1.0, 2.0]}, r"start: expected 1 numbers \(p: waits\)"),
        ({"start": [np.nan]}, "start: expected 1 numbers"),
        ({"max_steps": 0}, "max_steps=0: expected a whole number"),
        ({"estimate_beta": "each"}, "estimate_beta='each'"),
    ],
)
def test_what_an_estimate_is_asked_is_checked(given, message):
    with pytest.raises(ParameterError, match=message):
        qt.infer.rewards(
            GAME, **{"features": qt.infer.Features.of(GAME, {"p": [WAITING]}), "data": played(), "horizon": 2, **given}
        )


def test_matching_looks_at_its_data_as_likelihood_does():
    data, wanted = played(), qt.infer.Features.of(GAME, {"p": [WAITING]})
    states = data.states.copy()
    states[1, 1, 1] = (states[1, 0, 1] + 4) % 9
    with pytest.raises(ParameterError, match=r"episode 1, time [01]: .*(above 0|illegal)"):
        qt.infer.match(GAME, wanted, altered(data, states=states), horizon=2)
    nothing = Trajectories.from_arrays(GAME, np.zeros((2, 1, 2), int), np.zeros((2, 0, 2), int))
    with pytest.raises(ParameterError, match="2 episodes without any"):
        qt.infer.match(GAME, wanted, nothing, horizon=2)


def test_a_number_too_large_is_named_by_line(tmp_path):
    played().to_csv(tmp_path / "play.csv")
    lines = (tmp_path / "play.csv").read_text().splitlines()
    lines[2] = "9" * 20 + lines[2][1:]
    (tmp_path / "play.csv").write_text("\n".join(lines))
    with pytest.raises(FileError, match="line 3, column 'episode': expected a whole number: got '9999"):
        Trajectories.from_csv(tmp_path / "play.csv", GAME)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_crowds_play_is_read_again(tmp_path, ending):
    """Whoever rests at a goal counts for nothing, in likelihood and in matching: it could not do anything else."""
    x = np.arange(4)
    kind = qt.Kind(
        "walker",
        actions=("left", "right", "stay"),
        successors=np.stack([np.maximum(x - 1, 0), np.minimum(x + 1, 3), x], 1),
    )
    members = [qt.Member("ann", "walker", start=0, goal="c", goal_reward=2.0), qt.Member("bob", "walker", start=3)]
    crowd = qt.CrowdGame(cells=("a", "b", "c", "d"), kinds=[kind], members=members)
    data = qt.simulate(crowd, qt.solve(crowd, beta=1.0, horizon=6), episodes=5, seed=0)
    file = tmp_path / f"play.{ending}"
    (data.to_csv if ending == "csv" else data.to_parquet)(file)
    again = (Trajectories.from_csv if ending == "csv" else Trajectories.from_parquet)(file, crowd)
    np.testing.assert_array_equal(again.states, data.states)
    np.testing.assert_array_equal(again.actions, data.actions)
    wanted = qt.infer.Features.of(crowd, {a: [qt.infer.features.waiting(crowd, a)] for a in crowd.agents}, keep=True)
    there = seen(crowd, wanted, again)
    waits = [0, 0]
    for states in data.states.tolist():
        for now, after in itertools.pairwise(states):
            waits[0] += now[0] == after[0] != 2
            # At an end, walking on is waiting too.
            waits[1] += now[1] == after[1]
    np.testing.assert_array_equal(there.totals.sum(axis=0), waits)
    counts = observed(crowd, again, 6).counts
    assert counts[0].sum() == (data.states[:, :-1, 0] != 2).sum() < counts[1].sum()


def test_a_precision_of_zero_is_an_answer():
    """Who always takes the worse action shows that payoffs do not move them: the maximum lies at the edge."""
    payoffs = np.array([[3.0, 0.0], [5.0, 1.0]])
    game = qt.MarkovGame.normal_form([payoffs, payoffs.T])
    found = qt.infer.precision(game, [[10, 0], [10, 0]])
    assert found.converged
    assert found.value < 1e-6
    assert "beta is zero" in found.warnings[0]


def test_what_nothing_depends_on_stays_where_it_was():
    constant = qt.infer.Feature("constant", np.ones((1, 1, 1, 1)))
    wanted = qt.infer.Features.of(GAME, {"p": [WAITING, constant]})
    data = qt.simulate(GAME, qt.solve(wanted.game_with(GAME, [0.5, 0.0]), beta=1.0, horizon=2), episodes=50, seed=1)
    found = qt.infer.rewards(GAME, wanted, data, horizon=2, start=[0.0, 3.0])
    assert found.converged
    assert found.vector[1] == pytest.approx(3.0, abs=1e-9)
    assert np.isinf(found.standard_errors[1])


@pytest.mark.parametrize("beta", [1e-4, 1.0, 1e5])
def test_any_scale_of_payoffs_will_do(beta):
    """Play depends on beta times weights. Alone with two actions, 30 of 40: the log-odds are log 3."""
    game = qt.MarkovGame.normal_form([np.zeros(2)], actions=[["left", "right"]])
    left = qt.infer.Features.of(game, [[qt.infer.features.indicator(game, 0, action="left")]])
    found = qt.infer.rewards(game, left, [[30.0, 10.0]], beta=beta)
    assert found.converged
    assert beta * found.vector[0] == pytest.approx(np.log(3), rel=1e-6)
    assert beta * found.standard_errors[0] == pytest.approx(1 / np.sqrt(40 * 0.75 * 0.25), rel=1e-4)
