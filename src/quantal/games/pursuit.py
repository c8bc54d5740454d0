"""Pursuit games on the 3x3 graph of Figure 2 (Section 7 of Etesami & Straehle, 2020).

From the paper: the rewards, the horizons (T = 22 for two players, 3 for three, 1 for the one-step
case), the starts I1, I2 and `ONE_STEP`, beta = 1, certain and simultaneous moves, and that everyone
may stay.

Reconstructed, because the figure is missing: the graph. Nodes are numbered row by row from 0 (top
left) to 8 (bottom right); red arrows, which the hunters follow, join orthogonal neighbours both
ways. Figure 4 and the one-step case agree with that. The black arrows, which the prey of the
two-player game follows, are lost: they are a parameter, the diagonals by default. A move without an
arrow is illegal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

import numpy as np

from quantal.dynamics import Independent
from quantal.errors import GameError
from quantal.game import MarkovGame
from quantal.maps import DIAGONAL, ORTHOGONAL, STAY, Map, Moves, on_joint_axis

GRAPH = Map.open(3, 3)
"""The nine nodes."""

I1 = (0, 8, 4)
"""First start of Figure 4: h1 at node 0, h2 at 8, the prey at 4."""

I2 = (0, 8, 2)
"""Second start of Figure 4: h1 at node 0, h2 at 8, the prey at 2."""

ONE_STEP = (1, 5, 2)
"""Start of the one-step case, T = 1: h1 at node 1, h2 at 5, the prey at 2."""

Arrows = Iterable[tuple[int, int]] | Mapping[int, Iterable[int]]
"""Arrows of a graph: pairs (from, to), or a mapping from each node to the nodes that it leads "
"to."""

_RED = """\
0 -- 1 -- 2
|    |    |
3 -- 4 -- 5
|    |    |
6 -- 7 -- 8"""

_DIAGONALS = """\
0    1    2
  \\/   \\/
  /\\   /\\
3    4    5
  \\/   \\/
  /\\   /\\
6    7    8"""


def two_players(
    prey_arrows: str | Arrows = "diagonal",
    *,
    final_reward: float = 0.0,
    start: Sequence[int] | None = None,
) -> MarkovGame:
    """Make the game of one hunter and one prey; the paper plays it with T = 22.

    The hunter gains 0.4, and the prey loses it, in every step in which both stand on one node: a
    reward on the state at the time of each of the T decisions, so that (score of the hunter) = 0.4
    x (hunts).

    From the paper: R_h = -R_p = 0.4, the hunter's red arrows, random starts (uniform over the 81
    pairs of nodes). Reconstructed: the graph, and the prey's arrows. The paper gives no final
    reward.

    Parameters
    ----------
    prey_arrows
        ``"diagonal"``, ``"orthogonal"``, or the arrows themselves: pairs (from, to), or a mapping
        from each node to its successors. Staying is always allowed.
    final_reward
        What the hunter gains, and the prey loses, if both stand on one node after the last move.
    start
        Nodes of the hunter and the prey; random if left out.

    Returns
    -------
    MarkovGame
        Agents ``h`` and ``p`` on 9 x 9 joint states.
    """
    hunter = GRAPH.moves(ORTHOGONAL | STAY)
    prey = _prey_moves(prey_arrows)
    together = np.eye(9)
    red = _aside("hunter (red arrows)", _RED)
    if isinstance(prey_arrows, str):
        black = _aside("prey", _DIAGONALS if prey_arrows == "diagonal" else _RED)
        name = f"pursuit, two players ({prey_arrows} prey)"
    else:
        black = _aside("prey", "\n".join(_listed(prey)))
        name = "pursuit, two players (prey with arrows of its own)"
    return _game(
        agents=("h", "p"),
        moves=(hunter, prey),
        rewards=(0.4 * together, -0.4 * together),
        final_rewards=(final_reward * together, -final_reward * together),
        start=start,
        name=name,
        picture=_side_by_side(red, black) + "\nEveryone may stay.",
    )


def three_players(*, start: Sequence[int] | None = None) -> MarkovGame:
    """Make the game of two hunters and one prey; the paper plays it with T = 3.

    Hunter h1 gets -15/4 where it meets h2 alone, -10/4 where all three meet, +5/4 where it meets
    the prey alone, else 0; h2 alike. The prey gets -1/8 where anyone meets it. Everyone follows the
    red arrows.

    From the paper: the rewards, and that all three follow the red arrows. Reconstructed: the graph.
    Taken: R_F = R (the last position counts like the others), which Figure 4 agrees with.

    Parameters
    ----------
    start
        Nodes of h1, h2 and the prey, for example `I1`; uniform over all 729 if left out.

    Returns
    -------
    MarkovGame
        Agents ``h1``, ``h2`` and ``p`` on 9 x 9 x 9 joint states.
    """
    h1, h2, p = np.indices((9, 9, 9), sparse=True)
    rewards = (
        _hunter_reward(h1, h2, p),
        _hunter_reward(h2, h1, p),
        np.where((p == h1) | (p == h2), -1 / 8, 0.0),
    )
    return _game(
        agents=("h1", "h2", "p"),
        moves=(GRAPH.moves(ORTHOGONAL | STAY),) * 3,
        rewards=rewards,
        final_rewards=rewards,
        start=start,
        name="pursuit, three players",
        picture=_RED + "\nEveryone may stay.",
    )


