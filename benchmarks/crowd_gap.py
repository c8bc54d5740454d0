"""Where a crowd's forecast is good and where it is not: `python -m benchmarks.crowd_gap`.

Two agents who swap places, on three maps, over weights mu and precisions beta: total variation from the exact game on
joint positions (`qt.compare`), averaged over time and agents. `seeing` is how much the exact policy depends on where
the other one is, which no policy of a crowd can: the price of the approximation that better solving does not pay.
"""

from __future__ import annotations

import numpy as np

import quantal as qt
from benchmarks.sweep import map_moves

HORIZON = 8
ROOM = 4
"""The open map is ROOM x ROOM."""


def walker(open_cells: np.ndarray) -> qt.Kind:
    """Stay and four neighbours on the open cells of a ROOM x ROOM map."""
    successors, legal = map_moves(ROOM)
    return qt.Kind(
        "walker",
        actions=("stay", "up", "down", "left", "right"),
        successors=successors,
        legal=legal & open_cells[:, None] & open_cells[successors],
        rewards=np.full(ROOM * ROOM, -0.2),
    )


def maps() -> dict[str, tuple[np.ndarray, tuple[int, int]]]:
    """Which cells are open, and the two ends."""
    every = np.ones(ROOM * ROOM, dtype=bool)
    corridor = np.zeros_like(every)
    corridor[:ROOM] = True
    passing_place = corridor.copy()
    passing_place[ROOM + 1] = True
    return {
        "open room": (every, (0, ROOM * ROOM - 1)),
        "corridor": (corridor, (0, ROOM - 1)),
        "corridor with a passing place": (passing_place, (0, ROOM - 1)),
    }


def main() -> None:
    """Print the table."""
    print("| map | mu | beta | policy | occupancy | seeing | crowd |")
    print("| --- | --: | --: | --: | --: | --: | --- |")
    for name, (open_cells, (west, east)) in maps().items():
        for weight in (0.1, 1.0, 4.0):
            for beta in (0.5, 2.0, 8.0):
                game = qt.CrowdGame(
                    cells=ROOM * ROOM,
                    kinds=[walker(open_cells)],
                    members=[
                        qt.Member("a", "walker", west, goal=east, goal_reward=3.0, weight=weight),
                        qt.Member("b", "walker", east, goal=west, goal_reward=3.0, weight=weight),
                    ],
                )
                found = qt.compare(qt.solve(game, beta=beta, horizon=HORIZON))
                policy, occupancy, seeing = (
                    np.mean([table[i].mean() for i in range(2)])
                    for table in (found.policy, found.occupancy, found.unseen)
                )
                print(
                    f"| {name} | {weight} | {beta} | {policy:.3f} | {occupancy:.3f} | {seeing:.3f} | "
                    f"{found.crowd.status.name.lower()} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
