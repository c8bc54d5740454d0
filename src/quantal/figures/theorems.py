"""Pictures of what is proved beside what is measured: Theorems 1 to 5 and Algorithm 4, and of the rabbit-hole game."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from quantal.experiments.inference import CausalEntropy, OnlineInference
from quantal.experiments.rabbit_hole import PAPER_RABBIT, RabbitHole
from quantal.experiments.theorems import Theorems
from quantal.figures.style import BLUE, DASHES, INK, ORANGE, VERMILION, Place, sheet, style

INSIDE = "#EEF3F7"


def theorems(record: Theorems, ax: Place | None = None) -> Figure:
    """Promised and measured factors against the size of the game, one panel a theorem; in `ax`, or a new figure."""
    with style():
        drawn = sheet(ax, len(record.measured), 7.2, 2.9)
        panels = drawn.panels
        quantities = {1: "size of rewards", 2: "size of rewards", 3: r"size of every $\mu$"}
        for axes, m in zip(panels, record.measured, strict=True):
            scales, factors = np.array(m.scales), np.array(m.factors)
            axes.axvspan(0.6 * scales[0], 1, color=INSIDE, linewidth=0, zorder=0)
            axes.axhline(1, color=INK, linewidth=0.8)
            axes.loglog(scales, m.printed, color=VERMILION, linestyle=DASHES[1], label="promised, as printed")
            axes.loglog(scales, m.tight, color=ORANGE, linestyle=DASHES[2], label="promised, tight constant")
            axes.loglog(scales, factors, color=BLUE, label="measured")
            every = np.array(m.converged) == m.games
            axes.loglog(scales[every], factors[every], "o", color=BLUE, markersize=4.5, label="all games converge")
            axes.loglog(
                scales[~every],
                factors[~every],
                "o",
                color=BLUE,
                markersize=4.5,
                markerfacecolor="white",
                label="not all do",
            )
            axes.set_title(f"Theorem {m.theorem}")
            axes.set_xlim(0.6 * scales[0], 1.6 * scales[-1])
            axes.set_ylim(0.4 * factors.min(), 40)
            axes.set_xlabel(f"{quantities[m.theorem]}\n(1: the printed condition)")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.minorticks_off()
            axes.text(0.97, 40 * 0.8, "inside", ha="right", va="top", fontsize=7.5)
        panels[0].set_ylabel("error after a sweep / before it")
        handles, _ = panels[-1].get_legend_handles_labels()
        drawn.key(handles, columns=5, handlelength=2.2, columnspacing=1.2)
    return drawn.figure


def rabbit_hole(record: RabbitHole, ax: Place | None = None) -> Figure:
    """How the rabbit enters by the fox's distance, and how averages of ten rounds scatter; in `ax`, or a new figure."""
    with style():
        drawn = sheet(ax, 2, 7.2, 2.8)
        left, right = drawn.panels
        for entry in record.entering:
            x = entry.distance
            left.plot([x, x], [entry.least, entry.largest], color=BLUE, linewidth=2.2, solid_capstyle="round")
            filled = entry.preferred == 1
            left.plot(
                x,
                (entry.least + entry.largest) / 2,
                "o",
                color=BLUE,
                markersize=6,
                markerfacecolor=BLUE if filled else "white",
            )
        left.set_ylim(0, 0.5)
        left.set_xlabel("steps from the fox to the entrance")
        left.set_ylabel("probability that the rabbit enters")
        left.set_title("The rabbit before the entrance")
        left.plot([], [], "o", color=BLUE, label="its most probable action")
        left.plot([], [], "o", color=BLUE, markerfacecolor="white", label="not, or not always")
        left.legend(loc="upper left")
        rabbit = record.averages[:, 0]
        edges = np.arange(np.floor(rabbit.min() * 5) / 5, rabbit.max() + 0.2, 0.2)
        shares = np.histogram(rabbit, edges)[0] / rabbit.size
        caught = np.histogram(rabbit[record.averages[:, 1] <= 0], edges)[0] / rabbit.size
        right.bar(edges[:-1] + 0.1, shares, 0.18, color="#9CC3DD", label="all samples")
        right.bar(edges[:-1] + 0.1, caught, 0.18, color=BLUE, label="no catch in ten rounds")
        right.axvline(PAPER_RABBIT, color=INK, linewidth=1)
        right.annotate(
            f"paper {PAPER_RABBIT:g}",
            (PAPER_RABBIT, 1),
            (3, -2),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            va="top",
        )
        right.set_xlabel(f"score of the rabbit, average over {record.rounds} rounds")
        right.set_ylabel("share of samples")
        right.set_title("Scores of ten rounds")
        right.legend(loc="upper left")
    return drawn.figure


