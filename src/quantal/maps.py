"""Maps drawn in characters, and the moves that they allow.

A map is rows of characters: '#' is a wall, anything else a cell. Cells are numbered row by row from
the top left; x runs to the right and y downwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from quantal.errors import GameError

WALL = "#"

ORTHOGONAL: dict[str, tuple[int, int]] = {
    "left": (-1, 0),
    "right": (1, 0),
    "up": (0, -1),
    "down": (0, 1),
}
"""Steps to the four neighbours that share an edge, as (dx, dy)."""

DIAGONAL: dict[str, tuple[int, int]] = {
    "up-left": (-1, -1),
    "up-right": (1, -1),
    "down-left": (-1, 1),
    "down-right": (1, 1),
}
"""Steps to the four neighbours that share a corner, as (dx, dy)."""

STAY: dict[str, tuple[int, int]] = {"stay": (0, 0)}


@dataclass(frozen=True)
class Moves:
    """What one agent can do on a map.

    Attributes
    ----------
    names
        Action labels, A of them.
    successors
        Where each action leads, (n, A); its own cell for an action that is not legal there.
    legal
        Which actions stay on the map, (n, A).
    """

    names: tuple[str, ...]
    successors: Int[np.ndarray, "n A"]
    legal: Bool[np.ndarray, "n A"]


@dataclass(frozen=True)
class Map:
    """The cells of a map drawn in characters."""

    rows: tuple[str, ...]

    @staticmethod
    def parse(drawing: str) -> Map:
        """Read a drawing; empty lines around it are dropped, short rows end in walls."""
        rows = drawing.strip("\n").split("\n")
        width = max(len(row) for row in rows)
        drawn = Map(tuple(row.ljust(width, WALL) for row in rows))
        if not drawn.cells:
            raise GameError(f"map: expected at least one cell: got only {WALL!r} in {drawing!r}")
        return drawn

    @staticmethod
    def open(width: int, height: int) -> Map:
        """Make a map without walls."""
        return Map.parse("\n".join(["." * width] * height))

    @cached_property
    def cells(self) -> tuple[tuple[int, int], ...]:
        """Positions (x, y) of the cells, in the order of their numbers."""
        return tuple((x, y) for y, row in enumerate(self.rows) for x, mark in enumerate(row) if mark != WALL)

    @cached_property
    def number(self) -> dict[tuple[int, int], int]:
        """Number of the cell at a position."""
        return {position: k for k, position in enumerate(self.cells)}

    @cached_property
    def coordinates(self) -> Float[np.ndarray, "n 2"]:
        """Positions as an array, (n, 2)."""
        return np.array(self.cells, dtype=np.float64)

    @cached_property
    def labels(self) -> tuple[str, ...]:
        """Names of the cells: row and column, counted from 0 at the top left."""
        return tuple(f"r{y}c{x}" for x, y in self.cells)

    def __len__(self) -> int:
        return len(self.cells)

    def find(self, marks: str) -> tuple[int, ...]:
        """Numbers of the cells that carry one of these marks."""
        return tuple(k for k, (x, y) in enumerate(self.cells) if self.rows[y][x] in marks)

    def moves(self, steps: dict[str, tuple[int, int]]) -> Moves:
        """Take steps (name -> (dx, dy)); one that would leave the map is illegal, not "stay"."""
        own = np.arange(len(self))
        successors = np.tile(own[:, None], (1, len(steps)))
        legal = np.zeros(successors.shape, dtype=bool)
        for a, (dx, dy) in enumerate(steps.values()):
            for k, (x, y) in enumerate(self.cells):
                target = self.number.get((x + dx, y + dy))
                if target is not None:
                    successors[k, a], legal[k, a] = target, True
        return Moves(tuple(steps), successors, legal)

    def boxes(self, contents: Sequence[str], lids: dict[int, str] | None = None) -> str:
        """Draw the map as boxes, with up to three characters in each cell.

        Parameters
        ----------
        contents
            One text per cell.
        lids
            Cells whose upper edge is drawn with three copies of another character.
        """
        lids = lids or {}
        lines: list[str] = []
        for y, row in enumerate(self.rows):
            at = [self.number.get((x, y)) for x in range(len(row))]
            edges = [(lids.get(k, "-") if k is not None else "-") * 3 for k in at]
            lines.append("+" + "+".join(edges) + "+")
            inside = ["###" if k is None else contents[k].center(3) for k in at]
            lines.append("|" + "|".join(inside) + "|")
        lines.append("+" + "---+" * len(self.rows[0]))
        return "\n".join(lines)


def on_joint_axis(table: Shaped[np.ndarray, "n A"], agent: int, agents: int) -> Shaped[np.ndarray, "*states A"]:
    """Lay an agent's own table (n_j, A_j) along the joint state axes: (1.., n_j, ..1, A_j)."""
    lengths = tuple(table.shape[0] if j == agent else 1 for j in range(agents))
    return table.reshape(lengths + table.shape[1:])
