"""Published experiments: games that people played, and how often they chose what.

The twelve completely mixed 2x2 games of Selten & Chmura (2008): payoffs and observed frequencies,
typed in. Games 1 to 6 have constant sums; games 7 to 12 add constants to them that change no best
reply, so that game k + 6 has the equilibria, Nash and logit, of game k.

References
----------
Selten, R. & Chmura, T. (2008). Stationary Concepts for Experimental 2x2-Games. American Economic
Review 98(3), 938-966. Figures after the authors' data as kept in
github.com/JamesBlandEcon/BayesianQRE (data/Selten2008.xlsx: payoffs and cohort frequencies over 200
rounds, averaged over the cohorts here) and github.com/JamesBlandEcon/ApproxQRE
(data/SC2008Summarized.rds: counts in the last 100 rounds).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from quantal.errors import GameError
from quantal.game import MarkovGame

SOURCE = (
    "Selten & Chmura (2008), Stationary Concepts for Experimental 2x2-Games, American Economic Review 98(3), 938-966"
)


@dataclass(frozen=True, eq=False)
class Experiment:
    """A game and how it was played.

    Attributes
    ----------
    name
        Short name.
    game
        The game, in normal form.
    observed
        Mean observed frequency of each action, one array (A_i,) per agent.
    observations
        Number of choices of each agent (role) behind the frequencies.
    source
        Where the numbers are from.
    """

    name: str
    game: MarkovGame
    observed: tuple[Float[np.ndarray, "_"], ...]
    observations: int
    source: str

    @property
    def counts(self) -> tuple[Float[np.ndarray, "_"], ...]:
        """How often each action was chosen, (A_i,) per agent; not whole where the source rounds."""
        return tuple(self.observations * frequencies for frequencies in self.observed)


def selten_chmura_2008(rounds: str = "all") -> tuple[Experiment, ...]:
    """Return the twelve games, in order.

    Parameters
    ----------
    rounds
        ``"all"`` 200 rounds, or the ``"last 100"``.

    Returns
    -------
    tuple of Experiment
        Agents ``row`` (up, down) and ``column`` (left, right).
    """
    if rounds not in ("all", "last 100"):
        raise GameError(f"rounds: expected 'all' or 'last 100': got {rounds!r}")
    return tuple(_selten_chmura(number, rounds) for number in range(1, 13))


# Payoffs (row, column) of up-left, up-right, down-left, down-right; over all 200 rounds the
# frequencies of up and left; in the last 100 the counts of up and left.
_SELTEN_CHMURA: tuple[tuple[tuple[tuple[int, int], ...], tuple[float, float], tuple[int, int]], ...] = (
    (((10, 8), (0, 18), (9, 9), (10, 8)), (0.07902, 0.69008), (309, 3424)),
    (((9, 4), (0, 13), (6, 7), (8, 5)), (0.21692, 0.527), (966, 2584)),
    (((8, 6), (0, 14), (7, 7), (10, 4)), (0.163, 0.79275), (753, 3922)),
    (((7, 4), (0, 11), (5, 6), (9, 2)), (0.28583, 0.73583), (1423, 3573)),
    (((7, 2), (0, 9), (4, 5), (8, 1)), (0.32742, 0.66367), (1579, 3230)),
    (((7, 1), (1, 7), (3, 5), (8, 0)), (0.44525, 0.59642), (2115, 2876)),
    (((10, 12), (4, 22), (9, 9), (14, 8)), (0.14117, 0.5635), (246, 1506)),
    (((9, 7), (3, 16), (6, 7), (11, 5)), (0.25, 0.5865), (568, 1481)),
    (((8, 9), (3, 17), (7, 7), (13, 4)), (0.254, 0.82717), (595, 2017)),
    (((7, 6), (2, 13), (5, 6), (11, 2)), (0.3655, 0.6995), (852, 1666)),
    (((7, 4), (2, 11), (4, 5), (10, 1)), (0.33133, 0.652), (814, 1573)),
    (((7, 3), (3, 9), (3, 5), (10, 0)), (0.43917, 0.60433), (1059, 1478)),
)


def _selten_chmura(number: int, rounds: str) -> Experiment:
    cells, (up, left), (last_up, last_left) = _SELTEN_CHMURA[number - 1]
    observations = 9600 if number <= 6 else 4800  # per role: 12 or 6 cohorts of 4 + 4 people
    if rounds == "last 100":
        observations //= 2
        up, left = last_up / observations, last_left / observations
    payoffs = np.array(cells, dtype=np.float64).reshape(2, 2, 2)
    name = f"Selten & Chmura game {number}"
    game = MarkovGame.normal_form(
        (payoffs[..., 0], payoffs[..., 1]),
        agents=("row", "column"),
        actions=(("up", "down"), ("left", "right")),
        name=name,
        picture=_table(cells),
    )
    observed = (np.array([up, 1 - up]), np.array([left, 1 - left]))
    return Experiment(name, game, observed, observations, SOURCE)


def _table(cells: tuple[tuple[int, int], ...]) -> str:
    """Draw the payoffs, row player's first."""
    pairs = [f"{row}, {column}".center(8) for row, column in cells]
    edge = "      +--------+--------+"
    return "\n".join(
        (
            "         left    right",
            edge,
            f"up    |{pairs[0]}|{pairs[1]}|",
            edge,
            f"down  |{pairs[2]}|{pairs[3]}|",
            edge,
        )
    )
