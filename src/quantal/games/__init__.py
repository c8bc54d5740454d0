"""Games ready to solve: plain builders, and a catalogue of them for the command line.

``games.pursuit``, ``games.grid``, ``games.rabbit_hole`` and ``games.driving`` are the paper's games,
``games.warehouse`` is an example of its Section 5, ``games.random`` draws games from a seed, ``games.coordination``
has a branch that folds, and ``games.experiments`` holds published experiments. Every docstring says what is from its
source and what is reconstructed.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from quantal.errors import GameError
from quantal.game import MarkovGame
from quantal.games import coordination, driving, experiments, grid, pursuit, rabbit_hole, random, warehouse

__all__ = [
    "CATALOGUE",
    "Entry",
    "build",
    "coordination",
    "driving",
    "experiments",
    "grid",
    "pursuit",
    "rabbit_hole",
    "random",
    "warehouse",
]


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A game of the catalogue, with the setting that suits it.

    Attributes
    ----------
    builder
        Makes the game.
    summary
        What it is, in a line.
    horizon
        Number of decisions; `None` where it is played for ever, or once (``discount=0``).
    discount
        Discount per step; `None` where a horizon ends the game.
    beta
        Precision of the agents.
    """

    builder: Callable[[], MarkovGame]
    summary: str
    horizon: int | None = None
    discount: float | None = None
    beta: float = 1.0


def _experiment(number: int) -> MarkovGame:
    return experiments.selten_chmura_2008()[number - 1].game


CATALOGUE: dict[str, Entry] = {
    "pursuit-two": Entry(
        builder=pursuit.two_players,
        summary="a hunter and a prey that moves diagonally, on a 3x3 graph (Section 7)",
        horizon=22,
    ),
    "pursuit-two-orthogonal": Entry(
        builder=partial(pursuit.two_players, "orthogonal"),
        summary="a hunter and a prey that move alike, on a 3x3 graph (Section 7)",
        horizon=22,
    ),
    "pursuit-three": Entry(
        builder=pursuit.three_players,
        summary="two hunters, who must not collide, and a prey (Section 7, Figures 3 and 4)",
        horizon=3,
    ),
    "pursuit-one-step": Entry(
        builder=pursuit.one_step,
        summary="two hunters and a prey, one move from the start where nobody moves (Section 7)",
        horizon=1,
    ),
    "grid-one": Entry(
        builder=grid.game_one,
        summary="two agents cross each other's way on 2x2 cells (Figure 1, grid game I)",
        horizon=3,
    ),
    "grid-one-3x3": Entry(
        builder=partial(grid.game_one, "3x3"),
        summary="two agents cross to opposite corners of 3x3 cells (grid game I, Greenwald & Hall)",
        horizon=8,
    ),
    "grid-two": Entry(
        builder=grid.game_two,
        summary="two agents, one goal, and barriers that may hold them up (Figure 5, grid game II)",
        horizon=6,
    ),
    "rabbit-hole": Entry(
        builder=rabbit_hole.game,
        summary="a fox, a rabbit, and a prize in a hole with one entrance (Section 7)",
        horizon=12,
    ),
    "stag-hunt": Entry(
        builder=coordination.stag_hunt,
        summary="two hunters, one stag: a branch with two folds, three equilibria between them",
        discount=0.0,
    ),
    "random": Entry(
        builder=partial(random.stochastic, 8, 2, 4),
        summary="a random stochastic game: 8 states, 2 agents, 4 actions, seed 0",
        discount=0.95,
    ),
    **{
        f"selten-chmura-{number}": Entry(
            builder=partial(_experiment, number),
            summary=f"game {number} of the twelve 2x2 games of Selten & Chmura (2008)",
            discount=0.0,
            beta=1.05,
        )
        for number in range(1, 13)
    },
}
"""Names for the command line, in the order of the paper."""


def build(name: str) -> MarkovGame:
    """Make the game of this name.

    Raises
    ------
    GameError
        If there is no such name; the message lists the nearest ones.
    """
    if name not in CATALOGUE:
        near = difflib.get_close_matches(name, CATALOGUE, n=3, cutoff=0.4)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(CATALOGUE)}."
        raise GameError(f"no game {name!r}. {hint}")
    return CATALOGUE[name].builder()
