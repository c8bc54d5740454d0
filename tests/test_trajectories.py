"""What was played: arrays and files, there and back, and every way in which a file can be wrong."""

import re

import numpy as np
import pytest
from tests.cases import coupled_game, own_game, random_policies, solution_of

import quantal as qt
from quantal.errors import FileError, ParameterError
from quantal.rollout import simulate
from quantal.trajectories import Trajectories, state_axes


def door_game():
    """Two agents between two rooms; the guard may not leave the hall. Labels with commas and quotes."""
    moves = np.array([[[0], [1]], [[1], [0]]])
    return qt.MarkovGame(
        state_shape=(2, 2),
        rewards=(np.arange(4.0).reshape(2, 2, 1, 1), -np.arange(4.0).reshape(2, 2, 1, 1)),
        dynamics=qt.Independent([moves, moves]),
        actions=(("stay", "cross"), ("stay", "cross")),
        agents=("thief", "guard"),
        legal=(np.ones((1, 1, 2), bool), np.array([[[1, 0], [1, 1]]], bool)),
        final_rewards=(np.array([[0.0, 0.1], [1 / 3, 0.0]]), np.zeros((2, 2))),
        state_labels=(("hall", "vault"), ("hall", 'the "vault", upper')),
    )


def played(game=None, episodes=6, horizon=4, seed=0):
    game = game or door_game()
    rng = np.random.default_rng(50)
    solution = solution_of(game, random_policies(game, rng, horizon), horizon=horizon, discount=0.9)
    return game, simulate(game, solution, episodes, seed=seed)


def uneven(game):
    """Episodes of 3, 0 and 1 decisions; the last one's final state was not observed."""
    return Trajectories.from_arrays(
        game,
        states=[[[0, 0], [1, 0], [1, 1], [0, 1]], [[1, 1], [-1, -1], [-1, -1], [-1, -1]], [[0, 1], [-1, -1]] * 2],
        actions=[[[1, 0], [0, 0], [1, 1]], [[-1, -1]] * 3, [[1, 1], [-1, -1], [-1, -1]]],
        rewards=np.full((3, 3, 2), 0.1),
        final_rewards=[[1, 2], [3, 4], [0, 0]],
        discount=0.5,
    )


def same(a, b):
    assert (a.agents, a.axes, a.state_labels, a.action_labels) == (b.agents, b.axes, b.state_labels, b.action_labels)
    for name in ("states", "actions", "lengths", "rewards", "final_rewards"):
        mine, theirs = getattr(a, name), getattr(b, name)
        if mine is None or theirs is None:
            assert mine is theirs
        else:
            assert mine.dtype == theirs.dtype
            np.testing.assert_array_equal(mine, theirs)


FORMATS = ["csv", "parquet"]


def write(data, path):
    (data.to_csv if path.suffix == ".csv" else data.to_parquet)(path)


def read(path, game, **options):
    return (Trajectories.from_csv if path.suffix == ".csv" else Trajectories.from_parquet)(path, game, **options)


# --------------------------------------------------------------------------- the record


def test_counts_equal_the_loops():
    game, data = played(episodes=300)
    for by_time in (False, True):
        for i, count in enumerate(data.counts(game, by_time=by_time)):
            slow = np.zeros(((4,) if by_time else ()) + (2, 2, 2), dtype=int)
            for n in range(300):
                for t in range(4):
                    x, a = tuple(data.states[n, t]), data.actions[n, t, i]
                    slow[(t, *x, a) if by_time else (*x, a)] += 1
            np.testing.assert_array_equal(count, slow)


def test_counts_leave_out_what_came_after_the_end():
    game = door_game()
    thief, guard = uneven(game).counts(game)
    assert thief.sum() == guard.sum() == 4
    assert thief[0, 0].tolist() == [0, 1]
    assert guard[0, 1].tolist() == [0, 1]


def test_counts_of_a_normal_form():
    game = qt.MarkovGame.normal_form([np.zeros((3, 2))] * 2)
    data = Trajectories.from_arrays(game, np.zeros((5, 1), int), [[[0, 1]], [[0, 0]], [[2, 1]], [[0, 1]], [[2, 1]]])
    rows, columns = data.counts(game)
    assert rows.tolist() == [[3, 0, 2]]
    assert columns.tolist() == [[1, 4]]


def test_counts_want_the_same_game():
    _, data = played()
    with pytest.raises(ParameterError, match=r"another game: agents: expected \('a', 'b'\)"):
        data.counts(qt.MarkovGame.normal_form([np.zeros((2, 2))] * 2, agents=("a", "b")))


def test_scores_by_hand():
    data = uneven(door_game())
    np.testing.assert_allclose(data.score["thief"], [0.1 * 1.75 + 0.125 * 1, 3, 0.1])
    np.testing.assert_allclose(data.score["guard"], [0.1 * 1.75 + 0.125 * 2, 4, 0.1])


