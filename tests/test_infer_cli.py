"""``quantal infer``: the same numbers as the library, files that are written, and data that are refused by row."""

import pytest

import quantal as qt


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("play")
    game = qt.games.build("pursuit-two")
    solution = qt.solve(game, beta=1.0, horizon=4)
    qt.simulate(game, solution, episodes=300, seed=1).to_csv(where / "play.csv")
    scene = qt.read_scene("junction").exact()
    # Car 3 goes up to the lane and turns left; the others wait for it.
    places = [("r1c5", "r2c2", cell, "r3c3") for cell in ("r4c6", "r3c6", "r2c6", "r1c6", "r1c5")]
    actions = [["stay", "stay", move, "stay"] for move in ("up", "up", "up", "left")]
    states = [[scene.state_labels[i].index(cell) for i, cell in enumerate(row)] for row in places]
    chosen = [[scene.actions[i].index(a) for i, a in enumerate(row)] for row in actions]
    qt.Trajectories.from_arrays(scene, [states], [chosen]).to_csv(where / "junction.csv")
    return where


def test_precision_is_the_librarys(ask, folder, tmp_path):
    figure = tmp_path / "precision.png"
    found = ask("infer", "pursuit-two", "--data", folder / "play.csv", "--horizon", 4, "--figure", figure)
    assert figure.stat().st_size > 5000
    game = qt.games.build("pursuit-two")
    data = qt.Trajectories.from_csv(folder / "play.csv", game)
    ours = qt.infer.precision(game, data, horizon=4)
    (row,) = found["parameters"]
    assert row["name"] == "beta"
    assert row["estimate"] == pytest.approx(ours.value)
    assert row["standard_error"] == pytest.approx(ours.standard_error)
    assert row["low"] < row["estimate"] < row["high"]
    assert found["converged"]
    assert found["episodes"] == 300


@pytest.mark.parametrize("method", ["likelihood", "matching"])
def test_rewards_by_either_method_with_a_table_and_a_figure(run, folder, tmp_path, method):
    figure = tmp_path / "rewards.svg"
    shown = run(
        "infer", "pursuit-two", "--data", folder / "play.csv", "--horizon", 4, "--what", "rewards",
        "--feature", "h=distance:p", "--feature", "p=at:4", "--method", method, "--figure", figure,
    ).stdout  # fmt: skip
    assert "h: distance to p" in shown
    assert "p: at 4" in shown
    assert figure.read_text(encoding="utf-8").lstrip().startswith("<?xml")


def test_goals_step_by_step(ask, run, folder, tmp_path):
    asked = (
        "infer", "junction", "--data", folder / "junction.csv", "--what", "goals",
        "--goals", "car 3=r1c1,r2c8", "--prior", "car 3=0.05,0.95",
    )  # fmt: skip
    found = ask(*asked)
    assert found["decisions"] == 4
    assert len(found["history"]) == 5
    assert found["history"][0]["car 3"] == pytest.approx({"r1c1": 0.05, "r2c8": 0.95})
    assert found["posterior"]["car 3"]["r1c1"] > 0.95
    figure = tmp_path / "goals.png"
    assert "car 3: r2c8" in run(*asked, "--figure", figure).stdout
    assert figure.stat().st_size > 5000


def test_a_scene_too_large_for_joint_positions_is_a_crowd(ask, folder):
    asked = ("infer", "junction", "--data", folder / "junction.csv", "--what", "rewards", "--feature", "car 3=waits")
    found = ask(*asked, "--horizon", 4, "--method", "matching")
    (feature,) = found["features"]
    assert feature["name"] == "car 3: waits"
    assert feature["observed"] == 0.0  # it never did
    assert found["parameters"][0]["estimate"] < 0


def test_bad_data_are_named_by_row(run, folder, tmp_path):
    lines = (folder / "play.csv").read_text().splitlines()
    header = lines[0].split(",")

    def spoiled(row, column, text):
        broken = [line.split(",") for line in lines]
        broken[row][header.index(column)] = text
        path = tmp_path / "bad.csv"
        path.write_text("\n".join(",".join(line) for line in broken))
        return run("infer", "pursuit-two", "--data", path, "--horizon", 4, code=2).stderr

    assert "line 3, column 'action_h'" in spoiled(2, "action_h", "fly")
    assert "line 4, column 'state_p'" in spoiled(3, "state_p", "moon")
    empty = tmp_path / "empty.csv"
    empty.write_text(lines[0] + "\n")
    assert "quantal:" in run("infer", "pursuit-two", "--data", empty, "--horizon", 4, code=2).stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--what", "rewards"), "expected --feature AGENT=FEATURE"),
        (("--what", "rewards", "--feature", "p"), "expected AGENT="),
        (("--what", "rewards", "--feature", "p=fun"), "--feature p=fun: expected together, waits"),
        (("--what", "goals"), "is no scene"),
        (("--goals", "p=4"), "--goals: it is for --what goals"),
        (("--beta", "2"), "--beta: it is what is estimated"),
        (("--what", "rewards", "--per-agent"), "--per-agent: it is for --what precision"),
        (("--figure", "x.txt"), "--figure x.txt: expected a name that ends in"),
    ],
)
def test_what_makes_no_sense_is_refused(run, folder, arguments, message):
    assert message in run("infer", "pursuit-two", "--data", folder / "play.csv", *arguments, code=2).stderr
