"""Solutions in files: bit by bit there and back, and a clear word about every file that is not one."""

import dataclasses
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
import xarray as xr
from tests.cases import coupled_game, own_game, with_ends

import quantal as qt
from quantal import store
from quantal.errors import FileError
from quantal.solution import Branch, Parameters, PerAgent, Solution, Status


def filled(game, *, horizon=None, seed=60, others=0):
    """A `Solution` with something different in every field; NaN, infinities and tiny numbers among it."""
    rng = np.random.default_rng(seed)
    lead = () if horizon is None else (horizon,)

    def arrays(last, more=0):
        shapes = [(*(n + more for n in lead), *game.state_shape, *tail) for tail in last]
        found = tuple(rng.normal(size=shape) for shape in shapes)
        for array in found:
            array.flat[0], array.flat[-1] = np.nan, 5e-324
        return PerAgent(game.agents, found)

    choices = [(n,) for n in game.action_counts]
    return Solution(
        game=game,
        policy=arrays(choices),
        q=arrays(choices),
        value=arrays([()] * len(choices), more=1),
        residual=float(np.inf if seed % 2 else 1 / 3),
        residuals=rng.random((*lead, *game.state_shape)),
        status=Status.LOST,
        branch=Branch.PRINCIPAL,
        trace=rng.random(seed % 5),
        steps=17,
        notes=("first", "zweitens: ä"),
        others=tuple(filled(game, horizon=horizon, seed=seed + k) for k in range(1, others + 1)),
        parameters=Parameters(
            beta=tuple(float(b) for b in rng.random(len(choices))),
            discount=(0.1 + 0.2,) * len(choices),
            horizon=horizon,
            value="soft",
            method="newton",
            damping=0.7,
            tol=1e-13,
            max_steps=99,
            order="paper",
        ),
    )


def labelled():
    """A game that uses every attribute there is."""
    moves = np.array([[[0], [1]], [[1], [0]]])
    return qt.MarkovGame(
        state_shape=(2, 2),
        rewards=(np.arange(4.0).reshape(2, 2, 1, 1), np.full((1, 1, 2, 2), 1 / 3)),
        dynamics=qt.Independent([moves, moves]),
        actions=(("stay", "cross"), ("stay", "")),
        agents=("the/thief%2F", "Wächter"),
        legal=(np.ones((1, 1, 2), bool), np.array([[[1, 0], [1, 1]]], bool)),
        final_rewards=(np.array([[0.0, 0.1], [1 / 3, 0.0]]), np.zeros((1, 2))),
        start=np.array([[0.25, 0.75], [0, 0]]),
        state_labels=(("hall", "vault"), ("hall", 'the "vault", upper')),
        coordinates=(np.array([[0.0, 0], [1, 0]]), np.array([[0.0, 1], [1, 1]])),
        name="doors",
        picture="# #\n# #",
    )


GAMES = {
    "labelled": labelled,
    "own moves with chance": lambda: with_ends(own_game(61, (3, 2, 2), (2, 3, 2), (2, 1, 3), ["s012", "s", "2"])),
    "joint moves": lambda: coupled_game(62, 7, (2, 3), 3, ["s01", "s1"]),
    "matrices": lambda: coupled_game(63, 4, (3, 2), 4, ["s", "s01"]),
    "normal form": lambda: qt.MarkovGame.normal_form([np.eye(2), -np.eye(2)]),
    "coupled, two axes": lambda: qt.MarkovGame(
        state_shape=(2, 3),
        rewards=(np.zeros((1, 1, 1)),),
        dynamics=qt.Coupled(np.full((2, 3, 2, 1), 5)),
        actions=(("a", "b"),),
        agents=("time",),
    ),
}


def bits(array):
    array = np.asarray(array)
    return array.dtype.str, array.shape, array.tobytes()


def same_game(a, b):
    for field in dataclasses.fields(a):
        mine, theirs = getattr(a, field.name), getattr(b, field.name)
        if field.name in ("rewards", "final_rewards", "legal", "coordinates"):
            assert list(map(bits, mine)) == list(map(bits, theirs)), field.name
        elif field.name == "start":
            assert bits(mine) == bits(theirs)
        elif field.name == "dynamics":
            assert type(mine) is type(theirs)
            for name in ("successors", "probabilities"):
                left, right = getattr(mine, name), getattr(theirs, name)
                left, right = (x if isinstance(x, tuple) else (x,) for x in (left, right))
                assert list(map(bits, left)) == list(map(bits, right)), name
        else:
            assert mine == theirs, field.name


