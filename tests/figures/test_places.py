"""Where pictures are drawn: each goes into axes, onto a sequence of axes, and into a subfigure, as into its own."""

import inspect
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure

import quantal as qt
from quantal import experiments, figures
from quantal.errors import ParameterError
from quantal.experiments.driving import DrivingPlay, DrivingStudy
from quantal.experiments.published import Prediction
from quantal.experiments.pursuit import Trace
from quantal.experiments.rabbit_hole import Entering
from quantal.experiments.records import Comparison
from quantal.experiments.theorems import Measured
from quantal.figures.paper import driving
from quantal.scenes.journeys import journeys

SAID = {"title": "", "findings": (), "notes": (), "converged": True, "explanation": ""}
SAID |= {"layout": "given", "verdict": "agrees", "comparisons": ()}
TRACES = tuple(Trace(a, t, np.geomspace(1, 1e-9, 9), 0) for a in (0.5, 1.0) for t in (0, 1))
PARTED = np.eye(3, dtype=bool)[None, :, :, None] & np.ones((2, 1, 1, 3), dtype=bool)


def row(what, value="expected", ours=(0.4, 0.6)):
    return Comparison(what=what, labels=("a", "b"), ours=ours, paper=(0.3, 0.7), value=value, play="policy")


@pytest.fixture(scope="module")
def one_step():
    return qt.solve(qt.games.pursuit.one_step(), beta=1.0, horizon=1)


@pytest.fixture(scope="module")
def walk():
    scene = qt.read_scene("warehouse")
    return journeys(scene, qt.solve(scene.crowd(), beta=scene.beta, horizon=2))


@pytest.fixture(scope="module")
def drawn(one_step, walk):
    """Per picture, how it is drawn and how many panels it has."""
    figure_3 = experiments.Figure3(
        name="fig3", **SAID, traces=TRACES, sweeps=9, stage_games=27, parted=PARTED, apart=0.2 * PARTED
    )
    rows = tuple(row(f"h1 at I{k} = (0, 8, {k})", rule) for k in (1, 2) for rule in ("greedy", "expected"))
    figure_4 = experiments.Figure4(name="fig4", **SAID | {"comparisons": rows}, distances={}, residual=0.0)
    averages = np.arange(40) / 10
    scores = experiments.PursuitScores(
        name="pursuit-scores", **SAID, samples=(experiments.TenGames("diagonal", 2.5, averages),) * 2, games=10
    )
    table = experiments.GridTable(
        name="grid-table",
        **SAID | {"comparisons": (row("game I, 2x2, collisions enter, T = 3", ours=(29.6, 29.5)),)},
        horizons=(3, 4),
        sampled=(0.2, 0.4),
        most_probable=(1.0, 1.25),
        standard_error=0.03,
    )
    games = (Prediction("game 1", (0.1, 0.9), (0.1, 0.8), (0.2, 0.9), 100, True),)
    theorems = experiments.Theorems(
        name="theorems",
        **SAID,
        measured=tuple(Measured(k, (0.5, 2.0), (0.2, 0.8), (3, 2), (0.9, 1.5), (0.5, 1.2), 3) for k in (1, 2)),
    )
    hole = experiments.RabbitHole(
        name="rabbit-hole", **SAID, entering=(Entering(1, 0.1, 0.3, 1.0),), averages=np.ones((9, 2)), rounds=10
    )
    entropy = experiments.CausalEntropy(
        name="theorem-4", **SAID, slopes=(0.1, 0.0), entropies=(2.0, 2.1), gradient=(np.ones(2), -np.ones(2))
    )
    online = experiments.OnlineInference(
        name="online-inference", **SAID, paths={"as printed": averages, "turned round": -averages}, truth=-0.8, ball=3.0
    )
    learned = experiments.LearnersTable(
        name="learners", **SAID, outcomes={("uCE-Q", "II"): ((1.0, 2.0),)}, hunts={"diagonal": (2.0, 2.1)}
    )
    play = DrivingPlay(
        beta=1.0, mu=0.0, converged=True, waits=(1, 1, 1), zebra=(6, 5, 7), crossed=3, order=(1, 0, 2),
        expected_zebra=(6.0, 5.0, 7.0), with_pedestrian=0.5, among_cars=0.0, shortest=True, as_in_paper=True,
    )  # fmt: skip
    study = DrivingStudy((1.0, 3.0), (0.0, 5.0), ((play,) * 2,) * 2)
    path = qt.Path((0.5, 1.0), (one_step,) * 2, ((one_step,),) * 2)
    scene = experiments.DrivingScene(name="driving", **SAID, play=play, journeys=walk, solution=walk.solution)
    return {
        "beliefs": (lambda ax: figures.beliefs([{"a": {"x": 0.5, "y": 0.5}, "b": {"x": 1.0}}] * 2, ax), 2),
        "branch": (lambda ax: figures.branch(path, (1, 5, 2), ax), 3),
        "causal_entropy": (lambda ax: figures.causal_entropy(entropy, ax), 2),
        "driving": (lambda ax: driving(scene, ax), 3),
        "driving_study": (lambda ax: figures.driving_study(study, 3.0, ax), 3),
        "estimates": (lambda ax: figures.estimates([("x", 1.0, 0.1, 0.8, 1.2)], "rewards", ax), 1),
        "figure_3": (lambda ax: figures.figure_3(figure_3, ax), 2),
        "figure_4": (lambda ax: figures.figure_4(figure_4, ax), 2),
        "fit": (lambda ax: figures.fit([("x", 0.4, 0.5, 9.0), ("y", 0.4, 0.3, 9.0)], ax=ax), 1),
        "grid_table": (lambda ax: figures.grid_table(table, ax), 2),
        "learners": (lambda ax: figures.learners(learned, ax), 2),
        "occupancy": (lambda ax: figures.occupancy(walk, [0, 1, 2], ax), 3),
        "one_step": (lambda ax: figures.policy_map(one_step, (1, 5, 2), ax=ax), 1),
        "online_inference": (lambda ax: figures.online_inference(online, ax), 1),
        "parted": (lambda ax: figures.parted(figure_3, ax), 6),
        "policy": (lambda ax: figures.policy(one_step, (1, 5, 2), ax=ax), 1),
        "policy_bars": (lambda ax: figures.policy_bars(one_step, (1, 5, 2), ax=ax), 3),
        "policy_map": (lambda ax: figures.policy_map(one_step, (1, 5, 2), ax=ax), 1),
        "precision": (
            lambda ax: figures.precision(
                [
                    SimpleNamespace(
                        name="beta", at=[0.5, 1.0, 1.5], log_likelihood=[-3.0, 0.0, -3.0], interval=(0.6, 1.4)
                    )
                ],
                [("x", 0.4, 0.5, 9.0)],
                ax,
            ),
            2,
        ),
        "published": (
            lambda ax: figures.published(experiments.PublishedGames(beta=1.05, games=games, source=""), ax),
            1,
        ),
        "pursuit_scores": (lambda ax: figures.pursuit_scores(scores, ax), 2),
        "rabbit_hole": (lambda ax: figures.rabbit_hole(hole, ax), 2),
        "reproduction": (lambda ax: figures.reproduction(figure_4, ax), 2),
        "theorems": (lambda ax: figures.theorems(theorems, ax), 2),
    }


