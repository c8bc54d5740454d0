"""Grid games I and II (Figures 1 and 5 of Etesami & Straehle, 2020): reach a goal, do not collide.

Two agents, A and B, stay or move to a neighbouring cell at the same time; a move off the map is
illegal. A collision, which costs each of the two one point, is ending a step in one cell; passing
through each other is not one. Rewards belong to the transition: R_i(x, a) is expected over the
successors.

From the paper: what is drawn and said in Figures 1 and 5 and Section 7, that is the 2x2 map of game
I, +30 at a goal,
-1 for a collision, the barriers that are passed with probability 0.5 and +2 at the goal of game II,
beta = 1. From Greenwald & Hall (2003), whose games these are: the 3x3 map of game I, and in game II
that the game ends at the first arrival. Reconstructed: what happens to agents that collide (a
parameter in game I; in game II they bounce back, but not at the goal, where both may arrive), that
an agent that has reached its goal is out of the way, and the horizons, which the paper does not
give.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np

from quantal.dynamics import Coupled
from quantal.errors import GameError
from quantal.game import MarkovGame
from quantal.maps import ORTHOGONAL, STAY, Map

Cells = tuple[int, int]
"""Where A and B are."""

Outcome = tuple[float, Cells, tuple[float, float]]
"""Probability, the next cells of A and B, their rewards."""

AGENTS = ("A", "B")
STEPS = ORTHOGONAL | STAY


def game_one(size: str = "2x2", collisions: str = "enter", *, swaps_collide: bool = False) -> MarkovGame:
    """Make grid game I: each agent has a goal of its own, +30 on reaching it, once.

    On 2x2 (the paper's Figure 1) A goes from the bottom left to a, top right, and B from the top
    left to b, bottom right. On 3x3 (Greenwald & Hall) both start in the bottom corners and cross to
    the opposite top corners. An agent at its goal has left: it stays, gets nothing more, and is not
    in the way.

    Parameters
    ----------
    size
        ``"2x2"`` or ``"3x3"``.
    collisions
        What agents do that would share a cell: ``"enter"`` it, or ``"bounce"`` back to where they
        were.
    swaps_collide
        Whether passing through each other is a collision too.

    Returns
    -------
    MarkovGame
        Agents ``A`` and ``B``, joint (`Coupled`) moves on (cell of A, cell of B).

    Notes
    -----
    Expected scores of sampled play at beta = 1, `expected` rule; the paper has 29.6, 29.6 (on 2x2, T not given):

    ============================  ================  ============================
    ..                            principal branch  where symmetry is broken
    ============================  ================  ============================
    2x2, T = 3, enter             29.62, 29.62      the same
    2x2, T = 3, bounce            29.69, 29.69      the same
    2x2, T = 3, bounce and swaps  20.01, 20.01      29.62, 29.61 or 29.61, 29.62
    3x3, T = 8, enter             29.47, 29.47      the same
    3x3, T = 8, bounce            29.39, 29.39      29.60, 29.60
    ============================  ================  ============================

    Bouncing back makes a game of coordination (who goes first?): beside the symmetric equilibrium, which is
    on the principal branch, there are others, in which one agent yields. Damped iteration (alpha = 0.1)
    leaves the symmetric one for them as soon as rounding tells the agents apart.
    """
    layouts = {
        "2x2": ("Ba\nAb", {"A": (0, 1), "B": (0, 0)}, {"A": (1, 0), "B": (1, 1)}),
        "3x3": ("b.a\n...\nA.B", {"A": (0, 2), "B": (2, 2)}, {"A": (2, 0), "B": (0, 0)}),
    }
    if size not in layouts:
        raise GameError(f"size: expected one of {', '.join(layouts)}: got {size!r}")
    if collisions not in ("enter", "bounce"):
        raise GameError(f"collisions: expected 'enter' or 'bounce': got {collisions!r}")
    drawing, starts, goals_at = layouts[size]
    plan = Map.parse(drawing)
    goals = tuple(plan.number[goals_at[agent]] for agent in AGENTS)

    def outcomes(here: Cells, there: Cells) -> list[Outcome]:
        done = [here[i] == goals[i] for i in range(2)]
        together = there[0] == there[1]
        swapped = swaps_collide and here[0] != here[1] and there == here[::-1]
        collide = (together or swapped) and not any(done)
        if collide and collisions == "bounce":
            there = here
        rewards = [30.0 * (there[i] == goals[i] and not done[i]) - collide for i in range(2)]
        return [(1.0, there, (rewards[0], rewards[1]))]

    return _game(
        plan,
        start=(plan.number[starts["A"]], plan.number[starts["B"]]),
        fixed=lambda here, i: here[i] == goals[i],
        outcomes=outcomes,
        name=f"grid game I, {size}, collisions {collisions}",
        picture=plan.boxes([_mark(plan, k) for k in range(len(plan))])
        + "\nA goes to a, B to b: +30 there, -1 each for a collision.",
    )


def game_two() -> MarkovGame:
    """Make grid game II: one goal for both, +2 each for who arrives first, behind barriers.

    On 3x3 A starts at the bottom left, B at the bottom right; the goal G is top centre. Moving up
    from one's own start passes the barrier with probability 0.5, else one stays. Who would share a
    cell other than G bounces back, -1 each. The game ends when anyone arrives; two that arrive
    together get +2 each.

    Returns
    -------
    MarkovGame
        Agents ``A`` and ``B``, joint (`Coupled`) moves on (cell of A, cell of B).

    Notes
    -----
    Most-probable-action play at beta = 1 (`expected` rule) scores 1.00, 1.25, 1.31, 1.33 for T = 3,
    4, 5, 6 and 4/3 in the limit: both push up until one has passed. The paper has 1.37, 1.37 over
    1000 plays, which is within 1.3 standard errors (0.03) of 4/3. Sampled play scores 0.21, 0.42,
    0.53, 0.60.
    """
    plan = Map.parse(".G.\n...\nA.B")
    (goal,) = plan.find("G")
    starts = (plan.find("A")[0], plan.find("B")[0])
    above = [plan.number[x, y - 1] for x, y in (plan.cells[k] for k in starts)]

    def outcomes(here: Cells, there: Cells) -> list[Outcome]:
        # Each agent's moves: through the barrier or not.
        chances = [
            [(0.5, there[i]), (0.5, here[i])] if here[i] == starts[i] and there[i] == above[i] else [(1.0, there[i])]
            for i in range(2)
        ]
        found: list[Outcome] = []
        for (p, a), (q, b) in product(*chances):
            if a == b != goal:
                found.append((p * q, here, (-1.0, -1.0)))
            else:
                found.append((p * q, (a, b), (2.0 * (a == goal), 2.0 * (b == goal))))
        return found

    return _game(
        plan,
        start=starts,
        fixed=lambda here, i: goal in here,
        outcomes=outcomes,
        name="grid game II",
        picture=plan.boxes([_mark(plan, k) for k in range(len(plan))], lids=dict.fromkeys(starts, "~"))
        + "\nBoth go to G: +2 there, -1 each for a collision; ~~~ is passed with probability 0.5.",
    )


def _mark(plan: Map, cell: int) -> str:
    x, y = plan.cells[cell]
    return plan.rows[y][x].replace(".", " ")


def _game(
    plan: Map,
    start: Cells,
    fixed: Callable[[Cells, int], bool],
    outcomes: Callable[[Cells, Cells], list[Outcome]],
    name: str,
    picture: str,
) -> MarkovGame:
    """Tabulate a game from its rules.

    Parameters
    ----------
    fixed
        Whether agent i can only stay, given where both are.
    outcomes
        What may happen if A and B, who are here, mean to go there.
    """
    n, moves = len(plan), plan.moves(STEPS)
    count = len(moves.names)
    stay = moves.names.index("stay")
    only_stay = np.arange(count) == stay
    legal = np.zeros((2, n, n, count), dtype=bool)
    rewards = np.zeros((2, n, n, count, count))
    rows: dict[tuple[int, ...], dict[int, float]] = {}
    for here in ((a, b) for a in range(n) for b in range(n)):
        for i in range(2):
            legal[i][here] = only_stay if fixed(here, i) else moves.legal[here[i]]
        over = all(fixed(here, i) for i in range(2))
        for a, b in product(np.flatnonzero(legal[0][here]), np.flatnonzero(legal[1][here])):
            cell = (*here, int(a), int(b))
            there = (int(moves.successors[here[0], a]), int(moves.successors[here[1], b]))
            row = rows.setdefault(cell, {})
            for chance, after, gains in [(1.0, here, (0.0, 0.0))] if over else outcomes(here, there):
                state = after[0] * n + after[1]
                row[state] = row.get(state, 0.0) + chance
                for i in range(2):
                    rewards[(i, *cell)] += chance * gains[i]
    width = max(map(len, rows.values()))
    successors = np.zeros((n, n, count, count, width), dtype=np.int32)
    probabilities = np.zeros(successors.shape)
    for cell, row in rows.items():
        successors[cell][: len(row)] = list(row)
        probabilities[cell][: len(row)] = list(row.values())
    begin = np.zeros((n, n))
    begin[start] = 1.0
    return MarkovGame(
        state_shape=(n, n),
        rewards=tuple(rewards),
        dynamics=Coupled(successors, probabilities),
        legal=tuple(legal),
        actions=(moves.names,) * 2,
        agents=AGENTS,
        start=begin,
        state_labels=(plan.labels,) * 2,
        coordinates=(plan.coordinates,) * 2,
        name=name,
        picture=picture,
    )
