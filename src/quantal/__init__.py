"""Non-cooperative agents who explore: exact logit Markov quantal response equilibria, with certificates.

>>> import quantal as qt
>>> game = qt.games.pursuit.three_players()
>>> solution = qt.solve(game, beta=1.0, horizon=3)
>>> solution.converged
True
"""

from quantal import baselines, games, infer
from quantal.certify import Certificate, certify
from quantal.compare import Comparison, compare
from quantal.crowds.game import CrowdGame, Kind, Member
from quantal.crowds.solution import CrowdSolution
from quantal.dynamics import Coupled, Independent
from quantal.errors import FileError, GameError, ParameterError, QuantalError, TooLargeError
from quantal.evaluation import exploitability
from quantal.game import MarkovGame
from quantal.path import Bifurcation, Fold, Path, solve_path
from quantal.rollout import Evaluation, evaluate, simulate
from quantal.scenes.reading import load_scene, read_scene
from quantal.scenes.scene import Scene
from quantal.solution import Branch, PerAgent, Solution, Status
from quantal.solve import solve
from quantal.store import load, save, to_xarray
from quantal.trajectories import Trajectories

__version__ = "0.1.0"

# Files stand above solutions in the layers, so the methods that write them are given to the class here.
for _record in (Solution, CrowdSolution, baselines.Learned):
    _record.save = save  # type: ignore[attr-defined]
    _record.to_xarray = to_xarray  # type: ignore[attr-defined]


def _shown_by(name: str):
    def _repr_html_(self: object) -> str:
        from quantal.pages import notebooks  # only notebooks ask for it

        return getattr(notebooks, name)(self)

    return _repr_html_


Solution._repr_html_ = _shown_by("solution_html")  # type: ignore[attr-defined]
MarkovGame._repr_html_ = _shown_by("game_html")  # type: ignore[attr-defined]
CrowdSolution._repr_html_ = _shown_by("crowd_html")  # type: ignore[attr-defined]


def __getattr__(name: str):
    """Pictures and pages are loaded when they are asked for: matplotlib takes a second."""
    if name in ("figures", "pages"):
        from importlib import import_module

        return import_module(f"quantal.{name}")
    raise AttributeError(f"module 'quantal' has no attribute {name!r}")


__all__ = [
    "Bifurcation",
    "Branch",
    "Certificate",
    "Comparison",
    "Coupled",
    "CrowdGame",
    "CrowdSolution",
    "Evaluation",
    "FileError",
    "Fold",
    "GameError",
    "Independent",
    "Kind",
    "MarkovGame",
    "Member",
    "ParameterError",
    "Path",
    "PerAgent",
    "QuantalError",
    "Scene",
    "Solution",
    "Status",
    "TooLargeError",
    "Trajectories",
    "baselines",
    "certify",
    "compare",
    "evaluate",
    "exploitability",
    "games",
    "infer",
    "load",
    "load_scene",
    "read_scene",
    "save",
    "simulate",
    "solve",
    "solve_path",
    "to_xarray",
]
