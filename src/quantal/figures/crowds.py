"""Pictures of scenes: where everyone is, over time, drawn on the map; as small multiples and as an animation.

Discs are as large as it is likely that an agent is there; agents have a place of their own in every cell, a colour, and
a letter or number, so that nothing is said by colour alone. Rings are goals.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Rectangle

from quantal.errors import ParameterError
from quantal.experiments.driving import CARS, DrivingStudy
from quantal.figures.films import check_film, save_film
from quantal.figures.style import COLOURS, DASHES, INK, Place, Sheet, label_ends, sheet, style
from quantal.scenes.journeys import Journey, Journeys, fullest
from quantal.scenes.scene import Scene

GROUND = {
    "floor": "#F6F6F6",
    "road": "#DCDEE0",
    "junction": "#DCDEE0",
    "zebra": "#DCDEE0",
    "pavement": "#F2EFE8",
    "bay": "#DCE9E2",
}
OTHER_GROUND = ("#E4E4E9", "#D9E7F1", "#E9E2F2", "#F5E8DA")
WALL = "#B4B7BA"
SINGLES = 9
"""Up to this many agents are drawn one by one; more of them as kinds."""
SEEN = 0.004
"""Probabilities below this are not drawn."""
STIR = 0.05
"""Where no probability changes by more, nothing happens any more."""
PANELS = 12
WIDE, TALL = 7.2, 9.0
"""Inches of a figure of several times: its width, and its height where that is ours to choose."""
SMALL = 0.2
"""Inches: cells are not made smaller if the page has room."""


@dataclass(frozen=True, eq=False)
class _Group:
    """What is drawn in one colour: an agent, or a kind of agents."""

    name: str
    mark: str
    colour: str
    presence: np.ndarray
    """How full its disc is in each cell, (T + 1, n); at most 1."""
    full: float
    """How many fill a disc."""
    goals: tuple[int, ...]
    centre: tuple[float, float]
    radius: float


def occupancy(record: Journeys, times: Sequence[int] | None = None, ax: Place | None = None) -> Figure:
    """Draw where everyone is at several times, one panel each.

    Parameters
    ----------
    record
        What to draw.
    times
        Which times, 0..T. Unless given: every step, or every few, until everyone has arrived.
    ax
        Where to draw; a new figure unless given.

    Raises
    ------
    ParameterError
        If a time is not in 0..T.
    """
    groups = _groups(record)
    shown = _times(groups) if times is None else list(times)
    last = groups[0].presence.shape[0] - 1
    if not shown or not all(0 <= t <= last for t in shown):
        raise ParameterError(f"times={times!r}: expected times 0..{last}: at least one")
    width, height = _size(record.scene)
    with style():
        columns = _columns(len(shown), width, height)
        rows = math.ceil(len(shown) / columns)
        drawn = sheet(ax, columns, WIDE, _tall(len(shown), columns, width, height), rows=rows, count=len(shown))
        for axes, time in zip(drawn.panels, shown, strict=True):
            draw_ground(axes, record.scene)
            _draw_goals(axes, record.scene, groups)
            axes.add_collection(_discs(record.scene, groups, time))
            _write_marks(axes, record.scene, groups, time, size=min(7.5, 130 / columns / width))
            axes.set_title(f"$\\tau$ = {time}", fontsize=8, pad=2)
        _legend(drawn, groups)
    return drawn.figure


def animate(
    record: Journeys,
    path: str | os.PathLike[str],
    *,
    per_second: float = 2.0,
    progress: Callable[[float], None] | None = None,
) -> None:
    """Write where everyone is as a film, one frame a step: an animated GIF, or an MP4 (H.264).

    Parameters
    ----------
    record
        What to draw.
    path
        A name that ends in .gif or .mp4. MP4 needs a program ffmpeg on the PATH, or the package `imageio-ffmpeg`
        (``quantal[video]``).
    per_second
        Steps a second, above 0.
    progress
        Called with the share done, 0 to 1.

    Raises
    ------
    ParameterError
        If the name ends otherwise, there is no ffmpeg, or `per_second` is not above 0.
    FileError
        If the file cannot be written.
    """
    target = Path(path)
    check_film(target)
    if not 0 < per_second < math.inf:
        raise ParameterError(f"per_second={per_second!r}: expected steps a second, above 0")
    groups = _groups(record)
    width, height = _size(record.scene)
    last = _last_time(groups)
    with style():
        across = min(6.0, 0.62 * width)
        whole = sheet(None, 1, across, across * height / width + 0.62)
        (axes,) = whole.panels
        draw_ground(axes, record.scene)
        _draw_goals(axes, record.scene, groups)
        _legend(whole, groups)
        drawn: list[object] = []

        def frame(time: int) -> list[object]:
            for artist in drawn:
                artist.remove()  # type: ignore[attr-defined]
            drawn.clear()
            discs = _discs(record.scene, groups, time)
            axes.add_collection(discs)
            drawn.append(discs)
            drawn.extend(_write_marks(axes, record.scene, groups, time, size=min(12.0, 30 * across / width)))
            axes.set_title(f"{record.scene.title or record.scene.name}: $\\tau$ = {time}", fontsize=9)
            return drawn

        frame(last)
        whole.figure.draw_without_rendering()
        whole.figure.set_layout_engine("none")  # the map stands still
        frames = [*range(last + 1), *[last] * 3]  # the end stays for a moment
        film = FuncAnimation(whole.figure, frame, frames=frames, blit=False)  # type: ignore[arg-type]
        save_film(film, target, per_second, progress and (lambda done, _: progress((done + 1) / len(frames))))


# ---------------------------------------------------------------------- the study


def driving_study(record: DrivingStudy, beta: float = 3.0, ax: Place | None = None) -> Figure:
    """Draw how waiting and meetings in the driving scene change with beta and mu, and the order of cars at one beta.

    Settings at which everything is as in the paper are framed; those that did not converge are struck out. In `ax`, or
    a new figure.

    Raises
    ------
    ParameterError
        If the study has no such beta.
    """
    if beta not in record.betas:
        raise ParameterError(f"beta={beta}: expected one of the study's, {', '.join(f'{b:g}' for b in record.betas)}")
    with style():
        drawn = sheet(ax, 3, 7.2, 3.2, ratios=(1.0, 1.0, 0.95))
        first, second, third = drawn.panels
        waits = np.array([[play.waits[1] for play in row] for row in record.plays], dtype=float)
        met = np.array([[play.with_pedestrian for play in row] for row in record.plays])
        _shade(first, record, waits, [[f"{x:g}" for x in row] for row in waits], waits.max())
        first.set_title("car 2 waits (steps)")
        first.set_ylabel(r"$\beta$ of the cars")
        # Probabilities differ by factors: their shade goes by the square root.
        _shade(second, record, np.sqrt(met), [[_short(x) for x in row] for row in met], math.sqrt(met.max()))
        second.set_title("cars meet pedestrian (steps)")
        second.set_yticklabels([])
        _draw_order(third, record, record.betas.index(beta))
        third.set_title(rf"order, $\beta$ = {beta:g}")
        keys = [
            Line2D([], [], color=COLOURS[1], linewidth=1.6, label="everything as in the paper"),
            Line2D([], [], color=INK, linewidth=0.7, marker="$/$", linestyle="none", label="not converged"),
        ]
        drawn.key(keys, columns=2, below=True)
    return drawn.figure


def _shade(axes: Axes, record: DrivingStudy, shades: np.ndarray, texts: Sequence[Sequence[str]], most: float) -> None:
    colours = LinearSegmentedColormap.from_list("shade", ["#FFFFFF", COLOURS[0]])
    axes.imshow(shades, cmap=colours, vmin=0, vmax=1.25 * most, aspect="auto", origin="lower")
    for r, row in enumerate(record.plays):
        for c, play in enumerate(row):
            axes.text(c, r, texts[r][c], ha="center", va="center", fontsize=6.2)
            if not play.converged:
                axes.plot([c - 0.4, c + 0.4], [r - 0.4, r + 0.4], color=INK, linewidth=0.7)
    _frame(axes, np.array([[play.as_in_paper for play in row] for row in record.plays]))
    axes.set_xticks(range(len(record.mus)), [f"{mu:g}" for mu in record.mus])
    axes.set_yticks(range(len(record.betas)), [f"{b:g}" for b in record.betas])
    axes.tick_params(length=0, labelsize=7)
    axes.set_xlabel(r"$\mu$ of the pedestrian")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _frame(axes: Axes, inside: np.ndarray) -> None:
    """Draw a line around the cells that are true."""
    padded = np.pad(inside, 1)
    for r, c in np.argwhere(padded):
        sides = {(0, 1): ((0.5, -0.5), (0.5, 0.5)), (0, -1): ((-0.5, -0.5), (-0.5, 0.5))}
        sides |= {(1, 0): ((-0.5, 0.5), (0.5, 0.5)), (-1, 0): ((-0.5, -0.5), (0.5, -0.5))}
        for (dr, dc), ends in sides.items():
            if not padded[r + dr, c + dc]:
                xs, ys = zip(*ends, strict=True)
                axes.plot(
                    [c - 1 + x for x in xs],
                    [r - 1 + y for y in ys],
                    color=COLOURS[1],
                    linewidth=1.6,
                    solid_capstyle="round",
                )


def _short(x: float) -> str:
    return f"{x:.2f}".lstrip("0") if x >= 0.005 else "0"


def _draw_order(axes: Axes, record: DrivingStudy, row: int) -> None:
    """Expected times on the zebra of each car, and when the pedestrian arrives in most probable play."""
    plays = record.plays[row]
    columns = np.arange(len(record.mus))
    labels: list[tuple[float, str, str]] = []
    for car in CARS:
        times = [play.expected_zebra[car] for play in plays]
        axes.plot(columns, times, color=COLOURS[car], marker="o", markersize=3, linestyle=DASHES[car])
        labels.append((times[-1], f"car {car + 1}", COLOURS[car]))
    crossed = [np.nan if play.crossed is None else play.crossed for play in plays]
    axes.plot(columns, crossed, color=COLOURS[3], linewidth=1.2, linestyle=DASHES[3])
    axes.set_ylim(0, None)
    labels.append((float(crossed[-1]), "pedestrian\nhas crossed", COLOURS[3]))
    label_ends(axes, labels, float(columns[-1]), gap=0.08)
    axes.set_xticks(columns, [f"{mu:g}" for mu in record.mus])
    axes.tick_params(labelsize=7)
    axes.set_xlabel(r"$\mu$ of the pedestrian")
    axes.set_ylabel("expected time on the zebra")


# ---------------------------------------------------------------------- the map


def draw_ground(axes: Axes, scene: Scene) -> None:
    """Draw the map of a scene: ground, zebras, arrows of lanes; walls are dark."""
    width, height = _size(scene)
    axes.add_patch(Rectangle((-0.5, -0.5), width, height, color=WALL, linewidth=0, zorder=0))
    others = [ground for ground in dict.fromkeys(scene.ground) if ground not in GROUND]
    colour = GROUND | {ground: OTHER_GROUND[k % len(OTHER_GROUND)] for k, ground in enumerate(others)}
    for (x, y), ground, lane in zip(scene.map.cells, scene.ground, scene.lanes, strict=True):
        axes.add_patch(
            Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=colour[ground], edgecolor="white", linewidth=0.4, zorder=1)
        )
        if ground == "zebra":
            _draw_stripes(axes, x, y, along_x=not set(lane) & set("^v"))
        for arrow in lane if ground != "zebra" else "":
            _draw_arrow(axes, x, y, arrow, off=0.12 if len(lane) == 1 else 0.32)
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    axes.set_aspect("equal")
    axes.set_axis_off()


def _draw_stripes(axes: Axes, x: int, y: int, *, along_x: bool) -> None:
    """White bars, in the direction in which cars go."""
    for k in range(3):
        offset = (k - 1) / 3
        corner, size = (
            ((x - 0.44, y + offset - 0.08), (0.88, 0.16)) if along_x else ((x + offset - 0.08, y - 0.44), (0.16, 0.88))
        )
        axes.add_patch(Rectangle(corner, *size, color="white", linewidth=0, zorder=1.2))


def _draw_arrow(axes: Axes, x: int, y: int, lane: str, off: float) -> None:
    dx, dy = {"<": (-1, 0), ">": (1, 0), "^": (0, -1), "v": (0, 1)}[lane]
    tip = np.array([x + off * dx, y + off * dy])
    side = 0.14 * np.array([-dy, dx])
    back = tip - 0.2 * np.array([dx, dy])
    ends = np.stack([back + side, tip, back - side])
    axes.plot(ends[:, 0], ends[:, 1], color="white", linewidth=1.1, solid_capstyle="round", zorder=1.3)


def _size(scene: Scene) -> tuple[int, int]:
    return len(scene.drawing[0]), len(scene.drawing)


# ---------------------------------------------------------------------- the agents


def _groups(record: Journeys) -> list[_Group]:
    scene = record.scene
    # A crowd's member stands for all of its count; in the exact game each has a journey of its own.
    crowd = len(record.each) == len(scene.members)
    counts = [scene.members[j.member].count if crowd else 1 for j in record.each]
    single = len(record.each) <= SINGLES
    parts = {j.agent: [j] for j in record.each} if single else {k.name: list[Journey]() for k in scene.kinds}
    if not single:
        for journey in record.each:
            parts[scene.members[journey.member].kind].append(journey)
    many = {id(j): count for j, count in zip(record.each, counts, strict=True)}
    nobody = np.zeros_like(record.each[0].occupancy)
    names = list(parts)
    numbers = [sum((j.occupancy * many[id(j)] for j in part), nobody) for part in parts.values()]
    goals = [tuple(sorted({j.goal for j in part if j.goal is not None})) for part in parts.values()]
    full = 1.0 if single and set(counts) == {1} else fullest(numbers, [goal for part in goals for goal in part])
    presence = [np.minimum(number / full, 1.0) for number in numbers]
    marks = _marks(names)
    side = 1 if len(names) == 1 else 2 if len(names) <= 4 else 3
    deep = 1 if len(names) <= 2 else side
    # Places overlap a little: two agents who are both surely in one cell are rare, and small discs are hard to see.
    spots = [
        (0.84 * ((k % side + 0.5) / side - 0.5), 0.84 * ((k // side + 0.5) / deep - 0.5)) for k in range(side * deep)
    ]
    return [
        _Group(name, mark, COLOURS[k % len(COLOURS)], held, full, goal, spots[k], 0.4 if side == 1 else 0.56 / side)
        for k, (name, mark, held, goal) in enumerate(zip(names, marks, presence, goals, strict=True))
    ]


def _marks(names: Sequence[str]) -> list[str]:
    """One character per name that tells them apart: its last digit, its initial, or else a letter in order."""
    candidates: tuple[Callable[[str], str], ...] = (
        lambda n: n[-1] if n[-1].isdigit() else n[0].upper(),
        lambda n: n[0].upper(),
    )
    for mark in candidates:
        marks = [mark(name) for name in names]
        if max(Counter(marks).values()) == 1:
            return marks
    return [chr(ord("a") + k) for k in range(len(names))]


def _times(groups: Sequence[_Group]) -> list[int]:
    """Times at which something still happens, thinned out to at most `PANELS`."""
    last = _last_time(groups)
    return list(range(0, last + 1, math.ceil((last + 1) / PANELS)))


def _last_time(groups: Sequence[_Group]) -> int:
    """A step after the last at which something happens."""
    presence = np.stack([group.presence for group in groups])
    moving = np.abs(np.diff(presence, axis=1)).max(axis=(0, 2)) > STIR
    return min(int(np.flatnonzero(moving).max(initial=0)) + 1, presence.shape[1] - 1)


def _columns(panels: int, width: int, height: int) -> int:
    """As many columns as make panels that are not too small, and rows that are full."""
    most = 4 if width >= height else 6
    columns = panels if panels <= most else min(range(most, 2, -1), key=lambda c: (-panels) % c)
    while columns > 1 and WIDE / columns / width < SMALL and _tall(panels, columns - 1, width, height) <= TALL:
        columns -= 1
    return columns


def _tall(panels: int, columns: int, width: int, height: int) -> float:
    """Inches of so many panels, their titles and a legend."""
    return math.ceil(panels / columns) * (WIDE / columns * height / width + 0.19) + 0.32


def _discs(scene: Scene, groups: Sequence[_Group], time: int) -> PatchCollection:
    patches: list[Circle] = []
    colours: list[str] = []
    for group in groups:
        for cell in np.flatnonzero(group.presence[time] > SEEN):
            x, y = scene.map.cells[cell]
            radius = group.radius * math.sqrt(min(1.0, float(group.presence[time, cell])))
            patches.append(Circle((x + group.centre[0], y + group.centre[1]), radius))
            colours.append(group.colour)
    return PatchCollection(patches, facecolor=colours, edgecolor="white", linewidth=0.35, zorder=3)


def _draw_goals(axes: Axes, scene: Scene, groups: Sequence[_Group]) -> None:
    for group in groups:
        for goal in group.goals:
            x, y = scene.map.cells[goal]
            spot = (x + group.centre[0], y + group.centre[1])
            axes.add_patch(Circle(spot, group.radius, fill=False, edgecolor=group.colour, linewidth=1.0, zorder=2))


def _write_marks(axes: Axes, scene: Scene, groups: Sequence[_Group], time: int, size: float) -> list[object]:
    written: list[object] = []
    for group in groups:
        for cell in np.flatnonzero(group.presence[time] > 0.3):
            x, y = scene.map.cells[cell]
            written.append(
                axes.text(
                    x + group.centre[0],
                    y + group.centre[1],
                    group.mark,
                    color="white",
                    fontsize=size * math.sqrt(float(min(1.0, group.presence[time, cell]))),
                    fontweight="bold",
                    ha="center",
                    va="center_baseline",
                    zorder=4,
                )
            )
    return written


def _legend(drawn: Sheet, groups: Sequence[_Group]) -> None:
    handles = [
        Line2D([], [], marker=f"${group.mark}$", color=group.colour, linestyle="none", markersize=6, label=group.name)
        for group in groups
    ]
    if (full := groups[0].full) != 1:
        label = f"full disc: {full:g} people or more"
        handles.append(Line2D([], [], marker="o", color=INK, linestyle="none", markersize=6, label=label))
    drawn.key(handles, columns=min(6, len(handles)), handletextpad=0.2)