def one_step() -> MarkovGame:
    """Make the three-player game at the start of the one-step case, `ONE_STEP`: play it with T = 1.

    From the paper: the start, and that the most probable action of everyone is to stay.
    """
    return three_players(start=ONE_STEP)


def _hunter_reward(own: np.ndarray, other: np.ndarray, prey: np.ndarray) -> np.ndarray:
    """Reward of a hunter by where the three stand."""
    return np.select(
        [(own == other) & (own != prey), (own == other) & (own == prey), own == prey],
        [-15 / 4, -10 / 4, 5 / 4],
        default=0.0,
    )


def _game(
    agents: tuple[str, ...],
    moves: tuple[Moves, ...],
    rewards: tuple[np.ndarray, ...],
    final_rewards: tuple[np.ndarray, ...],
    start: Sequence[int] | None,
    name: str,
    picture: str,
) -> MarkovGame:
    """Put agents that move independently on the graph; rewards are on the state, (9, ..., 9)."""
    players = len(agents)
    shape = (len(GRAPH),) * players
    return MarkovGame(
        state_shape=shape,
        rewards=tuple(r.reshape(shape + (1,) * players) for r in rewards),
        final_rewards=final_rewards,
        dynamics=Independent([m.successors for m in moves]),
        legal=tuple(on_joint_axis(m.legal, j, players) for j, m in enumerate(moves)),
        actions=tuple(m.names for m in moves),
        agents=agents,
        start=None if start is None else _at(start, agents),
        coordinates=(GRAPH.coordinates,) * players,
        name=name,
        picture=picture,
    )


def _at(nodes: Sequence[int], agents: tuple[str, ...]) -> np.ndarray:
    """Certain start, (9, ..., 9)."""
    nodes = tuple(nodes)
    if len(nodes) != len(agents) or not all(0 <= node < len(GRAPH) for node in nodes):
        raise GameError(
            f"start: expected one node 0..8 for each of {', '.join(agents)}: got {nodes}. "
            "Leave it out to start anywhere"
        )
    start = np.zeros((len(GRAPH),) * len(agents))
    start[nodes] = 1.0
    return start


def _prey_moves(arrows: str | Arrows) -> Moves:
    if isinstance(arrows, str):
        known = {"diagonal": DIAGONAL, "orthogonal": ORTHOGONAL}
        if arrows not in known:
            raise GameError(
                f"prey_arrows: expected 'diagonal', 'orthogonal', pairs (from, to) or a mapping of "
                f"successors: got {arrows!r}"
            )
        return GRAPH.moves(known[arrows] | STAY)
    if isinstance(arrows, Mapping):
        successors = cast(Mapping[int, Iterable[int]], arrows)
        pairs = {(a, b) for a, onward in successors.items() for b in onward}
    else:
        pairs = set(arrows)
    for a, b in sorted(pairs):
        if not (0 <= a < len(GRAPH) and 0 <= b < len(GRAPH)):
            raise GameError(f"prey_arrows: arrow {a} -> {b}: expected nodes 0..{len(GRAPH) - 1}")
    return _moves_along({(a, b) for a, b in pairs if a != b})


def _moves_along(arrows: set[tuple[int, int]]) -> Moves:
    """Name arrows by their direction where they join neighbours, else by their target."""
    steps = ORTHOGONAL | DIAGONAL
    direction = {
        (a, GRAPH.number[x + dx, y + dy]): name
        for a, (x, y) in enumerate(GRAPH.cells)
        for name, (dx, dy) in steps.items()
        if (x + dx, y + dy) in GRAPH.number
    }
    label = {arrow: direction.get(arrow, f"to {arrow[1]}") for arrow in sorted(arrows)}
    far = sorted({name for name in label.values() if name not in steps})
    names = (*(name for name in steps if name in label.values()), *far, *STAY)
    successors = np.tile(np.arange(len(GRAPH))[:, None], (1, len(names)))
    legal = np.zeros(successors.shape, dtype=bool)
    legal[:, -1] = True
    for (a, b), name in label.items():
        successors[a, names.index(name)] = b
        legal[a, names.index(name)] = True
    return Moves(names, successors, legal)


def _listed(moves: Moves) -> list[str]:
    """Write arrows as lines: 0 -> 1, 3."""
    return [
        f"{a} -> {', '.join(str(b) for b in row[allowed] if b != a) or 'nowhere'}"
        for a, (row, allowed) in enumerate(zip(moves.successors, moves.legal, strict=True))
    ]


def _aside(title: str, drawing: str) -> list[str]:
    return [title, "", *drawing.split("\n")]


def _side_by_side(left: list[str], right: list[str]) -> str:
    width = max(map(len, left)) + 4
    height = max(len(left), len(right))
    left, right = (lines + [""] * (height - len(lines)) for lines in (left, right))
    return "\n".join((a.ljust(width) + b).rstrip() for a, b in zip(left, right, strict=True))
