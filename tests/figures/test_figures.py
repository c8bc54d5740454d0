"""Figures: that they hold what the records hold, and leave the user's matplotlib alone. (Looking is done by people.)"""

import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import quantal as qt
from quantal import experiments, figures
from quantal.errors import FileError, ParameterError
from quantal.experiments.published import Prediction
from quantal.experiments.pursuit import Trace
from quantal.experiments.records import Comparison

VERDICT = {"layout": "given", "verdict": "agrees", "explanation": ""}


def texts(figure):
    """Everything written in a figure."""
    found = [t.get_text() for t in figure.findobj(mpl.text.Text)]
    return " | ".join(t for t in found if t)


def heights(axes):
    return [bar.get_height() for bar in axes.patches if isinstance(bar, mpl.patches.Rectangle)]


@pytest.fixture
def picture(tmp_path):
    """Save a figure as PNG; return its pixels, having checked that there is something on it."""

    def draw(figure):
        file = tmp_path / "picture.png"
        figures.save(figure, file)
        pixels = mpl.image.imread(file)[..., :3]
        assert 0.005 < (pixels < 0.95).any(axis=-1).mean() < 0.9, "an empty or a full picture"
        return pixels

    return draw


def comparison(what, ours, paper, value="expected", **more):
    labels = tuple("abcd"[: len(ours)])
    return Comparison(what=what, labels=labels, ours=ours, paper=paper, value=value, play="policy", **more)


@pytest.fixture(scope="module")
def stag_hunt():
    """A game whose principal branch turns back at beta = 2.96 and again at 0.967."""
    payoffs = (np.array([[16.0, 0.0], [12.0, 12.0]]), np.array([[4.0, 2.0], [2.2, 2.0]]))
    return qt.MarkovGame.normal_form(payoffs, agents=("cautious", "eager"), actions=(("stag", "hare"),) * 2)


@pytest.fixture(scope="module")
def branch(stag_hunt):
    return qt.solve_path(stag_hunt, np.linspace(0, 4, 9).tolist(), discount=0.0)


@pytest.fixture(scope="module")
def one_step():
    return qt.solve(qt.games.pursuit.one_step(), beta=1.0, horizon=1)


# ---------------------------------------------------------------------- the paper's


def test_figure_3_draws_every_trace(picture):
    residuals = np.geomspace(1, 1e-12, 40)
    record = experiments.Figure3(
        name="fig3",
        title="",
        comparisons=(),
        findings=(),
        notes=(),
        converged=True,
        **VERDICT,
        traces=tuple(Trace(a, t, residuals ** (1 / a), 0) for a in (0.5, 1.0) for t in (0, 1, 2)),
        sweeps=40,
        stage_games=1,
        parted=np.zeros((3, 1), dtype=bool),
        apart=np.zeros((3, 1)),
    )
    figure = figures.figure_3(record)
    assert [len(axes.lines) for axes in figure.axes] == [2, 2, 2]
    assert [axes.get_yscale() for axes in figure.axes] == ["log"] * 3
    assert "= 2 (solved first)" in figure.axes[0].get_title(loc="left")  # stages in the order in which they are solved
    assert "error" in figure.axes[0].get_ylabel()
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_ydata(), residuals**2)
    picture(figure)


def test_figure_4_has_a_bar_for_every_number(picture):
    rows = []
    for rule, shift in (("greedy", 0.0), ("expected", 0.02)):
        ours = (0.3 + shift, 0.7 - shift)
        rows += [
            comparison(what, ours, (0.31, 0.69), rule) for what in ("h1 at I1 = (0, 8, 4)", "h1 at I2 = (0, 8, 2)")
        ]
        rows.append(comparison("p at I1 = (0, 8, 4)", (0.2,), (0.803,), rule, misprint=True))
    record = experiments.Figure4(
        name="fig4",
        title="",
        comparisons=tuple(rows),
        findings=(),
        notes=(),
        converged=True,
        **VERDICT,
        distances={},
        residual=0.0,
    )
    figure = figures.figure_4(record)
    assert [len(heights(axes)) for axes in figure.axes] == [6, 6]  # a misprint is not drawn
    assert sorted(heights(figure.axes[0])) == pytest.approx(sorted([0.31, 0.69, 0.3, 0.7, 0.32, 0.68]))
    picture(figure)


