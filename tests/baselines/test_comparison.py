"""Methods side by side, on the screen and in files; the command line's two commands."""

import dataclasses
import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from typer.testing import CliRunner

import quantal as qt
from quantal import ParameterError, experiments, figures
from quantal.baselines import QLearning, compare
from quantal.baselines.comparison import Estimate, estimate
from quantal.cli import app
from quantal.experiments.learning import PAPER
from quantal.reports import learners as learning_report


@pytest.fixture(scope="module")
def contest():
    game = qt.games.grid.game_one()
    events = experiments.events("grid-one", game)
    return compare(game, ["q-learning", "nash-q"], range(3), steps=8_000, events=events)


def test_intervals_are_students():
    # Four numbers, mean 3, standard deviation 1.826: 3 +- 3.182 * 1.826 / 2.
    found = estimate([1.0, 5.0, 3.0, 3.0])
    half = 3.182446 * np.std([1, 5, 3, 3], ddof=1) / 2
    assert (found.mean, found.low, found.high) == pytest.approx((3, 3 - half, 3 + half), rel=1e-6)
    assert estimate([2.0]) == Estimate(2.0, 2.0, 2.0)


def test_a_contest_scores_every_method(contest):
    for row in contest.contestants:
        assert row.scores["A"].mean == pytest.approx(30.0)  # both arrive at once, without collisions
        assert row.events["collisions"].mean == pytest.approx(0.0, abs=1e-12)
        assert row.exploitability.mean <= 1e-9
        assert row.scores_alone is None
        assert len(row.runs) == 3
    assert contest.contestants[0].episodes_to_settle > 0


def test_hunts_are_counted_like_the_score():
    game = qt.games.pursuit.two_players()
    events = experiments.events("pursuit-two", game)
    (row,) = compare(game, [QLearning()], (0,), steps=500, episode_length=22, events=events).contestants
    assert row.events["hunts"].mean == pytest.approx(row.scores["h"].mean / 0.4)  # 0.4 a hunt


def test_a_contest_is_written_down(contest):
    record = learning_report.contest_record(contest)
    assert [row["method"] for row in record["methods"]] == ["Q-learning", "Nash-Q"]
    assert json.dumps(record["methods"][0]["scores"]["A"])
    rows = learning_report.contest_rows(contest)
    assert {len(row) for row in rows} == {len(learning_report.CONTEST_COLUMNS)}
    drawn = figures.contest(contest)
    whole = Figure(layout="constrained")
    _, within = whole.subplots(1, 2)
    assert figures.contest(contest, within) is whole
    assert [len(axes.lines) for axes in within.child_axes] == [len(axes.lines) for axes in drawn.axes]
    assert [axis.get_title(loc="left") for axis in drawn.axes] == ["What is thought to be had", "What is had"]
    assert [t.get_text() for t in drawn.axes[1].get_yticklabels()] == ["Q-learning", "Nash-Q"]


def test_a_score_far_out_does_not_hide_the_others(contest):
    # In game II libertarian agents collide for ever: -90 beside scores of 1 and 2, which were one point in the picture.
    far = [
        dataclasses.replace(row, scores={a: Estimate(s, s, s) for a in "AB"})
        for row, s in zip(contest.contestants * 2, (1.0, 1.5, 2.0, -90.0), strict=True)
    ]
    near, apart = (figures.contest(dataclasses.replace(contest, contestants=tuple(x))).axes[1] for x in (far[:3], far))
    assert (near.get_xscale(), apart.get_xscale()) == ("linear", "symlog")
    assert "95% intervals of 3 seeds" in near.get_xlabel()
    assert "logarithmic beyond 4" in apart.get_xlabel()
    one, two, _, edge = apart.transData.transform([[1.0, 0], [2.0, 0], [-90.0, 0], [apart.get_xlim()[1], 0]])[:, 0]
    assert two - one > 10  # pixels
    assert edge >= two


def test_one_method_needs_no_list():
    game = qt.games.grid.game_one()
    for method in ("fictitious-play", QLearning()):
        (row,) = compare(game, method, (0,), steps=20).contestants
        assert row.runs[0].parameters.steps == 20


def test_unknown_methods_are_refused():
    with pytest.raises(ParameterError, match=r"method 'sarsa': expected one of q-learning"):
        compare(qt.games.grid.game_one(), ["sarsa"])
    with pytest.raises(ParameterError, match="methods: expected at least one"):
        compare(qt.games.grid.game_one(), [])


def test_train_on_the_command_line():
    run = CliRunner().invoke(app, ["train", "grid-one", "--steps", "8000", "--certificate", "--json"])
    assert run.exit_code == 0, run.output
    record = json.loads(run.stdout)
    assert record["scores"] == {"A": pytest.approx(30.0), "B": pytest.approx(30.0)}
    assert record["method"] == "Q-learning"
    assert record["certificate"]["correlated_violation"] is None
    table = CliRunner().invoke(app, ["train", "selten-chmura-1", "--method", "fictitious-play", "--steps", "50"])
    assert table.exit_code in (0, 1)
    assert "Policies" in table.stdout


def test_bad_input_on_the_command_line():
    run = CliRunner().invoke(app, ["train", "grid-one", "--method", "sarsa"])
    assert run.exit_code == 2
    assert "expected one of q-learning" in run.stderr
    run = CliRunner().invoke(app, ["train", "grid-one", "--seed", "18446744073709551616"])
    assert run.exit_code == 2
    assert "expected a whole number, 0 <= seed < 2**63" in run.stderr
    run = CliRunner().invoke(app, ["compare", "grid-one", "--figure", "x.gif"])
    assert run.exit_code == 2


def test_compare_on_the_command_line(tmp_path):
    out, figure = tmp_path / "table.csv", tmp_path / "table.png"
    arguments = ["compare", "grid-one", "--methods", "q-learning,fictitious-play", "--seeds", "2", "--steps", "4000"]
    run = CliRunner().invoke(app, [*arguments, "--out", str(out), "--figure", str(figure)])
    assert run.exit_code in (0, 1), run.output
    assert "collisions" in run.stdout
    assert out.read_text().startswith("method,quantity,agent,mean,low,high")
    assert figure.stat().st_size > 10_000


@pytest.mark.deep
def test_the_table_of_figure_5_has_every_number_of_the_paper():
    # Few steps and seeds: what is learned is tested elsewhere; here every row stands beside the paper's.
    seen = []
    record = experiments.learners(steps=300, seeds=(0, 1), progress=seen.append)
    assert seen[-1] == pytest.approx(1.0)
    for (method, game), paper in PAPER.items():
        rows = [row for row in record.comparisons if f"game {game}, {method}" in row.what]
        assert rows
        assert all(row.paper == paper for row in rows)
    mge = next(row for row in record.comparisons if row.what == "game I, MGE, T = 3, expected, exact")
    assert mge.ours == pytest.approx((29.62, 29.62), abs=0.005)
    nscp = [row for row in record.comparisons if "NSCP" in row.what]
    assert [row.paper for row in nscp] == [(2.1, 0.84)] * 2
    assert all(row.ours[0] == pytest.approx(row.ours[1] / 0.4) for row in nscp)
    assert all("reconstructed" in row.what for row in nscp)
    assert len(figures.reproduction(record).axes) == 2
