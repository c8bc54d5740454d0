"""Pictures of what was inferred: estimates with their intervals, and beliefs about goals over time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from quantal.figures.style import BLUE, COLOURS, Place, label_ends, sheet, style

MARKS = ("o", "s", "^", "D", "v", "P")
SEPARATE = 200
"""Up to so many frequencies are drawn one by one."""
FALL = 1.920729
"""Of the log-likelihood, to the ends of a 95% interval."""
NORMAL = 1.959964
"""Half the width of a 95% interval, in standard errors."""


@runtime_checkable
class Profile(Protocol):
    """A profile likelihood, as `quantal.infer.Estimate.profile` makes it."""

    @property
    def name(self) -> str:
        """Of the parameter."""
        ...

    @property
    def at(self) -> Sequence[float] | np.ndarray:
        """Its values."""
        ...

    @property
    def log_likelihood(self) -> Sequence[float] | np.ndarray:
        """The largest at each."""
        ...

    @property
    def interval(self) -> tuple[float, float]:
        """Of 95%."""
        ...


def estimates(rows: Sequence[tuple[str, float, float, float, float]], what: str, ax: Place | None = None) -> Figure:
    """Draw estimates (name, estimate, standard error, and the ends of a 95% interval) as dots with intervals.

    In `ax`, or a new figure.
    """
    with style():
        drawn = sheet(ax, 1, 6.0, 1.1 + 0.32 * len(rows))
        (axes,) = drawn.panels
        for height, (_, estimate, error, low, high) in enumerate(reversed(rows)):
            if math.isfinite(error):
                axes.plot([low, high], [height, height], color=BLUE, lw=2)
            axes.plot(estimate, height, "o", color=BLUE)
        axes.axvline(0.0, color="0.8", lw=0.8, zorder=0)
        axes.set_yticks(range(len(rows)), [row[0] for row in reversed(rows)])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlabel(f"estimated {what}, with 95% interval")
    return drawn.figure


def beliefs(odds: Sequence[dict[str, dict[str, float]]], ax: Place | None = None) -> Figure:
    """Draw the probability of every agent's candidates over the decisions that were seen, a panel for each agent.

    In `ax`, or a new figure.
    """
    agents = list(odds[0])
    with style():
        drawn = sheet(ax, 1, 6.0, 0.6 + 2.0 * len(agents), rows=len(agents), sharex=True)
        panels = drawn.panels
        times = range(len(odds))
        for axes, agent in zip(panels, agents, strict=True):
            ends: list[tuple[float, str, str]] = []
            for k, name in enumerate(odds[0][agent]):
                colour = COLOURS[k % len(COLOURS)]
                line = [now[agent][name] for now in odds]
                axes.plot(times, line, color=colour, marker="o", ms=3)
                ends.append((line[-1], name, colour))
            axes.set_ylim(-0.03, 1.03)
            axes.set_ylabel(f"goal of {agent}")
            label_ends(axes, ends, float(len(odds) - 1))
        panels[-1].set_xlabel("decisions seen")
    return drawn.figure


Point = tuple[str, float, float, float]
"""(group, observed, predicted, number of choices)."""


def fit(points: Sequence[Point], what: str = "choices", ax: Place | None = None) -> Figure:
    """Draw observed against predicted frequencies.

    Parameters
    ----------
    points
        (group, observed, predicted, number of choices) each; groups are told apart by colour and mark, and marks
        grow with the number of choices. More than `SEPARATE` of them are averaged where predictions are alike, with
        95% intervals.
    what
        What the frequencies are of.
    ax
        Where to draw; a new figure unless given.
    """
    with style():
        drawn = sheet(ax, 1, 4.6, 4.6)
        _draw_fit(drawn.panels[0], points, what)
    return drawn.figure


def precision(profiles: Sequence[Profile], points: Sequence[Point], ax: Place | None = None) -> Figure:
    """Draw how the log-likelihood falls off beside every precision, and observed against predicted frequencies.

    Parameters
    ----------
    profiles
        Of every precision that was estimated.
    points
        As for `fit`.
    ax
        Where to draw; a new figure unless given.
    """
    with style():
        drawn = sheet(ax, 2, 7.4, 3.7)
        left, right = drawn.panels
        for k, profile in enumerate(profiles):
            colour = COLOURS[k % len(COLOURS)]
            fall = [x - max(profile.log_likelihood) for x in profile.log_likelihood]
            left.plot(profile.at, fall, color=colour, label=profile.name)
            left.plot(
                [min(max(end, profile.at[0]), profile.at[-1]) for end in profile.interval],
                [-FALL, -FALL],
                color=colour,
                lw=3,
                solid_capstyle="butt",
            )
        left.axhline(-FALL, color="0.8", lw=0.8, zorder=0)
        left.annotate("95%", (1.0, -FALL), xycoords=("axes fraction", "data"), va="bottom", ha="right", color="0.4")
        left.set_ylim(min(-5.0, -1.5 * FALL), 0.3)
        left.set_xlabel(profiles[0].name if len(profiles) == 1 else "precision")
        left.set_ylabel("log-likelihood, from its maximum")
        if len(profiles) > 1:
            left.legend(frameon=False, loc="best")
        _draw_fit(right, points, "choices")
    return drawn.figure


def _draw_fit(axes: Axes, points: Sequence[Point], what: str) -> None:
    groups = list(dict.fromkeys(group for group, _, _, _ in points))
    most = max(n for _, _, _, n in points)
    axes.plot([0, 1], [0, 1], color="0.8", lw=0.8, zorder=0)
    for k, group in enumerate(groups):
        mine = [(predicted, observed, n) for name, observed, predicted, n in points if name == group]
        colour, mark = COLOURS[k % len(COLOURS)], MARKS[k % len(MARKS)]
        if len(points) > SEPARATE:
            x, y, half = _averaged(mine)
            axes.errorbar(x, y, half, fmt=mark, color=colour, ms=4, lw=1, label=group)
            continue
        x, y, n = zip(*mine, strict=True)
        sizes = [6 + 40 * count / most for count in n]
        axes.scatter(x, y, s=sizes, color=colour, marker=mark, alpha=0.8, lw=0, label=group)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    axes.set_xlabel(f"predicted share of {what}")
    axes.set_ylabel(f"observed share of {what}")
    if len(groups) > 1:
        axes.legend(frameon=False, loc="upper left")


def _averaged(points: Sequence[tuple[float, float, float]]) -> tuple[list[float], list[float], list[float]]:
    """Average (predicted, observed, choices) in up to ten groups of alike predictions, each with as many choices."""
    ordered = sorted(points)
    total, seen = sum(n for _, _, n in ordered), 0.0
    boxes: dict[int, list[tuple[float, float, float]]] = {}
    for point in ordered:
        # By the middle of its own choices, so that one with very many stands alone.
        boxes.setdefault(int(10 * (seen + point[2] / 2) / total), []).append(point)
        seen += point[2]
    x, y, half = [], [], []
    for box in boxes.values():
        n = sum(count for _, _, count in box)
        x.append(sum(p * count for p, _, count in box) / n)
        y.append(sum(q * count for _, q, count in box) / n)
        half.append(NORMAL * math.sqrt(max(x[-1] * (1 - x[-1]), 0.0) / n))
    return x, y, half
