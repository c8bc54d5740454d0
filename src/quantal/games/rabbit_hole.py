"""The rabbit-hole game: a fox chases a rabbit, and a prize lies in a hole with one narrow entrance.

From the paper (Section 7 of Etesami & Straehle, 2020): +0.3 for the rabbit at the prize, fox +2 and
rabbit
-2 for a catch, both may enter the hole, T = 12, beta = 1, random starts. Reconstructed, because the
figure is missing: the map, and that rewards are paid in every step (and after the last one), not
once.

    +---+---+---+---+---+---+---+
    |   |   |   |   |   |   |   |
    +---+---+---+---+---+---+---+
    |   |   |   |   |   |   |   |
    +---+---+---+---+---+---+---+
    |   |   |   |   |   |   |   |
    +---+---+---+---+---+---+---+
    |   |   |   |   |   |   |   |
    +---+---+---+---+---+---+---+
    |###|###|###| o |###|###|###|
    +---+---+---+---+---+---+---+
    |###|###|###| * |###|###|###|
    +---+---+---+---+---+---+---+

o is the entrance, * the prize: a dead end, so that the rabbit is trapped if the fox comes after it.
"""

from __future__ import annotations

import numpy as np

from quantal.dynamics import Independent
from quantal.game import MarkovGame
from quantal.maps import ORTHOGONAL, STAY, Map, on_joint_axis

MAP = Map.parse("""
.......
.......
.......
.......
###o###
###*###
""")

ENTRANCE = MAP.find("o")[0]
PRIZE = MAP.find("*")[0]


def game() -> MarkovGame:
    """Make the game; the paper plays it with T = 12.

    In every step the rabbit gets +0.3 on the prize, and -2 (the fox +2) in one cell with the fox;
    the positions after the last move count alike (R_F = R). Both start anywhere in the field, not
    in one cell.

    From the paper: the rewards and the horizon. Reconstructed: the map, see the module.

    Returns
    -------
    MarkovGame
        Agents ``rabbit`` and ``fox`` on the joint states (cell of the rabbit, cell of the fox).
    """
    n, moves = len(MAP), MAP.moves(ORTHOGONAL | STAY)
    caught = np.eye(n)
    rabbit = -2.0 * caught
    rabbit[PRIZE] += 0.3
    fox = 2.0 * caught
    field = np.ones(n)
    field[[ENTRANCE, PRIZE]] = 0.0
    apart = np.outer(field, field) * (1 - caught)
    marks = {ENTRANCE: "o", PRIZE: "*"}
    return MarkovGame(
        state_shape=(n, n),
        rewards=(rabbit[:, :, None, None], fox[:, :, None, None]),
        final_rewards=(rabbit, fox),
        dynamics=Independent([moves.successors] * 2),
        legal=tuple(on_joint_axis(moves.legal, j, 2) for j in range(2)),
        actions=(moves.names,) * 2,
        agents=("rabbit", "fox"),
        start=apart / apart.sum(),
        state_labels=(MAP.labels,) * 2,
        coordinates=(MAP.coordinates,) * 2,
        name="rabbit-hole (reconstructed map)",
        picture=MAP.boxes([marks.get(k, "") for k in range(n)])
        + "\no entrance, * prize: +0.3 for the rabbit; a catch: fox +2, rabbit -2.",
    )