def same(a, b):
    """Equal bit by bit, whatever fields there are; only the certifier is made anew."""
    for field in dataclasses.fields(a):
        mine, theirs = getattr(a, field.name), getattr(b, field.name)
        if field.name == "game":
            same_game(mine, theirs)
        elif isinstance(mine, PerAgent):
            assert list(mine) == list(theirs)
            assert [bits(x) for x in mine.values()] == [bits(x) for x in theirs.values()], field.name
        elif isinstance(mine, np.ndarray):
            assert bits(mine) == bits(theirs), field.name
        elif field.name == "others":
            assert len(mine) == len(theirs)
            for left, right in zip(mine, theirs, strict=True):
                same(left, right)
        elif field.name != "certifier":
            assert mine == theirs, field.name
            assert type(mine) is type(theirs)


# --------------------------------------------------------------------------- there and back


@pytest.mark.parametrize("horizon", [None, 3])
@pytest.mark.parametrize("make", GAMES.values(), ids=GAMES.keys())
def test_everything_comes_back_bit_by_bit(make, horizon, tmp_path):
    solution = filled(make(), horizon=horizon)
    store.save(solution, tmp_path / "x.nc")
    same(store.load(tmp_path / "x.nc"), solution)
    assert [p.name for p in tmp_path.iterdir()] == ["x.nc"]


def test_other_equilibria_come_along(tmp_path):
    solution = filled(labelled(), others=2)
    store.save(solution, tmp_path / "x.nc")
    same(store.load(tmp_path / "x.nc"), solution)


def test_a_solved_game_goes_on_working(tmp_path):
    solution = qt.solve(GAMES["matrices"](), beta=1.0, horizon=2)
    store.save(solution, str(tmp_path / "x.nc"))
    back = store.load(str(tmp_path / "x.nc"))
    same(back, solution)
    # The certificate comes from game and Q alone, so it is the same one.
    assert back.certificate.residual == solution.certificate.residual
    assert dict(back.certificate.exploitability) == dict(solution.certificate.exploitability)


def test_saving_replaces_what_was_there(tmp_path):
    path = tmp_path / "x.nc"
    store.save(filled(labelled(), seed=60), path)
    store.save(filled(labelled(), seed=71), path)
    same(store.load(path), filled(labelled(), seed=71))


def test_a_uniform_start_stays_one_number(tmp_path):
    game = coupled_game(64, 7, (2,), 1, ["s"])
    store.save(filled(game), tmp_path / "x.nc")
    assert store.load(tmp_path / "x.nc").game.start.strides == (0,)


def test_the_callers_game_is_used_if_it_is_the_same(tmp_path):
    solution, again = filled(labelled(), others=1), labelled()
    store.save(solution, tmp_path / "x.nc")
    back = store.load(tmp_path / "x.nc", again)
    assert back.game is again
    assert back.others[0].game is again
    for changed, what in (
        (dataclasses.replace(again, name="windows"), "name"),
        (dataclasses.replace(again, rewards=(again.rewards[0] + 1e-9, again.rewards[1])), "rewards_0"),
        (dataclasses.replace(again, start=None), "start"),
        (dataclasses.replace(again, agents=("a", "b")), "agents"),
    ):
        with pytest.raises(FileError, match=f"a solution of another game: .* differs in {what}"):
            store.load(tmp_path / "x.nc", changed)


# --------------------------------------------------------------------------- labelled arrays


def test_labels_pick_what_they_name():
    game = qt.games.pursuit.three_players()
    solution = filled(game, horizon=3)
    data = store.to_xarray(solution)
    i = game.actions[0].index("left")
    picked = data["policy_h1"].sel(time=1, state_h1="0", state_h2="8", state_p="4", action_h1="left")
    assert picked.item() == solution.policy["h1"][1, 0, 8, 4, i]
    assert data["value_p"].dims == ("time_with_end", "state_h1", "state_h2", "state_p")
    assert data["residuals"].dims == ("time", "state_h1", "state_h2", "state_p")
    assert data.attrs["status"] == str(Status.LOST)
    np.testing.assert_array_equal(data["q_h2"].values, solution.q["h2"])


def test_an_agent_called_time_is_no_trouble():
    data = store.to_xarray(filled(GAMES["coupled, two axes"](), horizon=2))
    assert data["value_time"].shape == (3, 2, 3)


