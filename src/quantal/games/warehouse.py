"""A warehouse in which meeting is the aim: weights below 0, so that Psi is above 0.

Etesami & Straehle (2020), Section 5, name two robots that exchange their loads as an example; map and numbers are
ours, and stand in ``src/quantal/scenes/warehouse.toml``.
"""

from __future__ import annotations

from quantal.crowds.game import CrowdGame
from quantal.scenes.reading import read_scene


def exchange() -> CrowdGame:
    """Make the game of two robots that want to be where the other is; solve it with ``horizon=16`` and ``beta=2``.

    Each has a bay nearby, in which standing costs nothing. Alone, each goes to its own; together, they meet between the
    two and share one.

    Returns
    -------
    CrowdGame
        Agents ``robot 1`` and ``robot 2`` on 35 cells.
    """
    return read_scene("warehouse").crowd()
