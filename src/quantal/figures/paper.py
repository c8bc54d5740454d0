"""Pictures of the paper's experiments, ours beside theirs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, MultipleLocator

from quantal.experiments.driving import DrivingScene
from quantal.experiments.grid import GridTable
from quantal.experiments.published import PublishedGames
from quantal.experiments.pursuit import PAPER_HUNTS, Figure3, Figure4, OneStep, PursuitScores
from quantal.experiments.records import Comparison, Reproduction
from quantal.figures.crowds import occupancy
from quantal.figures.learning import learners
from quantal.figures.policies import policy_map
from quantal.figures.style import BLUE, COLOURS, DASHES, FAINT, INK, ORANGE, VERMILION, Place, sheet, style
from quantal.figures.theorems import causal_entropy, online_inference, rabbit_hole, theorems

# ---------------------------------------------------------------------- the paper's figures


def figure_3(record: Figure3, ax: Place | None = None) -> Figure:
    """Error of the damped iteration against sweeps, one panel per stage in the order in which they are solved.

    In `ax`, or a new figure.
    """
    with style():
        times = sorted({t.time for t in record.traces}, reverse=True)
        drawn = sheet(ax, len(times), 7.2, 2.9, sharey=True)
        panels = drawn.panels
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
    return drawn.figure


def figure_4(record: Figure4, ax: Place | None = None) -> Figure:
    """First-move policies beside the printed ones, one panel per agent and start; in `ax`, or a new figure."""
    with style():
        rows = [row for row in record.comparisons if not row.misprint]
        names = list(dict.fromkeys(row.what for row in rows))
        widths = [next(float(len(row.labels)) for row in rows if row.what == name) for name in names]
        drawn = sheet(ax, len(names), 7.2, 3.9, sharey=True, ratios=widths)
        panels = drawn.panels
        for axes, name in zip(panels, names, strict=True):
            mine = {row.value: row for row in rows if row.what == name}
            labels = mine["greedy"].labels
            series: tuple[tuple[str, list[float], dict[str, Any]], ...] = (
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
        handles, _ = panels[0].get_legend_handles_labels()
        drawn.key(handles, columns=3)
    return drawn.figure


def one_step(record: OneStep, ax: Place | None = None) -> Figure:
    """Everyone's only move on the map; in `ax`, or a new figure."""
    game = record.solution.game
    return policy_map(record.solution, tuple(int(k) for k in np.argwhere(np.asarray(game.start) > 0)[0]), ax=ax)


def pursuit_scores(record: PursuitScores, ax: Place | None = None) -> Figure:
    """How averages over ten games scatter, and where the paper's lies; in `ax`, or a new figure."""
    with style():
        drawn = sheet(ax, len(record.samples), 7.2, 2.7, sharey=True)
        panels = drawn.panels
        most = max(float(sample.averages.max()) for sample in record.samples)
        least = min(float(sample.averages.min()) for sample in record.samples)
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
            axes.set_xlim(least - width, most + width)
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
    return drawn.figure


def grid_table(record: GridTable, ax: Place | None = None) -> Figure:
    """Scores in grid game I by its rules, and in game II by its horizon, beside the paper's.

    In `ax`, or a new figure.
    """
    with style():
        drawn = sheet(ax, 2, 7.2, 2.9)
        left, right = drawn.panels
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
    return drawn.figure


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


def published(record: PublishedGames, ax: Place | None = None) -> Figure:
    """Observed against predicted frequencies, each point with the number of its game; in `ax`, or a new figure."""
    with style():
        drawn = sheet(ax, 1, 4.2, 4.2)
        draw_published(drawn.panels[0], record)
    return drawn.figure


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


