"""Pictures of what agents do at a state: bars, or arrows on the map."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch

from quantal.dynamics import Independent
from quantal.errors import ParameterError
from quantal.figures.style import COLOURS, MARGIN, Place, sheet, style
from quantal.game import MarkovGame
from quantal.solution import Solution

# ---------------------------------------------------------------------- policies


def policy(solution: Solution, state: tuple[int, ...], time: int = 0, ax: Place | None = None) -> Figure:
    """Everyone's policy at a state: on the map where the game has one, as bars elsewhere; in `ax`, or a new figure."""
    game = solution.game
    if len(game.coordinates) == game.number_of_agents == len(game.state_shape):
        return policy_map(solution, state, time, ax)
    return policy_bars(solution, state, time, ax)


def policy_bars(solution: Solution, state: tuple[int, ...], time: int = 0, ax: Place | None = None) -> Figure:
    """Everyone's policy at a state as bars, one panel per agent; in `ax`, or a new figure."""
    game = solution.game
    with style():
        width = min(2.4 * game.number_of_agents + 0.5, 10.0)
        drawn = sheet(ax, game.number_of_agents, width, 2.6, sharey=True)
        for i, axes in enumerate(drawn.panels):
            play = _play(solution, i, state, time)
            legal = legal_actions(game, i, state)
            names = [game.actions[i][a] for a in legal]
            bars = axes.bar(range(len(legal)), play[legal], 0.7, color=COLOURS[i % len(COLOURS)])
            axes.bar_label(bars, [f"{p:.3f}".lstrip("0") for p in play[legal]], fontsize=7, padding=2)
            axes.set_xticks(range(len(legal)), names, rotation=90 if len(legal) > 6 else 0)
            axes.tick_params(axis="x", length=0)
            axes.set_title(game.agents[i])
        drawn.panels[0].set_ylim(0, 1.05)
        drawn.panels[0].set_ylabel("probability")
        if game.number_of_states > 1:
            drawn.head(_where(solution, state, time))
    return drawn.figure


def policy_map(solution: Solution, state: tuple[int, ...], time: int = 0, ax: Place | None = None) -> Figure:
    """Everyone's policy at a state on the map: arrows as wide as moves are probable, rings for staying.

    In `ax`, or a new figure.

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
        drawn = sheet(ax, 1, max(2.6, scale * width), scale * height + 0.4)
        draw_map(drawn.panels[0], solution, state, time)
        drawn.head(_where(solution, state, time))
    return drawn.figure


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
    for action in legal_actions(game, i, state):
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
        for a, b in moves_of(game, i):
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


def moves_of(game: MarkovGame, i: int) -> Iterator[tuple[int, int]]:
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


def legal_actions(game: MarkovGame, i: int, state: tuple[int, ...]) -> list[int]:
    """Which actions agent i may take at a state."""
    return np.flatnonzero(np.broadcast_to(game.legal[i], (*game.state_shape, game.action_counts[i]))[state]).tolist()


def _where(solution: Solution, state: tuple[int, ...], time: int) -> str:
    when = "" if solution.horizon is None else f", time {time} (T = {solution.horizon})"
    return f"{solution.game.name or 'policies'}\nat {solution.game.state_name(state)}{when}"
