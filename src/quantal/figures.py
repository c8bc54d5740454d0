"""Pictures of records, fit to print: matplotlib figures, made without pyplot and without touching its settings.

Every function returns a `matplotlib.figure.Figure`; `save` writes it as PNG, SVG or PDF. Colours are Okabe and Ito's,
which colour-blind readers can tell apart, and nothing is said by colour alone.
"""

from __future__ import annotations

import math
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch
from matplotlib.ticker import MaxNLocator, MultipleLocator
from scipy.interpolate import Akima1DInterpolator

from quantal.baselines.comparison import Contest
from quantal.comparisons import LearnersTable
from quantal.dynamics import Independent
from quantal.errors import FileError, ParameterError
from quantal.experiments import (
    PAPER_HUNTS,
    Comparison,
    Figure3,
    Figure4,
    GridTable,
    OneStep,
    PublishedGames,
    PursuitScores,
    Reproduction,
)
from quantal.files import replacing
from quantal.game import MarkovGame
from quantal.path import Path
from quantal.solution import PerAgent, Solution

BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILION = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, "#000000", "#7F7F7F")
INK, FAINT = "#222222", "#B8B8B8"
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (6, 1.5, 1.5, 1.5)))

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same picture everywhere
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.labelsize": 8.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.dpi": 100,
    "savefig.dpi": 200,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "quantal",  # the same figure gives the same file
    "pdf.fonttype": 42,
    "mathtext.default": "regular",
}
FORMATS = (".png", ".svg", ".pdf")
MARGIN = 0.33
"""Around a map, in cells."""


@contextmanager
def style() -> Generator[None]:
    """Draw in our style inside; the user's matplotlib settings come back after it."""
    with rc_context(STYLE):
        yield


def new_figure(width: float, height: float) -> Figure:
    """Begin a figure of this size, in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def check_format(path: str | os.PathLike[str]) -> FilePath:
    """Return the path of a picture that we can write.

    Raises
    ------
    ParameterError
        If its ending is not one of a picture.
    """
    target = FilePath(path)
    if target.suffix.lower() not in FORMATS:
        raise ParameterError(f"figure {target}: expected a name that ends in {', '.join(FORMATS)}")
    if not target.parent.is_dir():
        raise FileError(f"figure {target}: there is no directory {target.parent}. Create it, or choose another")
    return target


def save(figure: Figure, path: str | os.PathLike[str]) -> None:
    """Write a figure, whole or not at all; the ending of the name says how (.png, .svg, .pdf).

    Raises
    ------
    ParameterError
        If the ending is not one of these.
    FileError
        If the directory cannot be written.
    """
    target = check_format(path)
    kind = target.suffix.lower()[1:]
    undated = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}[kind]
    with style(), replacing(target) as temporary:
        figure.savefig(temporary, format=kind, metadata=undated)


# ---------------------------------------------------------------------- labels beside lines


def _spread(heights: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move heights apart until each two are `gap` from one another, as little as possible, within [low, high]."""
    order = np.argsort(heights, kind="stable")
    # Neighbours that are too close share their mean: blocks of an isotonic regression of (height - rank * gap).
    blocks: list[tuple[float, int]] = []
    for rank, k in enumerate(order):
        mean, size = heights[k] - rank * gap, 1
        while blocks and blocks[-1][0] > mean:
            before, count = blocks.pop()
            mean, size = (before * count + mean * size) / (count + size), count + size
        blocks.append((mean, size))
    flat = [mean for mean, size in blocks for _ in range(size)]
    most = high - gap * (len(flat) - 1)
    placed = [min(max(x, low), max(low, most)) + rank * gap for rank, x in enumerate(flat)]
    result = [0.0] * len(placed)
    for rank, k in enumerate(order):
        result[k] = placed[rank]
    return result


def label_ends(axes: Axes, labels: Sequence[tuple[float, str, str]], x: float, gap: float = 0.055) -> None:
    """Write (height, text, colour) beside the right ends of lines, apart from one another."""
    low, high = axes.get_ylim()
    places = _spread([y for y, _, _ in labels], gap * (high - low), low, high)
    for (_, text, colour), place in zip(labels, places, strict=True):
        axes.annotate(
            text, (x, place), (5, 0), textcoords="offset points", color=colour, va="center", annotation_clip=False
        )


# ---------------------------------------------------------------------- the paper's figures


