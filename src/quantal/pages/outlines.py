"""Maps of games: where cells, walls, barriers and goals are, read from coordinates, moves, and the game's picture.

Cells that are named by row and column (``r0c2``, as `quantal.maps.Map` names them) are squares; others are nodes,
joined where someone can go from one to the other. Without coordinates each state axis is a row of squares of its own.
"""

from __future__ import annotations

import itertools
import math
import re
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from quantal.figures.policies import moves_of
from quantal.game import MarkovGame

ROW = 12
"""Squares in a row where there is no map."""
_PLACE = re.compile(r"r(\d+)c(\d+)\Z")


def mapped(game: MarkovGame) -> bool:
    """Whether every agent has a place on a map."""
    return len(game.coordinates) == game.number_of_agents == len(game.state_shape)


def outline(game: MarkovGame) -> dict[str, Any]:
    """Describe what is drawn under the agents.

    Returns
    -------
    dict
        ``width``, ``height`` in cells; ``cells`` (``labels``, ``x``, ``y``, ``marks``, ``lids``: whether a barrier
        closes the upper edge); ``axes``: per state axis, the number of the cell of each of its states; ``edges``: pairs
        of cells, and who moves along them where not everyone does; ``nodes``: whether cells are nodes, not squares.
    """
    return _drawn(game) if mapped(game) else _rows(game)


def _drawn(game: MarkovGame) -> dict[str, Any]:
    places = np.concatenate(game.coordinates)
    spots, where = np.unique(places[:, ::-1], axis=0, return_inverse=True)  # row by row
    spots, where = spots[:, ::-1], where.reshape(-1)
    corner = spots.min(axis=0)
    apart = KDTree(spots).query(spots, k=2)[0][:, 1].min() if len(spots) > 1 else 1.0
    scaled = (spots - corner) / max(float(apart), 1e-9)
    edges = np.cumsum([0, *(len(own) for own in game.coordinates)])
    axes = [where[a:b].tolist() for a, b in itertools.pairwise(edges)]
    labels = [""] * len(spots)
    for names, cells in zip(game.state_labels, axes, strict=True):
        for name, cell in zip(names, cells, strict=True):
            labels[cell] = labels[cell] or name
    squares = all(_PLACE.match(label) for label in labels)
    marks, lids = _marks(game.picture, labels) if squares else ({}, set())
    width, height = (math.ceil(x) + 1 for x in scaled.max(axis=0))
    return {
        "width": width,
        "height": height,
        "nodes": not squares,
        "cells": {
            "labels": labels,
            "x": [round(float(x), 4) for x in scaled[:, 0]],
            "y": [round(float(y), 4) for y in scaled[:, 1]],
            "marks": [marks.get(label, "") for label in labels],
            "lids": [label in lids for label in labels],
        },
        "axes": axes,
        "edges": [] if squares else _edges(game, axes),
    }


def _rows(game: MarkovGame) -> dict[str, Any]:
    labels: list[str] = []
    x: list[float] = []
    y: list[float] = []
    axes: list[list[int]] = []
    top = 0.0
    for names in game.state_labels:
        axes.append([len(labels) + k for k in range(len(names))])
        labels += names
        x += [float(k % ROW) for k in range(len(names))]
        y += [top + k // ROW for k in range(len(names))]
        top += math.ceil(len(names) / ROW) + 0.4
    return {
        "width": max(x) + 1,
        "height": round(top - 0.4, 4),
        "nodes": False,
        "cells": {
            "labels": labels,
            "x": x,
            "y": [round(v, 4) for v in y],
            "marks": [""] * len(labels),
            "lids": [False] * len(labels),
        },
        "axes": axes,
        "edges": [],
    }


def _edges(game: MarkovGame, axes: list[list[int]]) -> list[tuple[int, int, int | None]]:
    """Pairs of cells that a move joins, and the only agent that moves along them (None for several)."""
    movers: dict[tuple[int, int], set[int]] = {}
    for i, cells in enumerate(axes):
        for a, b in moves_of(game, i):
            ends = sorted((cells[a], cells[b]))
            movers.setdefault((ends[0], ends[1]), set()).add(i)
    alone = game.number_of_agents > 1
    return [(a, b, next(iter(who)) if alone and len(who) == 1 else None) for (a, b), who in sorted(movers.items())]


def rules(game: MarkovGame) -> str:
    """What is written under a picture of boxes: what its letters mean, and what there is to be had."""
    lines = game.picture.split("\n")
    edges = [k for k, line in enumerate(lines) if line.startswith("+")]
    return " ".join(" ".join(lines[edges[-1] + 1 :]).split()) if edges and edges[0] == 0 else ""


def _marks(picture: str, labels: list[str]) -> tuple[dict[str, str], set[str]]:
    """Read what a picture says of cells: letters in them (goals, starts), and barriers above them, by their labels."""
    lines = picture.split("\n")
    marks: dict[str, str] = {}
    lids: set[str] = set()
    if lines[0].startswith("+-"):  # as Map.boxes draws it
        for row in range((len(lines) - 1) // 2):
            edge, inside = lines[2 * row], lines[2 * row + 1]
            if not inside.startswith("|"):
                break
            for column in range(len(inside) // 4):
                label = f"r{row}c{column}"
                within, above = (line[4 * column + 1 : 4 * column + 4] for line in (inside, edge))
                marks[label] = within.strip()
                if above == "~~~":
                    lids.add(label)
    else:  # rows of characters
        for row, line in enumerate(lines):
            marks |= {f"r{row}c{column}": mark for column, mark in enumerate(line) if mark not in ".# "}
    return {label: marks[label] for label in labels if marks.get(label)}, lids & set(labels)
