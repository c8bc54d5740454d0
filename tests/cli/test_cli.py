"""The command line: what it prints for people and for machines, how it ends, and how fast it starts."""

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import pytest

import quantal as qt
from quantal import cli, experiments, store

COMMANDS = ("games", "solve", "view", "path", "simulate", "train", "compare", "reproduce", "demo")
NORMAL_FORM = "selten-chmura-3"


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A solution in a file."""
    file = tmp_path_factory.mktemp("saved") / "grid.nc"
    store.save(qt.solve(qt.games.grid.game_two(), beta=0.5, horizon=2), file)
    return file


def keys_in_documentation(command):
    """Keys of a command's JSON as docs/command-line.md promises them."""
    page = Path(__file__).parents[2] / "docs" / "command-line.md"
    row = next(line for line in page.read_text().splitlines() if line.startswith(f"| `{command}` |"))
    return set(re.findall(r"`([a-z_0-9]+)`", row.split("|")[2].split(": per")[0].split("; with")[0]))


# ---------------------------------------------------------------------- help


@pytest.mark.parametrize("command", COMMANDS)
def test_every_help_has_an_example_that_is_a_command(run, command):
    text = " ".join(run(command, "--help").stdout.split())
    assert f"Example: quantal {command}" in text
    assert "--json" in text


def test_help_says_where_the_cache_is_and_how_commands_end(run):
    text = " ".join(run("--help").stdout.split())
    assert "QUANTAL_CACHE_DIR" in text
    assert "0 done, 1 not converged, 2 bad input" in text


def test_version(run):
    assert run("--version").stdout.strip() == f"quantal {qt.__version__}"


def test_no_arguments_show_the_help(run):
    assert "Usage" in run(code=2).output


# ---------------------------------------------------------------------- games


def test_games_are_listed(run, ask):
    text = run("games").stdout
    names = [game["name"] for game in ask("games")["games"]]
    assert names == list(qt.games.CATALOGUE)
    assert all(name in text for name in names)


def test_a_game_is_shown_with_its_map(run, ask):
    text = run("games", "pursuit-three").stdout
    for part in ("0 -- 1 -- 2", "h1, h2, p", "9 x 9 x 9 = 729", "left, right, up, down, stay", "T = 3"):
        assert part in text
    record = ask("games", "pursuit-three")
    assert set(record) == keys_in_documentation("games NAME")
    assert record["horizon"] == 3


# ---------------------------------------------------------------------- solve


def test_solve_prints_what_was_found(run):
    text = run("solve", "grid-two", "--horizon", "2").stdout
    for part in ("grid game II", "horizon 2", "Converged", "residual", "value at start", "(r2c0, r2c2)", "stay"):
        assert part in text


def test_solve_in_json(ask):
    record = ask("solve", NORMAL_FORM, "--certificate")
    assert set(record) == keys_in_documentation("solve") | {"certificate"}
    assert record["converged"] is True
    assert record["parameters"]["beta"] == [1.05, 1.05]  # the catalogue's
    assert record["parameters"]["discount"] == [0.0, 0.0]
    solution = qt.solve(qt.games.build(NORMAL_FORM), beta=1.05, discount=0.0)
    assert record["policies"][0]["policy"]["row"]["up"] == float(solution.policy["row"][0, 0])


def test_settings_reach_the_solver(ask):
    record = ask(
        "solve", "grid-two", "--beta", "0.2,0.1", "--horizon", "1", "--discount", "0.5", "--value", "greedy",
        "--method", "picard", "--damping", "0.5", "--tol", "1e-8", "--max-steps", "77",
    )  # fmt: skip
    assert record["parameters"] == {
        "beta": [0.2, 0.1],
        "horizon": 1,
        "discount": [0.5, 0.5],
        "value": "greedy",
        "method": "picard",
        "damping": 0.5,
        "tol": 1e-8,
        "max_steps": 77,
        "order": "jacobi",
    }


def test_a_discount_replaces_the_games_horizon(ask):
    record = ask("solve", "grid-two", "--discount", "0.1", "--method", "picard", "--beta", "0.1")
    assert record["parameters"]["horizon"] is None


def test_states_and_times(ask):
    record = ask("solve", "grid-two", "--horizon", "2", "--state", "r2c0,r2c2", "--state", "0,2", "--time", "1")
    assert [(p["name"], p["time"]) for p in record["policies"]] == [("r2c0,r2c2", 1), ("r0c0,r0c2", 1)]


def test_not_converged_is_exit_code_1_and_still_an_answer(run, ask):
    arguments = ("solve", "grid-two", "--horizon", "2", "--method", "picard", "--max-steps", "2")
    assert "Not converged" in run(*arguments, code=1).stdout
    record = ask(*arguments, code=1)
    assert record["converged"] is False
    assert record["status"] == "steps"
    assert record["policies"]


