"""A scene: a map, who is on it, and the two games that it can be.

`Scene.crowd` is the game in which agents meet each other's occupancy (Section 5 of Etesami & Straehle, 2020),
`Scene.exact` the Markov game on joint positions, which a few agents on a small map allow. Scenes are read from files by
`quantal.scenes.reading`.

>>> import quantal as qt
>>> scene = qt.read_scene("junction")
>>> scene.agents
('car 1', 'car 2', 'car 3', 'pedestrian')
>>> solution = qt.solve(scene.crowd(), beta=scene.beta, horizon=scene.horizon)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from quantal.crowds import counterpart
from quantal.crowds.game import CrowdGame, Kind, Member
from quantal.errors import ParameterError
from quantal.game import MarkovGame
from quantal.maps import Map

Play = Literal["auto", "exact", "crowd"]

EXACT_ENTRIES = 250_000
"""Joint positions times joint actions up to which a scene is played exactly unless asked otherwise."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Scene:
    """A map and the agents on it; everything that a game, a picture or a page needs.

    Attributes
    ----------
    name
        The file's name, or that of a scene that comes with Quantal.
    title, about
        For people; `about` says what is reconstructed.
    horizon, value, beta
        What the file asks for: number of decisions, value rule, precision per agent.
    map
        Where cells are: their numbers, positions (x to the right, y downwards) and labels.
    drawing
        The map as it was drawn.
    ground, lanes
        Per cell, what it is (road, zebra, ...), and the directions ``<>^v`` in which lane-bound kinds may leave it (all
        where empty).
    kinds, members
        Who moves how; who there is. See `quantal.crowd`.
    kind_weights, nearness, final_interaction
        As in `CrowdGame`.
    text
        The file's text, which a crowd's solution keeps: `parse_scene` makes the scene of it again.
    """

    name: str
    title: str
    about: str
    horizon: int
    value: str
    beta: tuple[float, ...]
    map: Map
    drawing: tuple[str, ...]
    ground: tuple[str, ...]
    lanes: tuple[str, ...]
    kinds: tuple[Kind, ...]
    members: tuple[Member, ...]
    kind_weights: np.ndarray | None
    nearness: tuple[float, ...]
    final_interaction: bool
    text: str = ""

    # ------------------------------------------------------------------ reading

    @property
    def agents(self) -> tuple[str, ...]:
        """Names of the agents."""
        return tuple(member.name for member in self.members)

    # ------------------------------------------------------------------ playing

    def crowd(self) -> CrowdGame:
        """Make the game in which agents meet each other's occupancy: solve it with MGE-FB."""
        return CrowdGame(
            cells=self.map.labels,
            kinds=self.kinds,
            members=self.members,
            kind_weights=self.kind_weights,
            nearness=None if self.nearness == (1.0,) else _by_distance(self.map, self.nearness),
            final_interaction=self.final_interaction,
            coordinates=self.map.coordinates,
            name=self.title or self.name,
            picture="\n".join(self.drawing),
            source=self.text,
        )

    def exact(self) -> MarkovGame:
        """Make the exact game on joint positions: each agent's axis holds the cells that it can reach.

        Raises
        ------
        TooLargeError
            If its rewards would not fit into memory.
        """
        return counterpart.exact(self.crowd())

    @cached_property
    def exact_entries(self) -> int:
        """Joint positions times joint actions of the exact game; some number above 10^18 where there are more."""
        return counterpart.entries(self.crowd())

    def game(self, play: Play = "auto") -> CrowdGame | MarkovGame:
        """Make the exact game where it is small (at most `EXACT_ENTRIES`), else the crowd; or the one asked for.

        Where anyone leaves before the end (a horizon of its own) there is no exact one.
        """
        if play not in ("auto", "exact", "crowd"):
            raise ParameterError(f"play={play!r}: expected 'auto', 'exact' or 'crowd'")
        leaving = any(m.horizon is not None for m in self.members)
        if play == "exact" or (play == "auto" and not leaving and self.exact_entries <= EXACT_ENTRIES):
            return self.exact()
        return self.crowd()

    def beta_of(self, game: CrowdGame | MarkovGame) -> tuple[float, ...]:
        """Precision per agent of one of the scene's games; the exact one has several where a `count` is above 1."""
        if isinstance(game, CrowdGame):
            return self.beta
        return tuple(b for m, b in zip(self.members, self.beta, strict=True) for _ in range(m.count))

    # ------------------------------------------------------------------ showing

    def record(self) -> dict[str, Any]:
        """Describe the scene in plain objects, for JSON and for a page that draws it."""
        goals = [None if m.goal is None else int(m.goal) for m in self.members]
        return {
            "name": self.name,
            "title": self.title,
            "about": self.about,
            "horizon": self.horizon,
            "value": self.value,
            "width": len(self.drawing[0]),
            "height": len(self.drawing),
            "drawing": list(self.drawing),
            "cells": [
                {"label": label, "x": x, "y": y, "ground": ground, "lane": lane}
                for label, (x, y), ground, lane in zip(
                    self.map.labels, self.map.cells, self.ground, self.lanes, strict=True
                )
            ],
            "agents": [
                {
                    "name": m.name,
                    "kind": m.kind,
                    "count": m.count,
                    "beta": beta,
                    "start": [int(k) for k in self.start_cells(i)],
                    "goal": goal,
                }
                for i, (m, beta, goal) in enumerate(zip(self.members, self.beta, goals, strict=True))
            ],
        }

    def start_cells(self, agent: int) -> np.ndarray:
        """Numbers of the cells where an agent may start."""
        start = self.members[agent].start
        return np.array([start]) if isinstance(start, (int, np.integer)) else np.flatnonzero(start)

    def __repr__(self) -> str:
        return f"<Scene {self.title or self.name}: {len(self.map)} cells; {', '.join(self.agents)}>"


def _by_distance(where: Map, weights: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Cells that count at each cell, by the steps |dx| + |dy| between them, and how much: (n, K) each."""
    width, height = np.max(where.cells, axis=0) - np.min(where.cells, axis=0)
    reach = min(len(weights) - 1, int(width + height))  # nothing is farther apart
    square = [(dx, dy) for dx in range(-reach, reach + 1) for dy in range(-reach, reach + 1)]
    around = [(dx, dy) for dx, dy in square if abs(dx) + abs(dy) <= reach]
    there = [[where.number.get((x + dx, y + dy), -1) for dx, dy in around] for x, y in where.cells]
    cells = np.array(there)
    apart = np.array([weights[abs(dx) + abs(dy)] for dx, dy in around])
    return np.maximum(cells, 0), np.where(cells >= 0, apart, 0.0)