def test_pursuit_scores_mark_the_papers_average(picture):
    averages = np.random.default_rng(0).poisson(25, 500) / 10
    record = experiments.PursuitScores(
        name="pursuit-scores",
        title="",
        comparisons=(),
        findings=(),
        notes=(),
        converged=True,
        **VERDICT,
        samples=(experiments.TenGames("diagonal", 2.5, averages), experiments.TenGames("orthogonal", 2.4, averages)),
        games=10,
    )
    figure = figures.reproduction(record)
    for axes in figure.axes:
        assert {line.get_xdata()[0] for line in axes.lines} >= {2.9}
        assert sum(heights(axes)) == pytest.approx(1)
    assert "exact 2.50" in texts(figure)
    picture(figure)


def test_grid_table_writes_out_what_lies_off_its_axis(picture):
    record = experiments.GridTable(
        name="grid-table",
        title="",
        comparisons=(
            comparison("game I, 2x2, collisions enter, T = 3", (29.62, 29.62), (29.6, 29.6)),
            comparison("game I, 2x2, collisions bounce, swapping is one, T = 3", (20.0, 20.0), (29.6, 29.6)),
        ),
        findings=(),
        notes=(),
        converged=True,
        **VERDICT,
        horizons=(3, 4),
        sampled=(0.2, 0.4),
        most_probable=(1.0, 1.25),
        standard_error=0.03,
    )
    figure = figures.reproduction(record)
    assert "20.0" in texts(figure)
    assert "2x2, bounce, no swaps" in texts(figure)
    picture(figure)


def test_published_games_are_numbered(picture):
    games = tuple(Prediction(f"game {k}", (0.1 * k, 0.9), (0.1 * k, 0.8), (0.1, 0.9), 100, True) for k in range(1, 4))
    figure = figures.published(experiments.PublishedGames(beta=1.05, games=games, source=""))
    for k in "123":
        assert [t.get_text() for t in figure.axes[0].texts].count(k) == 2  # a point for the row, one for the column
    assert "logit" in texts(figure)
    picture(figure)


# ---------------------------------------------------------------------- branches and policies


def test_a_branch_is_drawn_through_its_folds(branch, picture):
    figure = figures.branch(branch, (0,))
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["cautious", "eager"]
    axes = figure.axes[1]
    curve = max(axes.lines, key=lambda line: len(line.get_xdata()))
    betas = curve.get_xdata()
    turns = betas[1:-1][np.diff(np.sign(np.diff(betas))) != 0]
    # The curve turns where the folds are, and nowhere else.
    np.testing.assert_allclose(turns, [fold.beta for fold in branch.folds], rtol=1e-3)
    assert len(branch.folds) == 2
    marks = sorted({float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "o"})
    np.testing.assert_allclose(marks, sorted(fold.beta for fold in branch.folds))
    assert "stag" in texts(figure)
    picture(figure)


def test_the_drawn_curve_is_the_branch(branch, stag_hunt):
    # Between the points that were solved the curve is interpolated: solve there and see.
    betas, play = figures.branches._curve(branch, 1, (0,))
    last_rise = np.flatnonzero(np.diff(betas) < 0)[-1] + 1
    for beta in (1.3, 3.3):
        solved = qt.solve(stag_hunt, beta=beta, discount=0.0, method="newton", start=branch.passes[-1][0])
        drawn = np.interp(beta, betas[last_rise:], play[last_rise:, 0])
        assert drawn == pytest.approx(float(solved.policy[1][0, 0]), abs=2e-3)


def test_a_path_over_a_horizon_is_drawn_too(picture):
    path = qt.solve_path(qt.games.grid.game_two(), [0.0, 0.5, 1.0], horizon=1)
    figure = figures.branch(path, (6, 8))
    assert len(figure.axes) == 2
    np.testing.assert_array_equal(figure.axes[0].lines[0].get_xdata(), [0.0, 0.5, 1.0])
    picture(figure)


