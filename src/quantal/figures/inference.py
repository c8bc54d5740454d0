"""Pictures of what was inferred: estimates with their intervals, and beliefs about goals over time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.figure import Figure

from quantal.figures.style import BLUE, COLOURS, Place, label_ends, sheet, style

MARKS = ("o", "s", "^", "D", "v", "P")


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


def fit(points: Sequence[tuple[str, float, float, float]], what: str = "choices", ax: Place | None = None) -> Figure:
    """Draw observed against predicted frequencies.

    Parameters
    ----------
    points
        (group, observed, predicted, number of choices) each; groups are told apart by colour and mark, and marks
        grow with the number of choices.
    what
        What the frequencies are of.
    ax
        Where to draw; a new figure unless given.
    """
    groups = list(dict.fromkeys(group for group, _, _, _ in points))
    most = max(n for _, _, _, n in points)
    with style():
        drawn = sheet(ax, 1, 4.6, 4.6)
        (axes,) = drawn.panels
        axes.plot([0, 1], [0, 1], color="0.8", lw=0.8, zorder=0)
        for k, group in enumerate(groups):
            mine = [(predicted, observed, n) for name, observed, predicted, n in points if name == group]
            x, y, n = zip(*mine, strict=True)
            sizes = [6 + 40 * count / most for count in n]
            mark = MARKS[k % len(MARKS)]
            axes.scatter(x, y, s=sizes, color=COLOURS[k % len(COLOURS)], marker=mark, alpha=0.8, lw=0, label=group)
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_aspect("equal")
        axes.set_xlabel(f"predicted share of {what}")
        axes.set_ylabel(f"observed share of {what}")
        if len(groups) > 1:
            axes.legend(frameon=False, loc="upper left")
    return drawn.figure
