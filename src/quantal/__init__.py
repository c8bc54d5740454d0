"""Non-cooperative agents who explore: exact logit Markov quantal response equilibria, with certificates.

>>> import quantal as qt
>>> game = qt.games.pursuit.three_players()
>>> solution = qt.solve(game, beta=1.0, horizon=3)
>>> solution.converged
True
"""

from quantal import games
from quantal.certify import Certificate, certify
from quantal.dynamics import Coupled, Independent
from quantal.errors import FileError, GameError, ParameterError, QuantalError, TooLargeError
from quantal.evaluation import exploitability
from quantal.game import MarkovGame
from quantal.path import Bifurcation, Fold, Path, solve_path
from quantal.solution import Branch, PerAgent, Solution, Status
from quantal.solve import solve

__version__ = "0.1.0"

__all__ = [
    "Bifurcation",
    "Branch",
    "Certificate",
    "Coupled",
    "FileError",
    "Fold",
    "GameError",
    "Independent",
    "MarkovGame",
    "ParameterError",
    "Path",
    "PerAgent",
    "QuantalError",
    "Solution",
    "Status",
    "TooLargeError",
    "certify",
    "exploitability",
    "games",
    "solve",
    "solve_path",
]