def test_other_equilibria_are_shown(run, ask):
    # Twice the payoff 1 for meeting, at beta = 5: three equilibria.
    game = qt.MarkovGame.normal_form(([[1.0, 0.0], [0.0, 1.0]],) * 2, name="meeting")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qt.games, "build", lambda name: game)
        patch.setitem(qt.games.CATALOGUE, "meeting", qt.games.Entry(builder=lambda: game, summary="", beta=5.0))
        record = ask("solve", "meeting", "--restarts", "10")
        text = run("solve", "meeting", "--restarts", "10").stdout
    assert len(record["others"]) == 2
    assert "Another equilibrium (1 of 2)" in text


def test_solutions_are_saved_drawn_and_solved_again(ask, tmp_path):
    file, picture = tmp_path / "x.nc", tmp_path / "x.svg"
    first = ask("solve", "grid-two", "--horizon", "2", "--beta", "0.3,0.6", "--save", file, "--figure", picture)
    assert first["files"] == [str(file), str(picture)]
    assert picture.stat().st_size > 2_000
    again = ask("solve", file)  # with the setting in the file
    assert again["parameters"] == first["parameters"]
    assert again["policies"] == first["policies"]
    sharper = ask("solve", file, "--beta", "1")
    assert sharper["parameters"]["beta"] == [1.0, 1.0]


# ---------------------------------------------------------------------- path


def test_path(run, ask, tmp_path):
    out, picture = tmp_path / "branch.csv", tmp_path / "branch.png"
    text = run("path", NORMAL_FORM, "--betas", "0:2:3", "--out", out, "--figure", picture).stdout
    assert "no folds, no bifurcations" in text
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(r["beta"]) for r in rows if (r["agent"], r["action"]) == ("row", "up")] == [0.0, 1.0, 2.0]
    assert picture.stat().st_size > 2_000
    record = ask("path", NORMAL_FORM, "--betas", "0,1,2")
    assert set(record) == keys_in_documentation("path")
    up = [point["passes"][0]["policies"][0]["policy"]["row"]["up"] for point in record["points"]]
    assert up == pytest.approx([float(r["probability"]) for r in rows if (r["agent"], r["action"]) == ("row", "up")])