def test_without_rewards_there_is_no_score():
    game = door_game()
    data = Trajectories.from_arrays(game, [[[0, 0], [1, 0]]], [[[1, 0]]])
    assert "no rewards" in repr(data)
    with pytest.raises(ParameterError, match="have no rewards"):
        _ = data.score


def test_length_and_name():
    _, data = played()
    assert len(data) == 6
    assert repr(data) == "<Trajectories: 6 episodes of 4 decisions; agents thief, guard>"
    assert "of 0 to 3 decisions" in repr(uneven(door_game()))


def test_arrays_are_read_only_and_the_callers_stay_his():
    game = door_game()
    rewards = np.full((1, 1, 2), 3.0)
    data = Trajectories.from_arrays(game, [[[0, 0], [1, 0]]], [[[1, 0]]], rewards=rewards)
    with pytest.raises(ValueError, match="read-only"):
        data.rewards[0] = 1.0
    rewards[0] = 5.0
    assert data.rewards[0, 0, 0] == 3.0


def test_axes_are_named_after_agents_where_there_is_one_for_each():
    assert state_axes(door_game()) == ("state_thief", "state_guard")
    assert state_axes(coupled_game(0, 3, (2,), 1, ["s"])) == ("state",)
    dynamics = qt.Coupled(np.zeros((2, 3, 2, 1), int))
    several = qt.MarkovGame(
        state_shape=(2, 3), rewards=(np.zeros((1, 1, 1)),), dynamics=dynamics, actions=(("a", "b"),), agents=("one",)
    )
    assert state_axes(several) == ("state_0", "state_1")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"actions": [[[1]]]}, r"actions: expected \(episodes, T, 2\).*thief, guard: got \(1, 1, 1\)"),
        ({"actions": [[[1.0, 0.0]]]}, "actions: expected integers: got dtype float64"),
        ({"states": [[[0], [1]]]}, r"states: expected \(1, 2, 2\) .*: got \(1, 2, 1\)"),
        ({"actions": [[[2, 0]]]}, r"episode 0, time 0: action of thief: expected 0..1: got 2"),
        ({"actions": [[[1, -1]]]}, r"episode 0, time 0: action of guard: expected 0..1: got -1"),
        ({"states": [[[0, 2], [1, 0]]]}, r"episode 0, time 0: state axis 1: expected 0..1: got 2"),
        ({"states": [[[0, -1], [1, 0]]]}, r"episode 0, time 0: state axis 1: expected 0..1: got -1"),
        ({"states": [[[0, 0], [7, 0]]]}, r"episode 0, time 1: state axis 0: expected 0..1: got 7"),
        ({"actions": [[[1, 1]]]}, r"time 0: action of guard at state \(hall, hall\): 'cross' is illegal.*one of stay"),
        ({"rewards": np.zeros((1, 2, 2))}, r"rewards: expected shape \(1, 1, 2\): got \(1, 2, 2\)"),
        ({"final_rewards": [[1, 2]]}, "given without rewards"),
        ({"discount": [1.0, 0.9, 0.8]}, "one per agent"),
    ],
)
def test_wrong_arrays_name_the_place(changes, message):
    right = {"states": [[[0, 0], [1, 0]]], "actions": [[[1, 0]]]}
    with pytest.raises(ParameterError, match=message):
        Trajectories.from_arrays(door_game(), **(right | changes))


# --------------------------------------------------------------------------- there and back


@pytest.mark.parametrize("ending", FORMATS)
def test_files_give_back_what_was_written(ending, tmp_path):
    game, data = played()
    write(data, tmp_path / f"play.{ending}")
    back = read(tmp_path / f"play.{ending}", game, discount=0.9)
    same(back, data)
    assert back.discount == data.discount
    assert [p.name for p in tmp_path.iterdir()] == [f"play.{ending}"]


@pytest.mark.parametrize("ending", FORMATS)
def test_episodes_of_any_length_survive(ending, tmp_path):
    game = door_game()
    write(uneven(game), tmp_path / f"play.{ending}")
    same(read(tmp_path / f"play.{ending}", game), uneven(game))


@pytest.mark.parametrize("ending", FORMATS)
def test_several_chunks_survive(ending, tmp_path, monkeypatch):
    monkeypatch.setattr("quantal.trajectories.CHUNK_ROWS", 11)
    game, data = played(episodes=50)
    write(data, tmp_path / f"play.{ending}")
    same(read(tmp_path / f"play.{ending}", game), data)


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize(
    "make",
    [
        lambda: coupled_game(51, 300, (2, 3), 2, ["s01", "s1"]),
        lambda: own_game(52, (4, 130), (3, 2), (1, 2), ["s", "s"]),
    ],
)
def test_every_kind_of_game_survives(ending, make, tmp_path):
    # Labels are numbers here, and there are more of them than one byte holds.
    game, data = played(make(), episodes=40)
    write(data, tmp_path / f"play.{ending}")
    same(read(tmp_path / f"play.{ending}", game), data)


