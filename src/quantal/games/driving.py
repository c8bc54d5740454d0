"""Scenes of traffic: the driving scene of Etesami & Straehle (2020), Section 7 and Figure 6, and a four-way stop.

Cars keep to the arrows of their lanes, pedestrians to pavement and zebra; everyone stays or moves to a neighbouring
cell, pays 1 for each step on the way, and pays mu_j for each step in one cell with agent j (with the probability that j
is there). The games are read from scene files, which are the place to look at and to copy:
``src/quantal/scenes/junction.toml`` and ``four-way-stop.toml``.
"""

from __future__ import annotations

from quantal.crowd import CrowdGame
from quantal.scenefile import read_scene


def junction() -> CrowdGame:
    """Make the driving scene: three cars, a pedestrian, a zebra. Solve it with ``horizon=24, beta=(3, 3, 3, 0.75)``.

    From the paper: three cars and a pedestrian, staying or moving to a neighbouring cell, Psi = -(sum of mu_j O_j), and
    what they most probably do: all cars stop before the zebra while the pedestrian walks to its goal, then car 2 goes,
    then car 1, then car 3, everyone by a shortest route. Reconstructed, because the figure is lost: the map, the
    rewards, mu and beta; and that a pedestrian on the zebra, who has the right of way, does not mind the cars.

    Returns
    -------
    CrowdGame
        Agents ``car 1``, ``car 2``, ``car 3`` and ``pedestrian`` on 38 cells.

    Notes
    -----
    The behaviour does not hang on these numbers: NOTE_RANGE
    """
    return read_scene("junction").crowd()


def four_way_stop() -> CrowdGame:
    """Make a junction without priority at which four cars cross; solve it with ``horizon=20`` and ``beta=2``.

    Nobody has the right of way: who comes first goes first, and who yields stops before the junction. Our own scene.

    Returns
    -------
    CrowdGame
        Agents ``north``, ``east``, ``south`` and ``west``, named after where they come from, on 36 cells.
    """
    return read_scene("four-way-stop").crowd()