def test_every_pass_of_a_folded_branch_is_reported(run, ask):
    # Between its folds, at 0.967 and 2.96, the branch of this stag hunt passes every beta three times.
    game = qt.MarkovGame.normal_form(([[16.0, 0.0], [12.0, 12.0]], [[4.0, 2.0], [2.2, 2.0]]), name="stag hunt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(qt.games, "build", lambda name: game)
        patch.setitem(qt.games.CATALOGUE, "stag", qt.games.Entry(builder=lambda: game, summary="", discount=0.0))
        record = ask("path", "stag", "--betas", "0.5,2,4")
        text = run("path", "stag", "--betas", "0.5,2,4").stdout
    assert [len(point["passes"]) for point in record["points"]] == [1, 3, 1]
    assert record["folds"] == pytest.approx([2.962, 0.967], abs=1e-3)
    assert "pass 3" in text
    assert "fold at beta = 2.96" in text


def test_every_state_on_request(ask):
    record = ask("path", "random", "--betas", "0,0.5", "--every-state")
    assert len(record["points"][0]["passes"][0]["policies"]) == 8


# ---------------------------------------------------------------------- simulate


def test_simulated_scores_stand_beside_the_exact_ones(ask, run, tmp_path):
    out = tmp_path / "play.csv"
    arguments = ("simulate", NORMAL_FORM, "--episodes", "400", "--seed", "3", "--out", out)
    record = ask(*arguments)
    assert set(record) == keys_in_documentation("simulate")
    assert record["steps"] == 1  # played once
    for row in record["scores"].values():
        assert abs(row["mean"] - row["exact"]) < 4 * row["standard_error"]
    text = run(*arguments).stdout
    assert f"{record['scores']['row']['exact']:.4g}" in text
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len({row["episode"] for row in rows}) == 400
    assert record["scores"] == ask(*arguments)["scores"]  # seeded


def test_a_saved_solution_is_played_as_it_is(ask, saved, tmp_path):
    out = tmp_path / "play.parquet"
    record = ask("simulate", saved, "--play", "most-probable", "--episodes", "5", "--out", out)
    assert record["play"] == "most-probable"
    assert record["steps"] == 2
    assert out.stat().st_size > 0


def test_endless_play_is_cut_off(ask):
    record = ask("simulate", "random", "--episodes", "3", "--beta", "0.1", "--steps", "4")
    assert record["steps"] == 4


# ---------------------------------------------------------------------- reproduce and demo


def test_reproduce_writes_a_report_a_table_and_figures(run, ask, tmp_path):
    text = run("reproduce", "one-step", "--out", tmp_path / "new").stdout
    for part in ("0.3963", "0.3347", "as the paper says", "Reconstructed"):
        assert part in text
    for name in ("one-step.png", "one-step.svg", "report.html", "report.md", "results.csv"):
        assert (tmp_path / "new" / name).stat().st_size > 200
    record = ask("reproduce", "--only", "one-step", "--out", tmp_path)
    assert set(record) == keys_in_documentation("reproduce")
    assert record["converged"] is True
    (one,) = record["reproductions"]
    assert {"name", "title", "layout", "verdict", "explanation", "rows", "claims", "seconds", "files"} < set(one)
    # The same results make the same bytes, in another directory and process.
    for name in ("report.html", "report.md", "results.csv", "one-step.svg", "one-step.png"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "new" / name).read_bytes()
    with (tmp_path / "results.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["experiment", "quantity", "paper", "ours", "difference", "layout", "play", "note"]
    assert [float(row["ours"]) for row in rows if "h1" in row["quantity"] and "stay" in row["quantity"]] == [
        pytest.approx(0.3963, abs=5e-5)
    ]
    assert all(row["note"] for row in rows)


def test_reproduce_does_every_experiment(ask, tmp_path, monkeypatch):
    one_step = experiments.one_step()
    quick = {name: lambda progress: one_step for name in experiments.ALL}
    monkeypatch.setattr(experiments, "ALL", quick)
    assert len(ask("reproduce", "--out", tmp_path)["reproductions"]) == len(quick) == 11
    assert len(ask("reproduce", "fig4", "--only", "fig3", "--out", tmp_path)["reproductions"]) == 2


def test_reproduce_refuses_what_it_does_not_know(run, tmp_path):
    assert "expected one of theorems" in run("reproduce", "--only", "fig9", "--out", tmp_path, code=2).stderr


def test_what_did_not_converge_is_exit_code_1(ask, tmp_path, monkeypatch):
    import dataclasses

    failed = dataclasses.replace(experiments.one_step(), converged=False)
    monkeypatch.setitem(experiments.ALL, "one-step", lambda progress: failed)
    assert ask("reproduce", "one-step", "--out", tmp_path, code=1)["converged"] is False


def test_demo(run, tmp_path):
    text = run("demo", "--out", tmp_path / "demo").stdout
    # Figure 4 beside the paper's, under both rules.
    for part in ("0.3652", "0.366", "0.3513", "0.803", "misprint", "greedy", "expected"):
        assert part in text
    # Predictions beside observations: the first game's row plays up 7.9 % of the time, 4.2 % predicted, 9.1 % in Nash.
    first = next(line for line in text.splitlines() if re.match(r"\s*1\s", line))
    assert [float(x) for x in first.split()][1:4] == [0.079, 0.042, 0.091]
    assert "0.00488" in text
    assert "Where to look next" in text
    for command in re.findall(r"quantal (\w+)", text[text.index("Where to look next") :]):
        assert command in COMMANDS
    for name in ("fig4.csv", "fig4.png", "published-games.csv", "published-games.png"):
        assert (tmp_path / "demo" / name).stat().st_size > 200


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("games", "pursuit-tree"), "Did you mean pursuit-three"),
        (("solve", "pursuit-three", "--beta", "one"), "--beta 'one': expected a number"),
        (("solve", "pursuit-three", "--beta", "-1"), "expected finite and >= 0"),
        (("solve", "pursuit-three", "--beta", "1,2"), "one per agent (h1, h2, p)"),
        (("solve", "pursuit-three", "--horizon", "0"), "at least 1"),
        (("solve", "random", "--discount", "1"), "expected 0 <= discount < 1"),
        (("solve", "pursuit-three", "--state", "0,8"), "expected 3 parts"),
        (("solve", "pursuit-three", "--state", "0,8,9"), "out of range"),
        (("solve", "pursuit-three", "--time", "3"), "expected 0..2"),
        (("solve", "pursuit-three", "--figure", "x.bmp"), "ends in .png or .svg or .pdf"),
        (("solve", "pursuit-three", "--save", "/nowhere/x.nc"), "no directory /nowhere"),
        (("solve", "nothere.nc"), "no such file"),
        (("path", "random", "--betas", "0:1"), "first:last:count"),
        (("path", "random", "--betas", "0:1:0"), "first:last:count"),
        (("simulate", "random", "--out", "x.txt"), ".csv or .parquet"),
    ],
)
def test_bad_input_is_one_sentence_on_stderr(run, arguments, message):
    for json_option in ((), ("--json",)):
        result = run(*arguments, *json_option, code=2)
        assert result.stdout == ""
        assert result.stderr.startswith("quantal: ")
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [("nonsense",), ("solve",), ("solve", "random", "--method", "magic")])
def test_wrong_usage_is_exit_code_2_too(run, arguments):
    assert run(*arguments, code=2).stdout == ""


