"""Pictures of learners: the paper's table, and contests over many seeds."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from quantal.baselines.comparison import Contest
from quantal.experiments.learning import LearnersTable
from quantal.figures.style import BLUE, COLOURS, DASHES, INK, VERMILION, Place, sheet, style

MARKERS = "os^Dv"
"""Per agent."""
DWARFED = 15.0
"""A scale that holds scores so many times larger than the usual ones hides these."""

# ---------------------------------------------------------------------- learners


def learners(record: LearnersTable, ax: Place | None = None) -> Figure:
    """Outcomes of every seed in game II, and NSCP's hunts, beside the paper's; in `ax`, or a new figure."""
    with style():
        drawn = sheet(ax, 2, 7.2, 2.9)
        left, right = drawn.panels
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
    return drawn.figure


def contest(record: Contest, ax: Place | None = None) -> Figure:
    """Learning curves of every method, and its scores with 95% intervals; in `ax`, or a new figure."""
    with style():
        agents = record.game.agents
        height = 1.4 + 0.32 * len(record.contestants) + 0.6
        drawn = sheet(ax, 2, 7.2, max(2.9, height))
        left, right = drawn.panels
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
                right.plot(
                    score.mean,
                    place,
                    MARKERS[i % 5],
                    color=colour,
                    markersize=5,
                    markerfacecolor="white" if i else colour,
                )
        left.set_xlabel("steps")
        left.set_ylabel("value of the start, summed over agents")
        left.set_title("What is thought to be had")
        left.legend(loc="best")
        right.set_yticks(range(len(record.contestants)), [row.method for row in record.contestants])
        right.set_ylim(len(record.contestants) - 0.5, -0.5)
        right.tick_params(axis="y", length=0)
        for i, agent in enumerate(agents):
            right.plot(
                [], [], MARKERS[i % 5], color=INK, markersize=5, label=agent, markerfacecolor="white" if i else INK
            )
        right.legend(loc="best")
        seeds = max(len(row.runs) for row in record.contestants)
        edge = _show_apart(right, [score.mean for row in record.contestants for score in row.scores.values()])
        notes = [f"95% intervals of {seeds} seeds"] * (seeds > 1) + [f"logarithmic beyond {edge:g}"] * (edge > 0)
        right.set_xlabel("\n".join([f"expected score, {record.steps} decisions", *["; ".join(notes)] * bool(notes)]))
        right.set_title("What is had")
    return drawn.figure


def _show_apart(ax: Axes, scores: list[float]) -> float:
    """Where one method's scores dwarf the others', show those beyond an edge on a logarithmic scale; 0 for no edge."""
    sizes = np.abs(scores)
    usual = float(np.median(sizes))
    if usual == 0 or sizes.max() < DWARFED * usual:
        return 0.0
    edge = float(f"{2 * usual:.0e}")
    ax.set_xscale("symlog", linthresh=edge)
    steps = int(np.ceil(np.log10(sizes.max() / edge)))
    ends = [edge * 10.0**k for k in range(steps + 1)]
    low, high = min(0.0, *scores), max(0.0, *scores)
    ticks = [-e for e in reversed(ends) if -e >= 10 * low] * (low < 0) + [0.0] + [e for e in ends if e <= 10 * high]
    ax.set_xticks(ticks, [f"{t:g}".replace("-", "−") for t in ticks])
    ax.minorticks_off()
    ax.set_xlim(1.7 * low if low < -edge else min(-0.1 * edge, 1.2 * low), 1.7 * high if high > edge else 1.1 * edge)
    return edge