def test_the_file_is_plain_netcdf_with_labels(tmp_path):
    game = qt.games.pursuit.three_players()
    store.save(filled(game, horizon=3), tmp_path / "x.nc")
    with xr.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as data:
        xr.testing.assert_identical(data.drop_attrs(), store.to_xarray(filled(game, horizon=3)).drop_attrs())


def test_start_up_does_not_wait_for_xarray_or_pandas():
    code = "import sys, quantal.store; print([m for m in ('xarray', 'pandas', 'pyarrow') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --------------------------------------------------------------------------- files that are no solutions


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "x.nc"
    store.save(filled(labelled(), horizon=3), path)
    return path


def test_a_missing_file(tmp_path):
    with pytest.raises(FileError, match="no such file"):
        store.load(tmp_path / "x.nc")
    with pytest.raises(FileError, match="is a directory"):
        store.load(tmp_path)


def test_an_empty_file(tmp_path):
    (tmp_path / "x.nc").write_bytes(b"")
    with pytest.raises(FileError, match=r"empty \(0 bytes\).*save again"):
        store.load(tmp_path / "x.nc")


@pytest.mark.parametrize("head", [b"beta,residual\n1,2\n", b"CDF\x01", b"\x89PNG\r\n", b"\x89HD"])
def test_a_file_of_another_kind(head, tmp_path):
    (tmp_path / "x.nc").write_bytes(head)
    with pytest.raises(FileError, match="not a netCDF-4 file: expected it to begin with"):
        store.load(tmp_path / "x.nc")


def test_a_foreign_netcdf_file(tmp_path):
    xr.Dataset({"a": ("x", [1.0])}).to_netcdf(tmp_path / "x.nc", engine="h5netcdf")
    with pytest.raises(FileError, match="not one of Quantal's solutions"):
        store.load(tmp_path / "x.nc")
    with h5py.File(tmp_path / "y.h5", "w") as file:
        file["a"] = [1.0]
    with pytest.raises(FileError, match="not one of Quantal's solutions"):
        store.load(tmp_path / "y.h5")


@pytest.mark.parametrize(("version", "advice"), [(99, "Install a newer"), (0, "Solve again")])
def test_a_file_of_another_version(saved, version, advice):
    saved.write_bytes(saved.read_bytes().replace(b"solution, format 1,", b"solution, format %d," % version))
    with pytest.raises(FileError, match=f"format {version}: this Quantal reads format {store.FORMAT}. {advice}"):
        store.load(saved)


@pytest.mark.parametrize("share", [0.001, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999])
def test_a_truncated_file(saved, share):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: max(9, int(len(whole) * share))])
    with pytest.raises(FileError, match=r"torn, or changed|no more than the beginning of one"):
        store.load(saved)


def test_a_bit_changed_on_the_disk(saved):
    contents = bytearray(saved.read_bytes())
    contents[len(contents) // 2] ^= 1
    saved.write_bytes(contents)
    with pytest.raises(FileError, match=r"damaged.*digest.*save again"):
        store.load(saved)


def test_a_file_that_another_program_wrote_to(saved):
    with h5py.File(saved, "a") as file:
        file["residuals"][0, 0, 0] += 1e-9
    with pytest.raises(FileError, match=r"changed by another program|damaged"):
        store.load(saved)


def test_damage_anywhere_is_found(saved):
    # A run of zeros at fifty places. Without the seal the HDF5 library would be asked, which for some never answers.
    whole = saved.read_bytes()
    for place in np.linspace(8, len(whole) - 400, 50).astype(int):
        if any(whole[place : place + 200]):
            saved.write_bytes(whole[:place] + bytes(200) + whole[place + 200 :])
            with pytest.raises(FileError, match="damaged"):
                store.load(saved)


def test_a_write_that_fails_leaves_the_old_file(saved, monkeypatch):
    before = saved.read_bytes()

    def torn(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "_take_apart", torn)
    with pytest.raises(KeyboardInterrupt):
        store.save(filled(labelled(), seed=72), saved)
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def test_a_directory_that_is_not_there(tmp_path):
    with pytest.raises(FileError, match=r"cannot write into .*nowhere.*Create the directory"):
        store.save(filled(labelled()), tmp_path / "nowhere" / "x.nc")
    with pytest.raises(FileError, match="is a directory"):
        store.save(filled(labelled()), tmp_path)


def test_files_have_ordinary_permissions(saved):
    mask = os.umask(0)
    os.umask(mask)
    assert saved.stat().st_mode & 0o777 == 0o666 & ~mask
