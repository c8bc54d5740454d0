"""Scenes of traffic: the driving scene of Etesami & Straehle (2020), Section 7 and Figure 6, and a four-way stop.

Cars keep to the arrows of their lanes, pedestrians to pavement and zebra; everyone stays or moves to a neighbouring
cell, pays 1 for each step on the way, and pays mu_j for each step in one cell with agent j (with the probability that j
is there). The games are read from scene files, which are the place to look at and to copy:
``src/quantal/scenes/junction.toml`` and ``four-way-stop.toml``.
"""

from __future__ import annotations

from quantal.crowds.game import CrowdGame
from quantal.scenes.reading import read_scene


def junction() -> CrowdGame:
    """Make the driving scene: three cars, a pedestrian, a zebra. Solve it with ``horizon=24, beta=(3, 3, 3, 0.75)``.

    From the paper: three cars and a pedestrian, staying or moving to a neighbouring cell, Psi = -(sum of mu_j O_j), and
    what they most probably do: all cars stop before the zebra while the pedestrian walks to its goal, then car 2 goes,
    then car 1, then car 3, everyone by a shortest route. Reconstructed, because the figure is lost: the map, the
    rewards, mu and beta.

    Returns
    -------
    CrowdGame
        Agents ``car 1``, ``car 2``, ``car 3`` and ``pedestrian`` on 38 cells.

    Notes
    -----
    All that the paper says happens, and not at these numbers alone: it does at all 72 settings of beta 2, 3, 4 for cars
    and 0.5, 0.6, 0.75, 1 for the pedestrian, mu 1, 2 of a car and 60, 80, 120 of the pedestrian; and at 401 of 720
    settings of a wider grid (beta 1.5 to 6 and 0.4 to 1.25, mu 1 to 4 and 20 to 120). Cars wait because they cannot
    know when a pedestrian, who explores, has left; where meeting it costs little (mu below 20), they pass all the same.

    There are several equilibria, which differ in how long cars wait; other damping leads to others. At the scene's own
    numbers all that were found are as the paper says. Where the pedestrian minds no car (``kind_weights``), every
    damping that was tried leads to one.
    """
    return read_scene("junction").crowd()


def four_way_stop() -> CrowdGame:
    """Make a junction without priority at which four cars cross; solve it with ``horizon=20`` and ``beta=3``.

    Nobody has the right of way: who comes first goes first, and who yields stops before the junction. Our own scene.

    Returns
    -------
    CrowdGame
        Agents ``north``, ``east``, ``south`` and ``west``, named after where they come from, on 36 cells.
    """
    return read_scene("four-way-stop").crowd()
