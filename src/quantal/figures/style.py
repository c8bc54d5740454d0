"""How pictures look: colours, sizes, labels, and how they are written.

Figures are made without pyplot and without touching its settings. Colours are Okabe and Ito's, which colour-blind
readers can tell apart, and nothing is said by colour alone.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from quantal.errors import FileError, ParameterError
from quantal.files import replacing

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


def canvas(ax: Axes | None, width: float, height: float) -> tuple[Figure, Axes]:
    """Give axes to draw in, and their figure: the caller's, or those of a new one of this size, in inches."""
    if ax is None:
        figure = new_figure(width, height)
        return figure, figure.subplots()
    return _figure_of(ax), ax


def panels(
    ax: Axes | None, count: int, width: float, height: float, *, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """Give axes side by side, and their figure: within the caller's axes, or in a new figure of this size."""
    if ax is None:
        figure = new_figure(width, height)
        return figure, list(figure.subplots(1, count, sharey=sharey, squeeze=False)[0])
    ax.set_axis_off()
    gap = 0.06 if sharey else 0.2
    wide = (1 - gap * (count - 1)) / count
    inside = [ax.inset_axes((k * (wide + gap), 0.0, wide, 1.0)) for k in range(count)]
    for other in inside[1:] if sharey else ():
        other.sharey(inside[0])
        other.tick_params(labelleft=False)
    return _figure_of(ax), inside


def head(figure: Figure, ax: Axes | None, text: str) -> None:
    """Write a heading over a figure of ours, or over the caller's axes (higher, where panels have titles)."""
    if ax is None:
        figure.suptitle(text, fontsize=9)
    else:
        ax.set_title(text, fontsize=9, loc="center", pad=16 if ax.child_axes else None)


def _figure_of(ax: Axes) -> Figure:
    figure = ax.get_figure(root=True)
    if figure is None:
        raise ParameterError("ax: expected axes of a figure: got axes that were removed from theirs. Make new ones")
    return figure


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
