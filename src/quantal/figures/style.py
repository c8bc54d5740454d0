"""How pictures look: colours, sizes, labels, and how they are written.

Figures are made without pyplot and without touching its settings. Colours are Okabe and Ito's, which colour-blind
readers can tell apart, and nothing is said by colour alone.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any, TypeAlias

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.transforms import ScaledTranslation

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
Place: TypeAlias = Axes | Figure | SubFigure | Sequence[Axes] | np.ndarray
"""Where a picture may be drawn: within axes, on axes of one's own for each panel, or in a figure or a part of one."""
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


@dataclass(frozen=True, eq=False)
class Sheet:
    """Where a picture is drawn: its figure, and its panels in order, row by row."""

    figure: Figure
    panels: list[Axes]
    place: Place

    def head(self, text: str) -> None:
        """Write a heading over the whole picture; who gives axes for each panel writes their own."""
        if isinstance(self.place, Figure | SubFigure):
            self.place.suptitle(text, fontsize=9)
        elif isinstance(self.place, Axes):
            # Higher where panels have titles of their own.
            self.place.set_title(text, fontsize=9, loc="center", pad=16 if self.place.child_axes else None)

    def key(self, handles: Sequence[Any], *, columns: int, below: bool = False, **how: Any) -> None:
        """Explain marks and colours, above the picture or below it."""
        how = {"handles": handles, "ncols": columns, **how}
        if isinstance(self.place, Figure | SubFigure):
            self.place.legend(loc="outside lower left" if below else "outside upper center", **how)
            return
        axes = self.place if isinstance(self.place, Axes) else self.panels[0]
        points = -30 if below else 16 if axes.child_axes or axes.get_title(loc="left") else 2
        aside = axes.transAxes + ScaledTranslation(0, points / 72, self.figure.dpi_scale_trans)
        corner = ("upper" if below else "lower") + (" center" if axes.child_axes else " left")
        at = (0.5 if axes.child_axes else 0.0, 0.0 if below else 1.0)
        axes.legend(loc=corner, bbox_to_anchor=at, bbox_transform=aside, borderaxespad=0.0, **how)


def sheet(
    ax: Place | None,
    columns: int,
    width: float,
    height: float,
    *,
    rows: int = 1,
    count: int | None = None,
    ratios: Sequence[float] | None = None,
    sharex: bool = False,
    sharey: bool = False,
) -> Sheet:
    """Lay out panels.

    Parameters
    ----------
    ax
        Where: within axes, on a sequence of axes (one for each panel), in a figure or subfigure; a new figure of
        `width` by `height` inches unless given.
    columns, rows, ratios
        Of the grid of panels; ratios are widths of its columns.
    count
        How many panels are wanted, where they do not fill the grid.
    sharex, sharey
        Whether panels have an axis in common.

    Raises
    ------
    ParameterError
        If there are not as many axes as panels, or these are no axes.
    """
    count = rows * columns if count is None else count
    grid: dict[str, Any] = {"sharex": sharex, "sharey": sharey, "squeeze": False}
    if ax is None:
        ax = new_figure(width, height)
    if isinstance(ax, Figure | SubFigure):
        made = list(ax.subplots(rows, columns, width_ratios=ratios, **grid).ravel())
        for spare in made[count:]:
            spare.remove()
        return Sheet(_figure_of(ax), made[:count], ax)
    if isinstance(ax, Axes):
        figure = _figure_of(ax)
        return Sheet(figure, [ax] if count == 1 else _inside(ax, rows, columns, count, ratios, sharex, sharey), ax)
    given = list(np.ravel(np.asarray(ax, dtype=object)))
    if not all(isinstance(each, Axes) for each in given):
        raise ParameterError(f"ax={ax!r}: expected axes, a figure or a subfigure, or a sequence of axes")
    if len(given) != count:
        raise ParameterError(f"ax: expected {count} axes, one for each panel: got {len(given)}")
    return Sheet(_figure_of(given[0]), given, given)


def _inside(
    ax: Axes, rows: int, columns: int, count: int, ratios: Sequence[float] | None, sharex: bool, sharey: bool
) -> list[Axes]:
    """Panels within axes, which then show nothing themselves."""
    ax.set_axis_off()
    across = 0.06 if sharey else 0.2
    down = 0.12 if sharex else 0.25
    shares = np.full(columns, 1.0) if ratios is None else np.asarray(ratios, dtype=float)
    wide = shares / shares.sum() * (1 - across * (columns - 1))
    left = np.concatenate([[0.0], np.cumsum(wide + across)])
    tall = (1 - down * (rows - 1)) / rows
    made: list[Axes] = []
    for k in range(count):
        row, column = divmod(k, columns)
        panel = ax.inset_axes((left[column], 1 - tall - row * (tall + down), wide[column], tall))
        if sharex and k >= columns:
            panel.sharex(made[k - columns])
        if sharex and k + columns < count:
            panel.tick_params(labelbottom=False)
        if sharey and k > 0:
            panel.sharey(made[0])
            panel.tick_params(labelleft=column == 0)
        made.append(panel)
    return made


def _figure_of(ax: Axes | Figure | SubFigure) -> Figure:
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