def marks(axes):
    """How many lines, patches, collections and words there are in axes, without legends."""
    return len(axes.lines), len(axes.patches), len(axes.collections), len(axes.texts)


def test_every_picture_takes_ax(drawn):
    public = {name: getattr(figures, name) for name in figures.__all__}
    drawing = {n for n, f in public.items() if callable(f) and inspect.signature(f).return_annotation == "Figure"}
    assert [n for n in sorted(drawing) if "ax" not in inspect.signature(public[n]).parameters] == []
    # `contest` is drawn where there is one, in tests/baselines/test_comparison.py.
    assert drawing - {"contest"} == set(drawn)


@pytest.mark.deep
def test_pictures_are_the_same_wherever_they_are_drawn(drawn):
    for name, (draw, count) in drawn.items():
        alone = draw(None)
        expected = [marks(axes) for axes in alone.axes]
        assert len(expected) == count, name
        assert sum(map(sum, expected)) > 0, name

        whole = Figure(layout="constrained")
        first, second = whole.subfigures(1, 2)
        assert draw(second) is whole, name
        assert [marks(axes) for axes in second.axes] == expected, name
        assert first.axes == []

        each = Figure(layout="constrained").subplots(1, count, squeeze=False)
        assert draw(each) is each[0, 0].figure, name
        assert [marks(axes) for axes in each[0]] == expected, name

        whole = Figure(figsize=(8, 4), layout="constrained")
        beside, within = whole.subplots(1, 2)
        assert draw(within) is whole, name
        panels = within.child_axes or [within]
        assert [marks(axes) for axes in panels] == expected, name
        assert marks(beside) == (0, 0, 0, 0)


def test_a_key_and_a_heading_stay_with_their_picture(drawn):
    draw, _ = drawn["figure_4"]
    whole = Figure(layout="constrained")
    left, right = whole.subfigures(1, 2)
    draw(right)
    assert (len(whole.legends), len(left.legends), len(right.legends)) == (0, 0, 1)
    whole = Figure(layout="constrained")
    _, within = whole.subplots(1, 2)
    draw(within)
    assert whole.legends == []
    each = Figure(layout="constrained").subplots(1, 2)
    assert draw(list(each)) is each[0].figure
    assert next(text.get_text() for text in within.get_legend().get_texts()) == "paper"


@pytest.mark.parametrize(
    ("ax", "message"),
    [
        (lambda: Figure().subplots(1, 3), "expected 2 axes, one for each panel: got 3"),
        (lambda: np.array(["left", "right"]), "expected axes, a figure or a subfigure, or a sequence of axes"),
    ],
)
def test_axes_that_do_not_do_are_refused(drawn, ax, message):
    draw, _ = drawn["figure_3"]
    with pytest.raises(ParameterError, match=message):
        draw(ax())
