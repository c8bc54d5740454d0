"""Data that cannot have been play of the game are refused, and the place is named."""

import numpy as np
import pytest

import quantal as qt
from quantal import FileError, GameError, ParameterError
from quantal.infer.data import observed
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