def causal_entropy(record: CausalEntropy, ax: Place | None = None) -> Figure:
    """Entropy at equal features, and the slope of the dual beside the printed one; in `ax`, or a new figure."""
    with style():
        drawn = sheet(ax, 2, 7.2, 2.3)
        left, right = drawn.panels
        names = ("Theorem 4", "problem (13)")
        for k, (entropy, colour) in enumerate(zip(record.entropies, (VERMILION, BLUE), strict=True)):
            left.plot(entropy, k, "os"[k], color=colour, markersize=7)
            left.annotate(f"{entropy:.5f}", (entropy, k), (0, 9), textcoords="offset points", ha="center")
        low, high = min(record.entropies), max(record.entropies)
        margin = 0.4 * (high - low)
        left.set_xlim(low - margin, high + margin)
        left.ticklabel_format(axis="x", useOffset=False)
        left.set_yticks(range(2), names)
        left.set_ylim(-0.5, 1.6)
        left.set_xlabel("causal entropy (nats), at equal features")
        left.set_title("The largest is asked for")
        quotient, printed = record.gradient
        places = np.arange(quotient.size)
        right.axhline(0, color=INK, linewidth=0.8)
        right.bar(places - 0.17, quotient, 0.3, color=BLUE, label="difference quotient")
        right.bar(
            places + 0.17,
            printed,
            0.3,
            facecolor="white",
            edgecolor=VERMILION,
            hatch="////",
            label="Theorem 5, as printed",
        )
        right.set_xticks(places, [rf"$\theta_{k + 1}$" for k in places])
        right.set_ylabel("slope of the dual")
        most = float(np.abs(quotient).max())
        right.set_ylim(-1.2 * most, 1.9 * most)
        right.legend(loc="upper right")
        right.set_title("The sign is reversed")
    return drawn.figure


def online_inference(record: OnlineInference, ax: Place | None = None) -> Figure:
    """Estimates of the other agent's weight against episodes seen, with either sign; in `ax`, or a new figure."""
    with style():
        drawn = sheet(ax, 1, 7.2, 2.6)
        (axes,) = drawn.panels
        words = {"as printed": ("as printed (minus)", VERMILION, 1), "turned round": ("turned round (plus)", BLUE, 0)}
        for name, path in record.paths.items():
            label, colour, dash = words[name]
            axes.plot(np.arange(path.size), path, color=colour, linestyle=DASHES[dash], label=label)
        last = max(path.size for path in record.paths.values()) - 1
        axes.axhline(record.truth, color=INK, linewidth=1)
        truth = f"truth {record.truth:g}".replace("-", "\N{MINUS SIGN}")
        axes.annotate(truth, (last, record.truth), (0, -4), textcoords="offset points", ha="right", va="top")
        axes.axhline(record.ball, color=INK, linewidth=0.8, linestyle=DASHES[2])
        axes.annotate("edge of the ball", (0, record.ball), (2, 3), textcoords="offset points", ha="left", va="bottom")
        axes.set_xlim(0, last)
        axes.set_ylim(min(record.truth - 0.9, -1.5), record.ball + 0.6)
        axes.set_xlabel("episodes seen")
        axes.set_ylabel(r"estimate of $\theta_2$")
        axes.legend(loc="center right")
    return drawn.figure