def test_policies_stand_on_the_map(one_step, picture):
    figure = figures.policy(one_step, (1, 5, 2))
    written = texts(figure)
    for i, agent in enumerate(("h1", "h2", "p")):
        assert agent in written
        for p in one_step.policy[i][0, 1, 5, 2]:
            if p > 0:
                assert f"{p:.2f}".lstrip("0") in written
    # One arrow for each move, one ring for staying: h1 and h2 have 3 moves, the prey in its corner 2.
    arrows = [patch for patch in figure.axes[0].patches if isinstance(patch, mpl.patches.FancyArrowPatch)]
    assert len(arrows) == 8
    picture(figure)


def test_agents_on_one_cell_do_not_hide_each_other(one_step):
    figure = figures.policy_map(one_step, (4, 4, 4))
    discs = [p for p in figure.axes[0].patches if isinstance(p, mpl.patches.Circle) and p.get_zorder() == 3]
    centres = np.array([disc.center for disc in discs])
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=-1)[np.triu_indices(3, 1)]
    assert apart.min() > 2 * discs[0].radius


def test_joint_moves_point_where_they_lead():
    # In grid game II the way up from the start passes only every other time: the arrow points up all the same.
    game = qt.games.grid.game_two()
    solution = qt.solve(game, beta=0.0, horizon=1)
    start = tuple(int(k) for k in np.argwhere(game.start > 0)[0])
    up, left = game.actions[0].index("up"), game.actions[1].index("left")
    assert game.state_labels[0][figures.policies._successor(game, 0, start, up, solution, 0)] == "r1c0"
    assert game.state_labels[1][figures.policies._successor(game, 1, start, left, solution, 0)] == "r2c1"


def test_games_without_a_map_get_bars(stag_hunt, picture):
    solution = qt.solve(stag_hunt, beta=0.0, discount=0.0)
    figure = figures.policy(solution, (0,))
    assert [len(heights(axes)) for axes in figure.axes] == [2, 2]
    picture(figure)
    with pytest.raises(ParameterError, match="no map"):
        figures.policy_map(solution, (0,))


# ---------------------------------------------------------------------- files and manners


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_files_are_the_same_every_time(tmp_path, one_step, ending):
    files = [tmp_path / f"{k}.{ending}" for k in range(2)]
    for file in files:
        figures.save(figures.policy(one_step, (1, 5, 2)), file)
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert len(first) > 2_000


def test_text_stays_text_in_svg(tmp_path, one_step):
    figures.save(figures.policy(one_step, (1, 5, 2)), tmp_path / "map.svg")
    assert ">h1</text>" in (tmp_path / "map.svg").read_text()


def test_a_picture_needs_a_name_that_says_how(tmp_path, one_step):
    figure = figures.policy(one_step, (1, 5, 2))
    with pytest.raises(ParameterError, match=r"ends in \.png, \.svg, \.pdf"):
        figures.save(figure, tmp_path / "map.bmp")
    with pytest.raises(FileError, match="no directory"):
        figures.save(figure, tmp_path / "nowhere" / "map.png")


def test_the_users_settings_are_left_alone(one_step, tmp_path):
    before = dict(mpl.rcParams)
    figures.save(figures.policy(one_step, (1, 5, 2)), tmp_path / "map.png")
    assert dict(mpl.rcParams) == before


def test_pyplot_is_not_imported():
    # pyplot picks a backend and keeps figures alive: neither is ours to decide.
    code = "import sys, quantal.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_labels_keep_apart_and_in_order(heights):
    placed = figures.style._spread(heights, 0.1, 0.0, 1.0)
    order = np.argsort(heights, kind="stable")
    assert (np.diff(np.array(placed)[order]) >= 0.1 - 1e-9).all()
    assert min(placed) >= -1e-9
    assert max(placed) <= 1 + 1e-9
    if len(heights) == 1:
        assert placed == heights