def test_a_torn_file_is_bad_input(run, saved, tmp_path):
    torn = tmp_path / "torn.nc"
    torn.write_bytes(saved.read_bytes()[:1000])
    assert "torn" in run("simulate", torn, code=2).stderr


def test_a_directory_that_cannot_be_made_is_bad_input(run, tmp_path):
    (tmp_path / "file").write_text("in the way")
    result = run("reproduce", "one-step", "--out", tmp_path / "file" / "results", code=2)
    assert "results: Not a directory. Give a directory" in result.stderr
    for command in (("reproduce", "one-step"), ("demo",)):
        assert "this is a file. Give a directory" in run(*command, "--out", tmp_path / "file", code=2).stderr


def test_a_name_that_is_none_is_answered_with_scenes_too(run):
    assert "no game or scene 'juncton'. Did you mean junction" in run("view", "juncton", code=2).stderr
    assert "warehouse" in run("solve", "xyz", code=2).stderr


# ---------------------------------------------------------------------- progress


def test_progress_appears_on_a_terminal_after_a_while(capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes this for a terminal
    monkeypatch.setattr(cli.output, "PATIENCE", 0.0)
    with cli.output.Waiting("solving a game", quiet=False) as waiting:
        waiting._timer.join()
        waiting(0.5)
    shown = capsys.readouterr()
    assert "solving a game" in shown.err
    assert shown.out == ""
    assert waiting.seconds > 0


@pytest.mark.parametrize(
    ("quiet", "terminal", "patience"), [(True, True, 0.0), (False, False, 0.0), (False, True, 60.0)]
)
def test_progress_is_silent_otherwise(capsys, monkeypatch, quiet, terminal, patience):
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    else:
        monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setattr(cli.output, "PATIENCE", patience)
    with cli.output.Waiting("solving a game", quiet=quiet) as waiting:
        waiting(1.0)
    assert capsys.readouterr().err == ""


# ---------------------------------------------------------------------- start-up and the compilation cache


def python(code, **environment):
    environment = {**os.environ, "PYTHONWARNINGS": "error", **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)


def test_help_does_not_load_the_engine():
    # The package itself is stood in for, as it may import what it likes: this is about the command line's own imports.
    source = str(Path(cli.__file__).parents[1])
    code = f"""
import sys, types
package = types.ModuleType("quantal")
package.__path__ = [{source!r}]
sys.modules["quantal"] = package
from quantal import cli
try:
    cli.app(["solve", "--help"])
except SystemExit:
    pass
heavy = {{"jax", "matplotlib", "pandas", "xarray", "scipy"}} & set(sys.modules)
sys.exit(f"loaded {{heavy}}" if heavy else 0)
"""
    result = python(code)
    assert result.returncode == 0, result.stderr


def test_the_command_line_keeps_compiled_programs(tmp_path):
    # A game of many stages: compiling pays.
    code = (
        "import sys; sys.argv = ['quantal', 'solve', 'pursuit-three', '--json']; from quantal.cli import main; main()"
    )
    first = python(code, QUANTAL_CACHE_DIR=str(tmp_path))
    assert first.returncode == 0, first.stderr
    kept = {file.name for file in (tmp_path / "jax").iterdir()}
    assert kept
    second = python(code, QUANTAL_CACHE_DIR=str(tmp_path))
    # Programs that are read back must not warn (of other machines' features), and nothing is compiled anew.
    assert second.stderr == ""
    assert {file.name for file in (tmp_path / "jax").iterdir()} == kept
    answers = [{k: v for k, v in json.loads(r.stdout).items() if k != "seconds"} for r in (first, second)]
    assert answers[0] == answers[1]


def test_the_library_does_not_turn_the_cache_on(run):
    before = jax.config.jax_compilation_cache_dir
    run("solve", NORMAL_FORM)
    assert jax.config.jax_compilation_cache_dir == before
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ or before is not None


def test_a_cache_that_cannot_be_had_is_done_without(tmp_path):
    (tmp_path / "file").write_text("in the way")
    code = "from quantal.cli.app import turn_on_cache; turn_on_cache()"
    result = python(code, QUANTAL_CACHE_DIR=str(tmp_path / "file"))
    assert result.returncode == 0
    assert "not caching" in result.stderr