def figure_3(record: Figure3) -> Figure:
    """Error of the damped iteration against sweeps, one panel per stage in the order in which they are solved."""
    with style():
        figure = new_figure(7.2, 2.9)
        times = sorted({t.time for t in record.traces}, reverse=True)
        panels = figure.subplots(1, len(times), sharey=True, squeeze=False)[0]
        alphas = sorted({t.damping for t in record.traces})
        for axes, time in zip(panels, times, strict=True):
            for k, alpha in enumerate(alphas):
                trace = next(t for t in record.traces if t.time == time and t.damping == alpha)
                sweeps = np.arange(1, trace.residuals.size + 1)
                label = rf"$\alpha$ = {alpha:g}"
                axes.loglog(sweeps, trace.residuals, color=COLOURS[k], linestyle=DASHES[k % 4], label=label)
            axes.set_title(rf"$\tau$ = {time}" + (" (solved first)" if time == times[0] else ""))
            axes.set_xlabel("sweeps")
            axes.set_xlim(1, 1.1 * record.sweeps)
            axes.set_ylim(3e-13, 5)
            axes.set_yticks([1e-12, 1e-9, 1e-6, 1e-3, 1e0])
            axes.grid(True, axis="y", color="#E6E6E6", linewidth=0.6)
            axes.minorticks_off()
        panels[0].set_ylabel("largest error |Q − T(Q)|")
        panels[0].legend(loc="lower left", handlelength=2.6)
    return figure


def figure_4(record: Figure4) -> Figure:
    """First-move policies beside the printed ones, one panel per agent and start."""
    with style():
        figure = new_figure(7.2, 3.9)
        rows = [row for row in record.comparisons if not row.misprint]
        names = list(dict.fromkeys(row.what for row in rows))
        widths = [next(len(row.labels) for row in rows if row.what == name) for name in names]
        panels = figure.subplots(1, len(names), sharey=True, width_ratios=widths)
        for axes, name in zip(panels, names, strict=True):
            mine = {row.value: row for row in rows if row.what == name}
            labels = mine["greedy"].labels
            series = (
                (
                    "paper",
                    [x or 0.0 for x in mine["greedy"].paper],
                    {"color": "white", "edgecolor": INK, "hatch": "////"},
                ),
                ("greedy rule", [x or 0.0 for x in mine["greedy"].ours], {"color": BLUE}),
                ("expected rule, equation (7)", [x or 0.0 for x in mine["expected"].ours], {"color": ORANGE}),
            )
            for k, (label, heights, look) in enumerate(series):
                at = np.arange(len(labels)) + 0.27 * (k - 1)
                bars = axes.bar(at, heights, 0.25, label=label, linewidth=0.6, **look)
                texts = [f"{h:.3f}".lstrip("0") for h in heights]
                axes.bar_label(bars, texts, rotation=90, padding=2, fontsize=7)
            axes.set_xticks(np.arange(len(labels)), labels)
            axes.tick_params(axis="x", length=0)
            agent, where = name.split(" at ")
            start, nodes = where.split(" = ")
            axes.set_title(f"{agent} at $I_{start[1]}$ = {nodes}", fontsize=8.5)
        panels[0].set_ylim(0, 0.53)
        panels[0].set_ylabel("probability of the first move")
        handles, texts = panels[0].get_legend_handles_labels()
        figure.legend(handles, texts, loc="outside upper center", ncols=3)
    return figure


def one_step(record: OneStep) -> Figure:
    """Everyone's only move on the map."""
    game = record.solution.game
    return policy_map(record.solution, tuple(int(k) for k in np.argwhere(np.asarray(game.start) > 0)[0]))


def pursuit_scores(record: PursuitScores) -> Figure:
    """How averages over ten games scatter, and where the paper's lies."""
    with style():
        figure = new_figure(7.2, 2.7)
        panels = figure.subplots(1, len(record.samples), sharey=True, sharex=True)
        width = 1 / record.games
        top = 0.0
        for axes, sample in zip(panels, record.samples, strict=True):
            counts = np.round(sample.averages / width).astype(int)
            values, often = np.unique(counts, return_counts=True)
            share = often / sample.averages.size
            beyond = values * width >= PAPER_HUNTS - 1e-9
            axes.bar(values * width, share, 0.92 * width, color=np.where(beyond, BLUE, "#9CC3DD"))
            top = max(top, share.max())
            axes.axvline(PAPER_HUNTS, color=INK, linewidth=1)
            axes.axvline(sample.expected, color=VERMILION, linewidth=1.2, linestyle=DASHES[1])
            axes.set_xlabel(f"hunts per game, average over {record.games} games")
            axes.set_title(f"prey moves {sample.prey}ly", pad=14)
            axes.annotate(
                f"exact {sample.expected:.2f}",
                (sample.expected, 1),
                (-3, 2),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="right",
                va="bottom",
                color=VERMILION,
            )
            axes.annotate(
                f"paper {PAPER_HUNTS}",
                (PAPER_HUNTS, 1),
                (3, 2),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                va="bottom",
            )
            axes.annotate(
                f"{sample.share_at_least(PAPER_HUNTS):.0%} of averages\nare as large",
                (0.98, 0.72),
                xycoords="axes fraction",
                ha="right",
                color=BLUE,
            )
        panels[0].set_ylim(0, 1.05 * top)
        panels[0].set_ylabel("share of samples")
    return figure