@pytest.mark.parametrize("ending", FORMATS)
def test_no_episodes_and_no_rewards_survive(ending, tmp_path):
    game = door_game()
    path = tmp_path / f"play.{ending}"
    none = Trajectories.from_arrays(game, np.zeros((0, 3, 2), int), np.zeros((0, 2, 2), int))
    write(none, path)
    assert len(read(path, game)) == 0
    silent = Trajectories.from_arrays(game, [[[0, 0], [1, 0]]], [[[1, 0]]])
    write(silent, path)
    same(read(path, game), silent)


@pytest.mark.parametrize("label", ["", " ", "NA", "null", "1", "a\nb", 'say "hm"', "é"])
@pytest.mark.parametrize("ending", FORMATS)
def test_awkward_labels_survive(ending, label, tmp_path):
    game = qt.MarkovGame.normal_form([np.zeros((2, 2))] * 2, actions=[[label, "other"], ["x", "y,z"]])
    data = Trajectories.from_arrays(game, np.zeros((2, 2), int), [[[0, 1]], [[1, 0]]])
    path = tmp_path / f"play.{ending}"
    write(data, path)
    same(read(path, game), data)


def test_a_csv_file_can_be_read_by_people(tmp_path):
    game = door_game()
    uneven(game).to_csv(tmp_path / "play.csv")
    lines = (tmp_path / "play.csv").read_text().splitlines()
    assert lines[0] == "episode,time,state_thief,state_guard,action_thief,action_guard,reward_thief,reward_guard"
    assert lines[1].replace('"', "") == "0,0,hall,hall,cross,stay,0.1,0.1"
    assert lines[4].endswith(",,,1,2")  # the last state: no actions, final rewards
    assert len(lines) == 1 + 4 + 1 + 1
    plain = qt.MarkovGame.normal_form([np.zeros((2, 2))] * 2)
    Trajectories.from_arrays(plain, np.zeros((1, 1), int), [[[0, 1]]]).to_csv(tmp_path / "plain.csv")
    assert '"' not in (tmp_path / "plain.csv").read_text()


def test_parquet_is_read_by_pandas_with_labels(tmp_path):
    import pandas as pd

    _, data = played()
    data.to_parquet(tmp_path / "play.parquet")
    frame = pd.read_parquet(tmp_path / "play.parquet")
    assert list(frame.columns[:3]) == ["episode", "time", "state_thief"]
    assert set(frame["state_thief"]) <= {"hall", "vault"}
    assert len(frame) == 6 * 5


# --------------------------------------------------------------------------- files as others write them


HEADER = "episode,time,state_thief,state_guard,action_thief,action_guard"


def csv_of(tmp_path, *lines, header=HEADER):
    path = tmp_path / "play.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_rows_columns_and_episodes_may_come_in_any_order(tmp_path):
    path = csv_of(
        tmp_path,
        "cross,stay,hall,hall,7,0,tired",
        "stay,stay,vault,hall,7,1,",
        "stay,stay,hall,hall,3,1,",
        "",
        "cross,stay,vault,hall,3,0,",
        header="action_thief,action_guard,state_thief,state_guard,episode,time,mood",
    )
    data = Trajectories.from_csv(path, door_game())
    assert data.states[:, :2, 0].tolist() == [[1, 0], [0, 1]]
    assert data.actions[..., 0].tolist() == [[1, 0], [1, 0]]
    assert (data.states[:, 2] == -1).all()
    assert data.rewards is None


def test_windows_files_are_read(tmp_path):
    path = tmp_path / "play.csv"
    path.write_bytes(b"\xef\xbb\xbf" + (HEADER + "\r\n0,0,hall,hall,stay,stay\r\n").encode())
    assert len(Trajectories.from_csv(path, door_game())) == 1


