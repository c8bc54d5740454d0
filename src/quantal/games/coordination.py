"""Games in which agents gain by doing alike: several equilibria, and a branch that folds."""

from __future__ import annotations

import numpy as np

from quantal.game import MarkovGame

PICTURE = """\
                 eager: stag      hare
cautious: stag        16, 4      0, 2
          hare        12, 2.2    12, 2"""


def stag_hunt() -> MarkovGame:
    """A stag hunt whose principal branch folds twice, at beta = 2.97 and 0.97; made up for this library.

    The cautious hunter goes for the stag only if it counts on the other one; the eager one hardly minds what the other
    does. Between the folds there are three equilibria on one branch.
    """
    return MarkovGame.normal_form(
        (np.array([[16.0, 0.0], [12.0, 12.0]]), np.array([[4.0, 2.0], [2.2, 2.0]])),
        agents=("cautious", "eager"),
        actions=(("stag", "hare"), ("stag", "hare")),
        name="stag hunt",
        picture=PICTURE,
    )
