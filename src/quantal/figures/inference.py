"""Pictures of what was inferred: estimates with their intervals, and beliefs about goals over time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.figure import Figure

from quantal.figures.style import BLUE, COLOURS, label_ends, new_figure, style

NORMAL = 1.959964
"""Half the width of a 95% interval, in standard errors."""


def estimates(rows: Sequence[tuple[str, float, float]], what: str) -> Figure:
    """Draw estimates (name, estimate, standard error) as dots with their 95% intervals."""
    with style():
        figure = new_figure(6.0, 1.1 + 0.32 * len(rows))
        axes = figure.subplots()
        for height, (_, estimate, error) in enumerate(reversed(rows)):
            if math.isfinite(error):
                axes.plot([estimate - NORMAL * error, estimate + NORMAL * error], [height, height], color=BLUE, lw=2)
            axes.plot(estimate, height, "o", color=BLUE)
        axes.axvline(0.0, color="0.8", lw=0.8, zorder=0)
        axes.set_yticks(range(len(rows)), [name for name, _, _ in reversed(rows)])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        axes.set_xlabel(f"estimated {what}, with 95% interval")
    return figure


def beliefs(odds: Sequence[dict[str, dict[str, float]]]) -> Figure:
    """Draw the probability of every agent's candidates over the decisions that were seen, a panel for each agent."""
    agents = list(odds[0])
    with style():
        figure = new_figure(6.0, 0.6 + 2.0 * len(agents))
        panels = figure.subplots(len(agents), 1, squeeze=False, sharex=True)[:, 0]
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
    return figure