def grid_table(record: GridTable) -> Figure:
    """Scores in grid game I by its rules, and in game II by its horizon, beside the paper's."""
    with style():
        figure = new_figure(7.2, 2.9)
        left, right = figure.subplots(1, 2)
        rows = [row for row in record.comparisons if row.what.startswith("game I,")]
        low, high = 29.3, 29.75
        left.axvline(29.6, color=INK, linewidth=1)
        left.annotate("paper 29.6", (29.6, 1), (3, 2), ("data", "axes fraction"), "offset points", va="bottom")
        for k, row in enumerate(rows):
            _score_dots(left, k, row, low, high)
        left.set_yticks(range(len(rows)), [_game_one_label(row) for row in rows])
        left.set_ylim(len(rows) - 0.5, -0.5)
        left.set_xlim(low, high)
        left.xaxis.set_major_locator(MultipleLocator(0.1))
        left.tick_params(axis="y", length=0)
        left.grid(True, axis="y", color="#E6E6E6", linewidth=0.6)
        left.set_axisbelow(True)
        left.set_xlabel(
            "expected score of A (disc) and B (triangle)\n† another equilibrium than the principal branch's"
        )
        left.set_title("Game I, sampled play", pad=14)
        horizons = np.array(record.horizons)
        right.axhspan(1.37 - record.standard_error, 1.37 + record.standard_error, color="#DDDDDD", linewidth=0)
        right.axhline(1.37, color=INK, linewidth=1)
        right.plot(horizons, record.most_probable, "o-", color=BLUE)
        right.plot(horizons, record.sampled, "s--", color=VERMILION)
        right.set_ylim(0, 1.6)
        right.set_xlim(horizons[0] - 0.3, horizons[-1] + 0.3)
        right.xaxis.set_major_locator(MaxNLocator(integer=True))
        right.set_xlabel("horizon T")
        right.set_ylabel("expected score of either agent")
        right.set_title("Game II", pad=14)
        end = horizons[-1]
        right.text(end, record.most_probable[-1] - 0.12, "most probable play", color=BLUE, ha="right", va="top")
        right.text(end, record.sampled[-1] - 0.18, "sampled play", color=VERMILION, ha="right", va="top")
        right.text(horizons[0] - 0.2, 1.43, "paper 1.37 ± standard error", va="bottom")
    return figure


def _game_one_label(row: Comparison) -> str:
    _, size, rules, *more = [part.strip() for part in row.what.split(",")]
    words = f"{size}, {rules.replace('collisions ', '')}" + (", no swaps" if len(more) > 1 else "")
    return words + (" †" if row.note.startswith("another") else "")


def _score_dots(axes: Axes, height: int, row: Comparison, low: float, high: float) -> None:
    """One mark per agent; a score left of the axis is written out beside an arrow."""
    for marker, score in zip("o^", row.ours, strict=False):
        if score is not None and low <= score <= high:
            axes.plot(score, height, marker, color=BLUE, markersize=6, fillstyle="full" if marker == "o" else "none")
        elif score is not None:
            axes.annotate(
                f"{score:.1f}",
                (low, height),
                (18, 0),
                textcoords="offset points",
                va="center",
                color=BLUE,
                arrowprops={"arrowstyle": "->", "color": BLUE, "linewidth": 1},
            )


def published(record: PublishedGames) -> Figure:
    """Observed against predicted frequencies, each point with the number of its game."""
    with style():
        figure = new_figure(4.2, 4.2)
        draw_published(figure.subplots(), record)
    return figure


