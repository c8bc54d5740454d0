"""Where a crowd's forecast is good and where it is not: `python -m benchmarks.crowd_gap`.

Two agents who swap places, on three maps, and three on two, over weights mu and precisions beta: total variation from
the exact game on joint positions (`qt.compare`), averaged over time and agents: of policies, of occupancies, and how
much the exact policy depends on where the others are, which no policy of a crowd can: the price of the approximation
that better solving does not pay.
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


def maps() -> dict[str, tuple[np.ndarray, list[tuple[int, int]]]]:
    """Which cells are open, and where each agent starts and wants to go."""
    every = np.ones(ROOM * ROOM, dtype=bool)
    corridor = np.zeros_like(every)
    corridor[:ROOM] = True
    passing_place = corridor.copy()
    passing_place[ROOM + 1] = True
    yard = np.zeros((ROOM, ROOM), dtype=bool)
    yard[:3, :3] = True
    ends = (0, ROOM - 1)
    return {
        "open room": (every, [(0, ROOM * ROOM - 1), (ROOM * ROOM - 1, 0)]),
        "corridor": (corridor, [ends, ends[::-1]]),
        "corridor with a passing place": (passing_place, [ends, ends[::-1]]),
        "yard of 3 x 3, three agents": (yard.ravel(), [(0, 2 * ROOM + 2), (2 * ROOM + 2, 0), (2, 2 * ROOM)]),
        "passing place, three agents": (passing_place, [ends, ends[::-1], (1, ROOM - 1)]),
    }


BETAS = (0.5, 2.0, 8.0)


def gap(open_cells: np.ndarray, trips: list[tuple[int, int]], weight: float, beta: float) -> str:
    """Policy, occupancy, seeing; with a star where either solution did not converge."""
    game = qt.CrowdGame(
        cells=ROOM * ROOM,
        kinds=[walker(open_cells)],
        members=[
            qt.Member(letter, "walker", start, goal=goal, goal_reward=3.0, weight=weight)
            for letter, (start, goal) in zip("abc", trips, strict=False)
        ],
    )
    found = qt.compare(qt.solve(game, beta=beta, horizon=HORIZON))
    tables = (found.policy, found.occupancy, found.unseen)
    means = [np.mean([table[i].mean() for i in range(len(trips))]) for table in tables]
    star = "" if found.crowd.converged and found.exact.converged else " *"
    return ", ".join(f"{mean:.3f}" for mean in means) + star


def main() -> None:
    """Print the table."""
    print(f"| map | mu | {' | '.join(f'beta {beta:g}' for beta in BETAS)} |")
    print(f"| --- | --: | {' | '.join('--:' for _ in BETAS)} |")
    for name, (open_cells, trips) in maps().items():
        for weight in (0.1, 1.0, 4.0):
            cells = [gap(open_cells, trips, weight, beta) for beta in BETAS]
            print(f"| {name} | {weight:g} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
