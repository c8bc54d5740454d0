"""The command line on scenes: tables, JSON, pictures, and refusals."""

import subprocess
import sys

import pytest
from tests.cli.test_cli import keys_in_documentation

import quantal as qt

LANE = """title = "A lane"
horizon = 6
map = ">>>>"
[kinds.car]
lanes = true
beta = 4
[[agents]]
name = "first"
kind = "car"
start = [0, 1]
goal = [0, 3]
[[agents]]
name = "second"
kind = "car"
start = [0, 0]
goal = [0, 2]
"""


@pytest.fixture
def lane(tmp_path):
    file = tmp_path / "lane.toml"
    file.write_text(LANE)
    return file


def test_scenes_are_listed_and_shown(run, ask):
    text = run("games").stdout
    record = ask("games")
    assert [scene["name"] for scene in record["scenes"]] == ["four-way-stop", "junction", "warehouse"]
    assert all(scene["name"] in text and scene["title"] in text for scene in record["scenes"])
    card = run("games", "junction").stdout
    assert "<<<z<<+<<" in card
    assert "Reconstructed" in card
    shown = ask("games", "junction")
    assert set(shown) == keys_in_documentation("games SCENE")
    assert shown["scene"]["drawing"][1] == "<<<z<<+<<"
    assert shown["exact_entries"] > 250_000


@pytest.mark.parametrize(("options", "played_as"), [((), "exact"), (("--exact",), "exact"), (("--crowd",), "crowd")])
def test_a_scene_is_solved_as_either_game(ask, lane, options, played_as):
    record = ask("solve", lane, *options)
    assert set(record) == keys_in_documentation("solve SCENE")
    assert record["played_as"] == played_as
    assert record["converged"]
    # Nobody is in anybody's way: two steps each, and nobody waits.
    assert [j["path"][:3] for j in record["journeys"]] == [["r0c1", "r0c2", "r0c3"], ["r0c0", "r0c1", "r0c2"]]
    assert [j["arrival"] for j in record["journeys"]] == [2, 2]
    assert all(j["waits"] == [] and j["moves"] == j["shortest"] == 2 for j in record["journeys"])
    assert record["meetings"][0]["agents"] == ["first", "second"]


def test_tables_say_when_everyone_arrives(run, lane):
    text = run("solve", lane, "--crowd", "--horizon", "4", "--beta", "2,3").stdout
    for part in ("A lane", "a crowd (MGE-FB)", "beta (2, 3), horizon 4", "arrived by 4", "first", "r0c3"):
        assert part in text


def test_pictures_are_written(ask, lane, tmp_path):
    files = [tmp_path / "lane.png", tmp_path / "lane.gif"]
    record = ask("solve", lane, "--crowd", "--figure", files[0], "--animation", files[1])
    assert record["files"] == [str(file) for file in files]
    assert files[0].read_bytes()[:4] == b"\x89PNG"
    assert files[1].read_bytes()[:3] == b"GIF"


@pytest.mark.parametrize("option", ["--exact", "--crowd"])
def test_a_solution_is_kept(ask, lane, tmp_path, option):
    file = tmp_path / "lane.nc"
    record = ask("solve", lane, option, "--save", file)
    assert record["files"] == [str(file)]
    solution = qt.load(file)
    assert solution.residual == record["residual"]
    assert isinstance(solution, qt.CrowdSolution) == (option == "--crowd")


def test_a_small_scene_is_simulated_exactly(ask, lane):
    scores = ask("simulate", lane, "--episodes", "10")["scores"]
    scene = qt.read_scene(lane)
    game = scene.exact()
    exact = qt.evaluate(game, qt.solve(game, beta=scene.beta_of(game), horizon=6)).score
    assert {agent: s["exact"] for agent, s in scores.items()} == pytest.approx(exact)


def test_a_scene_is_simulated_as_a_crowd(ask, lane, tmp_path):
    file = tmp_path / "lane.nc"
    ask("solve", lane, "--crowd", "--save", file)
    record = ask("simulate", lane, "--crowd", "--episodes", "10")
    solution = qt.load(file)
    exact = qt.evaluate(solution.game, solution).score
    assert {agent: s["exact"] for agent, s in record["scores"].items()} == pytest.approx(exact)
    # A file's own solution, played with the same seed, is the same play.
    again = ask("simulate", file, "--episodes", "10", "--out", tmp_path / "x.csv")
    for agent, scores in record["scores"].items():
        assert again["scores"][agent] == pytest.approx(scores)
    header = (tmp_path / "x.csv").read_text().split("\n")[0]
    assert header.startswith("episode,time,state_first,state_second,action_first")


def test_a_crowds_file_is_no_game_to_follow(run, lane, tmp_path):
    run("solve", lane, "--crowd", "--save", tmp_path / "x.nc")
    assert "a crowd's solution" in run("path", tmp_path / "x.nc", code=2).stderr
    assert "--discount: not for a crowd" in run("simulate", lane, "--crowd", "--discount", "0.9", code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("junction", "--exact", "--crowd"), "at most one of them"),
        (("junction", "--restarts", "3"), "--restarts: not for a scene"),
        (("junction", "--discount", "0.9"), "--discount: not for a scene"),
        (("junction", "--animation", "x.webm"), "expected a name that ends in .gif or .mp4"),
        (("pursuit-two", "--crowd"), "--crowd: for a scene only"),
        (("nowhere.toml",), "no such file"),
    ],
)
def test_what_cannot_be_is_refused(run, arguments, message):
    assert message in run("solve", *arguments, code=2).stderr


def test_a_bad_file_ends_with_its_place(run, lane):
    lane.write_text(LANE.replace("goal = [0, 2]", "goal = [0, 9]"))
    error = run("solve", lane, code=2).stderr
    assert f"{lane}, line 16: agent 'second', goal: row 0, column 9 is off the map" in error
    assert error.count("\n") == 1


def test_listing_games_reads_no_scene_in_full():
    # A list needs three titles; checking takes longer than listing.
    code = (
        "import sys; from quantal.cli import app; from typer.testing import CliRunner; "
        "assert CliRunner().invoke(app, ['games']).exit_code == 0; "
        "assert 'quantal.scenes.reading' in sys.modules and 'quantal.scenes.schema' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