def draw_published(axes: Axes, record: PublishedGames) -> None:
    """Draw observed against predicted frequencies."""
    axes.plot([0, 1], [0, 1], color=INK, linewidth=0.8, zorder=1)
    crowd = [(g.nash[role], g.observed[role]) for g in record.games for role in range(2)]
    points = [(g.predicted[role], g.observed[role]) for g in record.games for role in range(2)]
    for k, ((predicted, observed), (nash, _)) in enumerate(zip(points, crowd, strict=True)):
        shape, colour = (("o", BLUE), ("s", VERMILION))[k % 2]
        axes.plot(nash, observed, shape, color=FAINT, markersize=4, fillstyle="none", zorder=2)
        axes.plot(predicted, observed, shape, color=colour, markersize=5, markeredgecolor="white", zorder=3)
    for k, (x, y) in enumerate(_beside(points, crowd)):
        axes.text(x, y, str(k // 2 + 1), color=(BLUE, VERMILION)[k % 2], fontsize=7, ha="center", va="center")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_aspect("equal")
    axes.set_xlabel(rf"predicted frequency, $\beta$ = {record.beta:g} for all")
    axes.set_ylabel("observed frequency")
    axes.text(0.33, 0.20, "● row plays up", color=BLUE)
    axes.text(0.36, 0.85, "■ column plays left", color=VERMILION, ha="center")
    axes.text(0.97, 0.30, "○ □ Nash equilibrium", color="#7F7F7F", ha="right")
    logit, nash = record.mean_squared_distance, record.nash_mean_squared_distance
    distances = f"mean squared distance\n{logit:.4f} logit, {nash:.4f} Nash"
    axes.text(0.97, 0.03, distances, ha="right", va="bottom")


def _beside(
    points: Sequence[tuple[float, float]], crowd: Sequence[tuple[float, float]], away: float = 0.027
) -> list[tuple[float, float]]:
    """Places for short labels: each beside its point, where it is least crowded by points and earlier labels."""
    taken = [*points, *crowd]
    places: list[tuple[float, float]] = []
    directions = [(away * math.cos(a), away * math.sin(a)) for a in np.pi * np.array([1, 0, 0.75, 0.25, 1.25, 1.75])]
    for x, y in points:
        options = [(x + dx, y + dy) for dx, dy in directions]
        # The closest neighbour decides; what is farther than a label's width does not matter.
        room = [
            min(min(math.hypot(a - c, b - d) for c, d in taken if (c, d) != (x, y)), 1.2 * away) for a, b in options
        ]
        best = options[int(np.argmax(np.round(room, 4)))]
        places.append(best)
        taken.append(best)
    return places


PICTURES = {
    "fig3": figure_3,
    "fig4": figure_4,
    "one-step": one_step,
    "pursuit-scores": pursuit_scores,
    "grid-table": grid_table,
}


def reproduction(record: Reproduction) -> Figure:
    """Draw the picture that belongs to a reproduction."""
    if isinstance(record, LearnersTable):
        return learners(record)
    return PICTURES[record.name](record)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- branches


def branch(path: Path, state: tuple[int, ...]) -> Figure:
    """Policies at a state along the branch, one panel per agent; folds are ringed.

    A stationary branch is drawn through its folds, as the curve that it is; over a horizon there is one point per beta.
    """
    game = path[0].game
    agents = [i for i in range(game.number_of_agents) if len(_legal(game, i, state)) > 1]
    if not agents:
        raise ParameterError(f"figure: at {game.state_name(state)} nobody has a choice. Choose another state")
    with style():
        figure = new_figure(min(3.3 * len(agents) + 0.4, 10.0), 2.9)
        panels = figure.subplots(1, len(agents), sharey=True, squeeze=False)[0]
        for axes, i in zip(panels, agents, strict=True):
            draw_branch(axes, path, i, state)
            axes.set_title(game.agents[i])
        top = max(float(_curve(path, i, state)[1].max()) for i in agents)
        _probability_axis(panels[0], 1.0 if top > 0.6 else 0.6)
        for axes, i in zip(panels, agents, strict=True):
            _name_curves(axes, path, i, state)
        panels[0].set_ylabel("probability")
        where = f", at {game.state_name(state)}" if game.number_of_states > 1 else ""
        when = ", first decision" if path[0].horizon is not None else ""
        figure.suptitle(f"{game.name or 'branch'}{where}{when}", fontsize=9)
    return figure


def _probability_axis(axes: Axes, top: float) -> None:
    axes.set_ylim(-0.02 * top, 1.02 * top)
    axes.yaxis.set_major_locator(MultipleLocator(0.25 if top > 0.6 else 0.1))


def draw_branch(
    axes: Axes,
    path: Path,
    agent: int,
    state: tuple[int, ...],
    *,
    actions: Sequence[str] | None = None,
    colour: str | None = None,
) -> None:
    """Draw one agent's policy at a state along the branch.

    Parameters
    ----------
    axes
        Where to draw.
    path
        From `quantal.solve_path`.
    agent, state
        Whose policy, and where.
    actions
        Which actions; all legal ones unless given.
    colour
        Of every curve; one each unless given.
    """
    game = path[0].game
    betas, play = _curve(path, agent, state)
    axes.set_xlim(0 if min(path.betas) < 0.1 * max(path.betas) else min(path.betas), max(path.betas))
    axes.set_xlabel(r"precision $\beta$")
    for k, action in enumerate(_legal(game, agent, state)):
        if actions is not None and game.actions[agent][action] not in actions:
            continue
        ink = colour or COLOURS[k % len(COLOURS)]
        # Through folds a dashed curve cannot be followed; elsewhere dashes tell curves apart that coincide.
        dashes = "-" if path.folds else DASHES[k % 4]
        axes.plot(betas, play[:, action], color=ink, linestyle=dashes, solid_capstyle="round", clip_on=False)
        for fold in path.folds:
            p = fold.policy[agent][state][action]
            axes.plot(fold.beta, p, "o", color=ink, markerfacecolor="white", markersize=5, markeredgewidth=1.3)
    for fork in path.bifurcations:
        axes.plot(fork.beta, 0, "^", color=INK, markersize=5, clip_on=False)


def _name_curves(axes: Axes, path: Path, agent: int, state: tuple[int, ...]) -> None:
    """Write the actions' names at the right ends of the curves."""
    game = path[0].game
    betas, play = _curve(path, agent, state)
    ends = [
        (float(play[-1, action]), game.actions[agent][action], COLOURS[k % len(COLOURS)])
        for k, action in enumerate(_legal(game, agent, state))
    ]
    label_ends(axes, ends, float(betas[-1]), gap=0.07)


def _curve(path: Path, agent: int, state: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Betas and policies (points, A_i) to draw through: finely interpolated where the branch was followed."""
    top = max(path.betas)
    if not path.curve:
        order = np.argsort(path.betas, kind="stable")
        time = () if path[0].horizon is None else (0,)
        play = np.stack([path[k].policy[agent][(*time, *state)] for k in order])
        return np.array(path.betas)[order], play
    points = _all_points(path)
    betas = np.array([beta for beta, _ in points])
    play = np.stack([policy[agent][state] for _, policy in points])
    keep = np.concatenate([[True], np.abs(np.diff(betas)) > 1e-12 * top])
    betas, play = betas[keep], play[keep]
    if betas.size < 3:
        return betas, play
    steps = np.hypot(np.diff(betas) / top, np.linalg.norm(np.diff(play, axis=0), axis=1))
    length = np.concatenate([[0.0], np.cumsum(steps)])
    fine = np.unique(np.concatenate([length, np.linspace(0, length[-1], 600)]))
    # Local cubics: the curve is smooth and, unlike a spline, does not swing around folds.
    through = Akima1DInterpolator(length, np.column_stack([betas, play]), method="makima")(fine)
    return through[:, 0], through[:, 1:]


def _all_points(path: Path) -> list[tuple[float, PerAgent]]:
    """Everything known of a followed branch, in order: accepted points, folds, and what was solved at the betas."""
    runs: list[list[tuple[float, PerAgent]]] = [[path.curve[0]]]
    for point in path.curve[1:]:
        rising = len(runs) % 2 == 1
        if (point[0] > runs[-1][-1][0]) != rising and len(runs[-1]) > 1:
            runs.append([])
        runs[-1].append(point)
    if len(runs) != len(path.folds) + 1:  # a fold that no two points stand apart enough to show
        return list(path.curve)
    ends = [path.curve[0][0], *(fold.beta for fold in path.folds), path.curve[-1][0]]
    for beta, passes in zip(path.betas, path.passes, strict=True):
        crossed = [k for k in range(len(runs)) if min(ends[k : k + 2]) < beta < max(ends[k : k + 2])]
        if len(crossed) == len(passes):
            for k, solution in zip(crossed, passes, strict=True):
                runs[k].append((beta, solution.policy))
    points: list[tuple[float, PerAgent]] = []
    for k, run in enumerate(runs):
        points += sorted(run, key=lambda point: point[0], reverse=k % 2 == 1)
        points += [(fold.beta, fold.policy) for fold in path.folds[k : k + 1]]
    return points


# ---------------------------------------------------------------------- policies


def policy(solution: Solution, state: tuple[int, ...], time: int = 0) -> Figure:
    """Everyone's policy at a state: on the map where the game has one, as bars elsewhere."""
    game = solution.game
    if len(game.coordinates) == game.number_of_agents == len(game.state_shape):
        return policy_map(solution, state, time)
    return policy_bars(solution, state, time)


def policy_bars(solution: Solution, state: tuple[int, ...], time: int = 0) -> Figure:
    """Everyone's policy at a state as bars, one panel per agent."""
    game = solution.game
    with style():
        figure = new_figure(min(2.4 * game.number_of_agents + 0.5, 10.0), 2.6)
        panels = figure.subplots(1, game.number_of_agents, sharey=True, squeeze=False)[0]
        for i, axes in enumerate(panels):
            play = _play(solution, i, state, time)
            legal = _legal(game, i, state)
            names = [game.actions[i][a] for a in legal]
            bars = axes.bar(range(len(legal)), play[legal], 0.7, color=COLOURS[i % len(COLOURS)])
            axes.bar_label(bars, [f"{p:.3f}".lstrip("0") for p in play[legal]], fontsize=7, padding=2)
            axes.set_xticks(range(len(legal)), names, rotation=90 if len(legal) > 6 else 0)
            axes.tick_params(axis="x", length=0)
            axes.set_title(game.agents[i])
        panels[0].set_ylim(0, 1.05)
        panels[0].set_ylabel("probability")
        if game.number_of_states > 1:
            figure.suptitle(_where(solution, state, time), fontsize=9)
    return figure


def policy_map(solution: Solution, state: tuple[int, ...], time: int = 0) -> Figure:
    """Everyone's policy at a state on the map: arrows as wide as moves are probable, rings for staying.

    Raises
    ------
    ParameterError
        If the game has no coordinates for every agent.
    """
    game = solution.game
    if len(game.coordinates) != game.number_of_agents or len(game.state_shape) != game.number_of_agents:
        raise ParameterError(f"{game.name or 'this game'} has no map: its agents have no coordinates")
    with style():
        places = np.concatenate(game.coordinates)
        width, height = np.ptp(places, axis=0) + 2 * MARGIN
        scale = min(1.25, 7.0 / width, 7.0 / height)
        figure = new_figure(max(2.6, scale * width), scale * height + 0.4)
        axes = figure.subplots()
        draw_map(axes, solution, state, time)
        figure.suptitle(_where(solution, state, time), fontsize=8.5)
    return figure


def draw_map(axes: Axes, solution: Solution, state: tuple[int, ...], time: int = 0) -> None:
    """Draw the map, the agents at a state, and their policies there."""
    game = solution.game
    _draw_paths(axes, game, state)
    here = [game.coordinates[i][state[i]] for i in range(game.number_of_agents)]
    for i in range(game.number_of_agents):
        # Agents on one cell stand around its centre.
        together = [j for j, place in enumerate(here) if np.array_equal(place, here[i])]
        turn = math.pi / 4 + 2 * math.pi * together.index(i) / len(together)
        shift = 0.0 if len(together) == 1 else 0.16
        centre = here[i] + shift * np.array([math.cos(turn), -math.sin(turn)])
        _draw_agent(axes, solution, i, state, time, centre, 0.14 if len(together) == 1 else 0.10)
    places = np.concatenate(game.coordinates)
    (left, top), (right, bottom) = places.min(axis=0), places.max(axis=0)
    axes.set_xlim(left - MARGIN, right + MARGIN)
    axes.set_ylim(bottom + MARGIN, top - MARGIN)
    axes.set_aspect("equal")
    axes.set_axis_off()


def _draw_agent(
    axes: Axes, solution: Solution, i: int, state: tuple[int, ...], time: int, centre: np.ndarray, radius: float
) -> None:
    game = solution.game
    colour, name = COLOURS[i % len(COLOURS)], game.agents[i]
    play = _play(solution, i, state, time)
    own = game.coordinates[i][state[i]]
    outward = np.sign(centre - own) if np.any(centre != own) else np.ones(2)
    outward = np.where(outward == 0, 1.0, outward) * math.sqrt(0.5)
    for action in _legal(game, i, state):
        p = float(play[action])
        step = game.coordinates[i][_successor(game, i, state, action, solution, time)] - own
        length = float(np.hypot(step[0], step[1]))
        if length == 0:
            spot = (centre[0], centre[1])
            axes.add_patch(Circle(spot, radius + 0.045, fill=False, color=colour, linewidth=7 * p, alpha=0.55))
            _write(axes, centre + (radius + 0.12) * outward + 0.04 * np.sign(outward) * (1, 0), p, colour)
            continue
        unit = step / length
        # Keep to the right, as in traffic: arrows towards one another do not meet.
        side = np.array([-unit[1], unit[0]])
        lane = centre + 0.055 * side
        begin, end = lane + (radius - 0.02) * unit, lane + max(0.62, length - 0.38) * unit
        axes.add_patch(
            FancyArrowPatch(
                (begin[0], begin[1]),
                (end[0], end[1]),
                arrowstyle=f"simple,tail_width={0.5 + 10 * p},head_width={3 + 15 * p},head_length={3 + 8 * p}",
                shrinkA=0,
                shrinkB=0,
                color=colour,
                linewidth=0,
                zorder=2,
            )
        )
        width = 0.13 if abs(side[0]) > abs(side[1]) else 0.09
        _write(axes, lane + 0.5 * unit + (width + 0.05 * p) * side, p, colour)
    axes.add_patch(Circle((centre[0], centre[1]), radius, color=colour, linewidth=0, zorder=3))
    axes.text(
        centre[0],
        centre[1],
        name if len(name) <= 3 else name[0].upper(),
        color="white",
        fontsize=50 * radius + 1,
        fontweight="bold",
        ha="center",
        va="center_baseline",
        zorder=4,
    )


def _write(axes: Axes, place: np.ndarray, p: float, colour: str) -> None:
    axes.text(
        place[0], place[1], f"{p:.2f}".lstrip("0"), color=colour, fontsize=7.5, ha="center", va="center", zorder=5
    )


def _draw_paths(axes: Axes, game: MarkovGame, state: tuple[int, ...]) -> None:
    """Cells as dots, joined where someone can go from one to the other; free ones with short names say them."""
    drawn: set[tuple[tuple[float, float], tuple[float, float]]] = set()
    for i, places in enumerate(game.coordinates):
        for a, b in _moves(game, i):
            ends = sorted([tuple(map(float, places[a])), tuple(map(float, places[b]))])
            drawn.add((ends[0], ends[1]))  # type: ignore[arg-type]
    for (x0, y0), (x1, y1) in sorted(drawn):
        axes.plot([x0, x1], [y0, y1], color="#E3E3E3", linewidth=2.2, zorder=0, solid_capstyle="round")
    spots = np.unique(np.concatenate(game.coordinates), axis=0)
    axes.plot(spots[:, 0], spots[:, 1], "o", color="#D0D0D0", markersize=5, zorder=0.5)
    names = {tuple(xy): name for xys, axis in zip(game.coordinates, game.state_labels, strict=True)
             for xy, name in zip(xys.tolist(), axis, strict=True)}  # fmt: skip
    busy = {tuple(game.coordinates[i][state[i]].tolist()) for i in range(game.number_of_agents)}
    for (x, y), name in names.items():
        if len(name) <= 2 and (x, y) not in busy:
            axes.text(x - 0.06, y - 0.06, name, color="#9A9A9A", fontsize=6.5, ha="right", va="bottom", zorder=0.5)


def _moves(game: MarkovGame, i: int) -> Iterator[tuple[int, int]]:
    """Pairs of cells between which agent i can move."""
    if isinstance(game.dynamics, Independent):
        successors, chances = game.dynamics.successors[i], game.dynamics.probabilities[i]
        own = np.arange(successors.shape[0])[:, None, None]
        for a, _, b in np.argwhere((successors != own) & (chances > 0)):
            action, branch = _, b
            yield int(a), int(successors[a, action, branch])
        return
    states = np.indices(game.state_shape)[i].reshape(game.state_shape + (1,) * (game.number_of_agents + 1))
    there = np.unravel_index(game.dynamics.successors, game.state_shape)[i]
    moved = (there != states) & (game.dynamics.probabilities > 0)
    pairs = np.stack([np.broadcast_to(states, there.shape)[moved], there[moved]], axis=1)
    for a, b in np.unique(pairs, axis=0):
        yield int(a), int(b)


def _successor(game: MarkovGame, i: int, state: tuple[int, ...], action: int, solution: Solution, time: int) -> int:
    """Where an action most probably leads agent i, if it leads away with at least a chance in twenty."""
    chances = np.zeros(game.state_shape[i])
    if isinstance(game.dynamics, Independent):
        successors, weights = (t[i][state[i], action] for t in (game.dynamics.successors, game.dynamics.probabilities))
        np.add.at(chances, successors, weights)
    else:
        weights = game.dynamics.probabilities[state]
        cells = np.unravel_index(game.dynamics.successors[state], game.state_shape)[i]
        for j in range(game.number_of_agents):
            play = np.eye(game.action_counts[i])[action] if j == i else _play(solution, j, state, time)
            weights = weights * play.reshape((-1,) + (1,) * (weights.ndim - j - 1))
        np.add.at(chances, cells.reshape(-1), weights.reshape(-1))
    away = chances.copy()
    away[state[i]] = 0.0
    return int(away.argmax()) if away.max() >= 0.05 else state[i]


def _play(solution: Solution, i: int, state: tuple[int, ...], time: int) -> np.ndarray:
    return solution.policy[i][state] if solution.horizon is None else solution.policy[i][(time, *state)]


def _legal(game: MarkovGame, i: int, state: tuple[int, ...]) -> list[int]:
    return np.flatnonzero(np.broadcast_to(game.legal[i], (*game.state_shape, game.action_counts[i]))[state]).tolist()


def _where(solution: Solution, state: tuple[int, ...], time: int) -> str:
    when = "" if solution.horizon is None else f", time {time} (T = {solution.horizon})"
    return f"{solution.game.name or 'policies'}\nat {solution.game.state_name(state)}{when}"


# ---------------------------------------------------------------------- learners


def learners(record: LearnersTable) -> Figure:
    """Outcomes of every seed in game II, and NSCP's hunts, beside the paper's."""
    with style():
        figure = new_figure(7.2, 2.9)
        left, right = figure.subplots(1, 2)
        names = [method for method, game in record.outcomes if game == "II"]
        for height, method in enumerate(names):
            played = record.outcomes[method, "II"]
            for pair in sorted(set(played)):
                size = 4 + 8 * played.count(pair) / len(played)
                for marker, score in zip("o^", pair, strict=True):
                    left.plot(
                        max(score, -1.0), height, marker, color=BLUE, markersize=size, alpha=0.7, fillstyle="none"
                    )
        left.set_yticks(range(len(names)), names)
        left.set_ylim(len(names) - 0.5, -0.5)
        left.set_xlim(-1.2, 2.3)
        left.tick_params(axis="y", length=0)
        left.set_xlabel("score of A (disc) and B (triangle); less than -1: drawn at -1")
        left.set_title("Game II: larger where more seeds agree")
        for k, found in enumerate(record.hunts.values()):
            right.plot(np.full(len(found), k), found, "o", color=BLUE, fillstyle="none", markersize=5)
            right.plot([k - 0.15, k + 0.15], [np.mean(found)] * 2, color=VERMILION)
        right.axhline(2.1, color=INK, linewidth=1)
        right.text(-0.45, 2.13, "paper 2.1", va="bottom")
        right.set_xticks(range(len(record.hunts)), [f"{prey} prey" for prey in record.hunts])
        right.set_xlim(-0.5, len(record.hunts) - 0.5)
        right.set_ylim(bottom=0)
        right.set_ylabel("hunts per game")
        right.set_title("NSCP-style (reconstructed), a circle per seed")
    return figure


def contest(record: Contest) -> Figure:
    """Learning curves of every method, and its scores with 95% intervals."""
    with style():
        agents = record.game.agents
        height = 1.4 + 0.32 * len(record.contestants) + 0.6
        figure = new_figure(7.2, max(2.9, height))
        left, right = figure.subplots(1, 2)
        for k, row in enumerate(record.contestants):
            colour, dash = COLOURS[k % len(COLOURS)], DASHES[k // len(COLOURS) % len(DASHES)]
            curves = np.stack([run.curve.sum(axis=1) for run in row.runs if len(run.curve) == len(row.runs[0].curve)])
            steps = row.runs[0].curve_steps
            left.plot(steps, curves.mean(axis=0), color=colour, linestyle=dash, label=row.method)
            if len(curves) > 1:
                half = 1.96 * curves.std(axis=0, ddof=1) / np.sqrt(len(curves))
                mean = curves.mean(axis=0)
                left.fill_between(steps, mean - half, mean + half, color=colour, alpha=0.15, linewidth=0)
            for i, agent in enumerate(agents):
                score = row.scores[agent]
                place = k + (i - (len(agents) - 1) / 2) * 0.22
                right.plot([score.low, score.high], [place, place], color=colour)
                marker = "os^Dv"[i % 5]
                right.plot(score.mean, place, marker, color=colour, markersize=5, fillstyle="none" if i else "full")
        left.set_xlabel("steps")
        left.set_ylabel("value of the start, summed over agents")
        left.set_title("What is thought to be had")
        left.legend(loc="best")
        right.set_yticks(range(len(record.contestants)), [row.method for row in record.contestants])
        right.set_ylim(len(record.contestants) - 0.5, -0.5)
        right.tick_params(axis="y", length=0)
        right.set_xlabel(f"expected score over {record.steps} decisions: {', '.join(agents)} downwards")
        right.set_title("What is had")
    return figure