def parted(record: Figure3, ax: Place | None = None) -> Figure:
    """Joint states at which the dampings end apart, one square map (h1 across, h2 down) per node of the prey.

    In `ax`, or a new figure.
    """
    with style():
        apart = np.where(record.parted, record.apart, 0.0)
        times = [t for t in range(apart.shape[0]) if record.parted[t].any()] or [0]
        nodes = apart.shape[3]
        drawn = sheet(ax, nodes, 7.2, 0.85 * len(times) + 0.6, rows=len(times))
        panels = np.array(drawn.panels, dtype=object).reshape(len(times), nodes)
        for row, time in zip(panels, times, strict=True):
            for prey, axes in enumerate(row):
                axes.set_aspect("equal")
                axes.set_xlim(-0.5, nodes - 0.5)
                axes.set_ylim(nodes - 0.5, -0.5)
                axes.set_xticks([])
                axes.set_yticks([])
                for spine in axes.spines.values():
                    spine.set_visible(True)
                for h1, h2 in np.argwhere(record.parted[time, :, :, prey]):
                    share = float(apart[time, h1, h2, prey])
                    axes.add_patch(
                        Rectangle((h1 - 0.5, h2 - 0.5), 1, 1, linewidth=0, color=BLUE if share >= 0.1 else "#9CC3DD")
                    )
                if time == times[0]:
                    axes.set_title(f"p = {prey}", fontsize=7.5, loc="center", pad=3)
            row[0].set_ylabel(rf"$\tau$ = {time}" + "\nh2 down", fontsize=7.5)
        panels[-1][nodes // 2].set_xlabel("h1 across: nodes 0 to 8 from the left; h2: 0 to 8 from the top", fontsize=8)
        keys = [
            Rectangle((0, 0), 1, 1, color=BLUE, label="a probability differs by 0.1 or more"),
            Rectangle((0, 0), 1, 1, color="#9CC3DD", label="by less (but 0.0005 or more)"),
        ]
        drawn.key(keys, columns=2)
    return drawn.figure


def driving(record: DrivingScene, ax: Place | None = None) -> Figure:
    """Where everyone is, step by step; in `ax`, or a new figure."""
    return occupancy(record.journeys, ax=ax)


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure of a reproduction: the name of its file, and what it shows, with units."""

    name: str
    figure: Figure
    caption: str


_DRAWN: dict[str, tuple[tuple[str, Callable[[Any, Place | None], Figure], str], ...]] = {
    "theorems": (
        (
            "theorems",
            theorems,
            "What a sweep leaves of the error (undamped residual, a ratio) against the size of the game, in units of "
            "the printed condition. Below 1 the error shrinks. Shaded: inside the condition, where the theorem "
            "promises at most the dashed line. Discs are filled where all games of that size converge.",
        ),
    ),
    "pursuit-scores": (
        (
            "pursuit-scores",
            pursuit_scores,
            "Hunts per game, averaged over ten games of sampled play, in 10,000 such samples. Dashed: the exact "
            "expectation. Dark bars: averages at least as large as the paper's.",
        ),
    ),
    "fig3": (
        (
            "fig3",
            figure_3,
            "Largest error |Q - T(Q)| (reward units, undamped) against sweeps of the damped iteration (14), for four "
            "dampings and the three stages of T = 3, in the order in which they are solved. Both axes are logarithmic.",
        ),
        (
            "fig3-states",
            parted,
            "Where starts matter: joint states at which the four dampings, run on to an error of 1e-12 from one start, "
            "end at different policies. Nodes are numbered row by row, 0 at the top left.",
        ),
    ),
    "fig4": (
        (
            "fig4",
            figure_4,
            "First-move probabilities of a hunter and the prey at the two starts of Figure 4, as printed and under two "
            "value rules.",
        ),
    ),
    "one-step": (
        (
            "one-step",
            one_step,
            "Everyone's only move (T = 1): the longer an arrow, or the larger a ring, the more probable the move or "
            "staying.",
        ),
    ),
    "rabbit-hole": (
        (
            "rabbit-hole",
            rabbit_hole,
            "Left: probability that the rabbit, before the entrance, enters, by how far the fox is from it; bars span "
            "the places of the fox at that distance. Right: averages of ten rounds (reward units), 4,000 samples.",
        ),
    ),
    "grid-table": (
        (
            "grid-table",
            grid_table,
            "MGE's scores (reward units). Left: grid game I by map and rules of collision. Right: grid game II against "
            "the horizon; the grey band is the standard error of an average over 1000 plays.",
        ),
    ),
    "learners": (
        (
            "learners",
            learners,
            "Learners, one run per seed. Left: scores in grid game II (reward units). Right: hunts per game of "
            "NSCP-style learners in the two-player pursuit; the bar is their mean.",
        ),
    ),
    "driving": (
        (
            "driving",
            driving,
            "Where everyone is at each step tau: a disc is as large as it is probable that the agent is there. "
            "Rings are goals.",
        ),
    ),
    "theorem-4": (
        (
            "theorem-4",
            causal_entropy,
            "Left: causal entropy of Theorem 4's play and of the play that solves problem (13), with the same expected "
            "features. Right: slope of the dual function at theta = 0, measured and as Theorem 5 prints it.",
        ),
    ),
    "online-inference": (
        (
            "online-inference",
            online_inference,
            "Agent 1's estimate of agent 2's weight (reward per unit of feature) while it watches sampled play.",
        ),
    ),
}


def pictures(record: Reproduction) -> tuple[Picture, ...]:
    """Draw all pictures that belong to a reproduction, with their captions."""
    return tuple(Picture(name, draw(record, None), caption) for name, draw, caption in _DRAWN[record.name])


def reproduction(record: Reproduction, ax: Place | None = None) -> Figure:
    """Draw the picture that belongs to a reproduction (the first, where there are two); in `ax`, or a new figure."""
    _, draw, _ = _DRAWN[record.name][0]
    return draw(record, ax)