GOOD = "0,0,hall,hall,cross,stay"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([GOOD, "0,1,cellar,hall,stay,stay"], r"line 3, column 'state_thief': expected one of hall, vault: got 'cell"),
        (["0,0,hall,hall,jump,stay"], r"line 2, column 'action_thief': expected one of stay, cross: got 'jump'"),
        (["0,0,hall,hall,cross,cross"], r"line 2: action of guard at state \(hall, hall\): 'cross' is illegal"),
        ([GOOD, "0,2,vault,hall,stay,stay"], r"line 3, column 'time': expected 1 .*: got 2 in episode 0"),
        ([GOOD, "0,0,vault,hall,stay,stay"], r"line 3, column 'time': expected 1 .*: got 0 in episode 0"),
        (["4,1,hall,hall,cross,stay"], r"line 2, column 'time': expected 0 .*: got 1 in episode 4"),
        ([GOOD, "0,one,vault,hall,stay,stay"], r"line 3, column 'time': expected a whole number: got 'one'"),
        ([GOOD, "1.5,0,vault,hall,stay,stay"], r"line 3, column 'episode': expected a whole number: got '1.5'"),
        ([GOOD, ",1,vault,hall,stay,stay"], r"line 3, column 'episode': expected a whole number: it is empty"),
        ([GOOD, "0,1,,hall,stay,stay"], r"line 3, column 'state_thief': expected a label: it is empty"),
        ([GOOD, "0,1,vault,hall,stay"], r"line 3: expected 6 columns, as in the header: got 5"),
        (["0,0,hall,hall,,", GOOD.replace("0,0", "0,1")], r"line 2, column 'action_thief': expected one of stay"),
        ([GOOD, "0,1,hall,hall,,stay"], r"line 3, column 'action_thief'.*it is empty"),
    ],
)
def test_a_wrong_line_is_named(lines, message, tmp_path):
    path = csv_of(tmp_path, *lines)
    with pytest.raises(FileError, match=f"^{re.escape(str(path))}, {message}"):
        Trajectories.from_csv(path, door_game())


@pytest.mark.parametrize(
    ("cell", "message"),
    [("much", "expected a number: got 'much'"), ("", "a finite number: it is empty"), ("inf", "number: got inf")],
)
def test_wrong_rewards_are_named(cell, message, tmp_path):
    path = csv_of(tmp_path, f"{GOOD},1.5,{cell}", header=f"{HEADER},reward_thief,reward_guard")
    with pytest.raises(FileError, match=f"line 2, column 'reward_guard': .*{message}"):
        Trajectories.from_csv(path, door_game())


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEADER.replace("state_thief", "state_theif"), "no column 'state_thief': expected episode.*: got .*theif"),
        (f"{HEADER},reward_thief", "no column 'reward_guard'"),
        (f"{HEADER},time", "column 'time' is there more than once"),
    ],
)
def test_wrong_columns_are_named(header, message, tmp_path):
    path = csv_of(tmp_path, header=header)
    with pytest.raises(FileError, match=message):
        Trajectories.from_csv(path, door_game())


def test_wrong_parquet_cells_are_named_by_row(tmp_path):
    import pandas as pd

    game = door_game()
    frame = pd.DataFrame([line.split(",") for line in (GOOD, "0,1,cellar,hall,stay,stay")], columns=HEADER.split(","))
    frame.astype({"episode": int, "time": int}).to_parquet(tmp_path / "play.parquet")
    with pytest.raises(FileError, match=r"play.parquet, row 2, column 'state_thief': expected one of hall, vault: got"):
        Trajectories.from_parquet(tmp_path / "play.parquet", game)
    frame.assign(time="soon").to_parquet(tmp_path / "play.parquet")
    with pytest.raises(FileError, match=r"column 'time': expected whole numbers: got"):
        Trajectories.from_parquet(tmp_path / "play.parquet", game)


def test_files_that_are_something_else_say_so(tmp_path):
    game = door_game()
    with pytest.raises(FileError, match="no such file"):
        Trajectories.from_csv(tmp_path / "nothing.csv", game)
    with pytest.raises(FileError, match="is a directory"):
        Trajectories.from_csv(tmp_path, game)
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(FileError, match=r"no column 'episode'.*got none"):
        Trajectories.from_csv(tmp_path / "empty", game)
    with pytest.raises(FileError, match="not a whole Parquet file"):
        Trajectories.from_parquet(tmp_path / "empty", game)
    (tmp_path / "binary").write_bytes(bytes(range(256)))
    with pytest.raises(FileError, match="not a CSV file in UTF-8"):
        Trajectories.from_csv(tmp_path / "binary", game)
    data = uneven(game)
    data.to_parquet(tmp_path / "whole")
    (tmp_path / "torn").write_bytes((tmp_path / "whole").read_bytes()[:-20])
    with pytest.raises(FileError, match="not a whole Parquet file"):
        Trajectories.from_parquet(tmp_path / "torn", game)


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    game = door_game()
    data = uneven(game)
    path = tmp_path / "play.csv"
    data.to_csv(path)
    before = path.read_bytes()

    def torn(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Trajectories, "_tables", torn)
    for name in ("to_csv", "to_parquet"):
        with pytest.raises(KeyboardInterrupt):
            getattr(data, name)(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileError, match="cannot write into"):
        data.to_csv(tmp_path / "nowhere" / "play.csv")
