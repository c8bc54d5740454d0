"""Crowds in files: there and back bit by bit, what is shared written once, and a word about what no file can hold."""

import dataclasses

import h5py
import numpy as np
import pytest
from tests.crowds.loops import GAMES, on_graph, on_grid

import quantal as qt
from quantal import store, store_crowd
from quantal.crowds.solution import CrowdSolution
from quantal.errors import FileError, ParameterError, TooLargeError

BETA, HORIZON = 1.3, 4


def solved(game, **options):
    return qt.solve(game, beta=BETA, horizon=HORIZON, **({"max_steps": 30} | options))


def same_numbers(a, b):
    for name in ("occupancy", "policy", "q", "value"):
        for agent in a.game.agents:
            left, right = getattr(a, name)[agent], getattr(b, name)[agent]
            assert left.dtype == right.dtype
            assert left.tobytes() == right.tobytes(), (name, agent)


@pytest.mark.parametrize("name", GAMES)
def test_everything_comes_back_bit_by_bit(name, tmp_path):
    solution = solved(GAMES[name]())
    solution.save(tmp_path / "x.nc")
    back = qt.load(tmp_path / "x.nc")
    assert isinstance(back, CrowdSolution)
    same_numbers(solution, back)
    for field in ("occupancy_residual", "payoff_residual", "status", "steps", "notes", "parameters", "residual"):
        assert getattr(back, field) == getattr(solution, field), field
    assert back.trace.tobytes() == solution.trace.tobytes()
    # The game is the same where the same is written of it.
    (arrays, facts), (again, claims) = (store_crowd.take_apart(s.game) for s in (solution, back))
    assert facts == claims
    assert {k: (v.dtype, v.tobytes()) for k, v in arrays.items()} == {
        k: (v.dtype, v.tobytes()) for k, v in again.items()
    }
    # A solve that goes on from the file has nothing left to do, for its state is whole.
    if solution.converged:
        assert qt.solve(back.game, beta=BETA, horizon=HORIZON, start=back).steps == 1


def test_single_precision_stays_single(tmp_path):
    solution = solved(on_grid(), dtype="float32")
    solution.save(tmp_path / "x.nc")
    same_numbers(solution, qt.load(tmp_path / "x.nc"))


def test_the_certificate_is_made_again(tmp_path):
    solution = solved(on_grid())
    solution.save(tmp_path / "x.nc")
    assert dataclasses.asdict(qt.load(tmp_path / "x.nc").certificate) == dataclasses.asdict(solution.certificate)


def test_what_a_class_shares_is_written_once(tmp_path):
    n, shared = 400, np.random.default_rng(3).random(400)
    walker = qt.Kind("w", actions=("on",), successors=(np.arange(n)[:, None] + 1) % n)
    alike = [qt.Member(f"m{k}", "w", 0, rewards=shared) for k in range(50)]
    others = [qt.Member(f"o{k}", "w", k, rewards=shared) for k in range(1, 4)]
    solution = solved(qt.CrowdGame(cells=n, kinds=[walker], members=[*alike, *others]))
    solution.save(tmp_path / "x.nc")
    with h5py.File(tmp_path / "x.nc") as file:
        assert file["expected"].shape == (4, HORIZON, n)  # fifty are alike, three are not
        assert [name for name in file["record/game"] if name.startswith("rewards_") and "axis" not in name] == [
            "rewards_0"
        ]
    back = qt.load(tmp_path / "x.nc")
    assert len({id(array) for array in back.game.rewards}) == 1
    same_numbers(solution, back)


def test_a_scene_comes_along(tmp_path):
    scene = qt.read_scene("warehouse")
    solution = qt.solve(scene.crowd(), beta=scene.beta, horizon=scene.horizon, max_steps=3)
    solution.save(tmp_path / "x.nc")
    back = qt.load(tmp_path / "x.nc")
    again = qt.scenes.reading.parse_scene(back.game.source)
    assert again.drawing == scene.drawing
    assert again.agents == back.game.agents
    same_numbers(solution, qt.load(tmp_path / "x.nc", scene.crowd()))


def attraction(others, kind):
    del kind
    return others.sum(axis=0)


def test_a_function_of_ones_own_is_asked_for(tmp_path):
    game = on_graph(interaction=attraction)
    solution = solved(game)
    solution.save(tmp_path / "x.nc")
    with pytest.raises(FileError, match=r"interaction is a function.*expected game="):
        qt.load(tmp_path / "x.nc")
    same_numbers(solution, qt.load(tmp_path / "x.nc", game))


def test_another_game_is_refused(tmp_path):
    solved(on_grid()).save(tmp_path / "x.nc")
    with pytest.raises(FileError, match=r"another game.*differs in final_interaction"):
        qt.load(tmp_path / "x.nc", on_grid(final_interaction=True))
    with pytest.raises(FileError, match="a solution of a crowd"):
        qt.load(tmp_path / "x.nc", qt.games.pursuit.three_players())
    with pytest.raises(FileError, match=r"another game.*kind_weights"):
        qt.load(tmp_path / "x.nc", on_grid(kind_weights=[[0.5, 1.0], [-0.3, 0.8]]))


def test_damage_is_found(tmp_path):
    path = tmp_path / "x.nc"
    solved(on_grid()).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(FileError, match="torn"):
        qt.load(path)
    path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:])
    with pytest.raises(FileError, match="damaged"):
        qt.load(path)


def test_only_what_was_solved_is_saved(tmp_path):
    with pytest.raises(ParameterError, match="without its state"):
        store.save(dataclasses.replace(solved(on_grid()), state=()), tmp_path / "x.nc")
    assert list(tmp_path.iterdir()) == []


def test_labelled_axes():
    solution = solved(on_grid())
    data = solution.to_xarray()
    kind = solution.game.kind_of("ann")
    up = kind.actions.index("up")
    picked = data["policy_walker"].sel(agent_walker="bob", time=2, cell="4", action_walker="up").item()
    assert picked == solution.policy["bob"][2, 4, up]
    np.testing.assert_array_equal(data["occupancy"].sel(agent="cars"), solution.occupancy["cars"])
    np.testing.assert_array_equal(data["value"].sel(agent="dora"), solution.value["dora"])
    np.testing.assert_array_equal(data["q_car"].sel(agent_car="cars"), solution.q["cars"])
    assert data["count"].sel(agent="cars").item() == 3
    assert (data["x"].sel(cell="7").item(), data["y"].sel(cell="7").item()) == (3, 1)


def test_too_much_for_labelled_axes_is_said_before(monkeypatch):
    solution = solved(on_grid())
    monkeypatch.setattr(store_crowd.memory, "available", lambda: 1000)
    with pytest.raises(TooLargeError, match=r"Ask for one agent's"):
        solution.to_xarray()
