"""The branch beta -> equilibrium over many precisions, in one pass.

Stationary and one-shot games are followed by pseudo-arclength through folds (`quantal.solvers.continuation`), so that a
beta may be met several times. A finite horizon has no single branch in beta (each stage's game depends on the later
ones' equilibria); there every stage game follows its own branch from one beta to the next.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import jax
import numpy as np

from quantal import request
from quantal.certify import proved_unique
from quantal.errors import ParameterError, TooLargeError
from quantal.game import MarkovGame
from quantal.layout import Model, model_of, to_public
from quantal.precision import double_precision
from quantal.request import Request
from quantal.solution import Branch, PerAgent, Solution, Status
from quantal.solve import DISTINCT, distance, solve_many, stationary_solution, traceable
from quantal.solvers import continuation, stationary
from quantal.solvers.continuation import Crossing


@dataclass(frozen=True)
class Fold:
    """Where the branch turns back in beta."""

    beta: float
    policy: PerAgent

    def __str__(self) -> str:
        return f"fold at beta = {self.beta:.6g}"


@dataclass(frozen=True)
class Bifurcation:
    """Where another branch crosses this one; symmetric games have them."""

    beta: float

    def __str__(self) -> str:
        return f"bifurcation at beta = {self.beta:.6g}"


@dataclass(frozen=True, eq=False)
class Step:
    """A point on the way along a branch.

    Attributes
    ----------
    beta, policy, value
        Where it is.
    kind
        "asked": one of the precisions asked for; "fold": where the branch turns back; "followed": in between.
    stretch
        How many folds were passed before it; beta rises on stretches 0, 2, 4...
    solution
        The whole record, of an asked one.
    """

    beta: float
    policy: PerAgent
    value: PerAgent
    kind: Literal["asked", "fold", "followed"]
    stretch: int
    solution: Solution | None = None


@dataclass(frozen=True, eq=False)
class Path(Sequence[Solution]):
    """One solution per beta asked for (the branch's first arrival there), in the order asked for.

    Attributes
    ----------
    betas
        What was asked for.
    folds, bifurcations
        Met on the way up to the largest beta, in order.
    passes
        Per beta, every point of the branch met up to its first passage of the largest beta, in order of arclength;
        `path[k]` is `passes[k][0]`.
    curve
        (beta, policies) of the points that path following accepted, for drawing; empty with a horizon.
    trail
        All that is known of a followed branch (passes, folds, curve), in order of arclength; empty with a horizon.
    complete
        Whether the branch was followed to the largest beta.
    """

    betas: tuple[float, ...]
    solutions: tuple[Solution, ...]
    passes: tuple[tuple[Solution, ...], ...]
    folds: tuple[Fold, ...] = ()
    bifurcations: tuple[Bifurcation, ...] = ()
    curve: tuple[tuple[float, PerAgent], ...] = ()
    trail: tuple[Step, ...] = ()
    complete: bool = True

    def __getitem__(self, k):  # type: ignore[override]
        return self.solutions[k]

    def __len__(self) -> int:
        return len(self.solutions)

    def __iter__(self) -> Iterator[Solution]:
        return iter(self.solutions)

    @property
    def converged(self) -> bool:
        """Whether every solution converged."""
        return self.complete and all(s.converged for s in self.solutions)

    def __repr__(self) -> str:
        events = ", ".join(map(str, (*self.folds, *self.bifurcations))) or "no folds or bifurcations"
        return f"<Path over {len(self.betas)} betas, {min(self.betas):g} to {max(self.betas):g}: {events}>"


@double_precision
def solve_path(
    game: MarkovGame,
    betas: Sequence[float] | np.ndarray,
    *,
    horizon: int | None = None,
    discount: float | Sequence[float] | np.ndarray | None = None,
    value: str = "expected",
    tol: float | None = None,
    progress: Callable[[float], None] | None = None,
) -> Path:
    """Solve a game at many precisions in one pass.

    Parameters
    ----------
    game
        What is played.
    betas
        Precisions, alike for all agents, in any order.
    horizon, discount, value, tol
        As in `quantal.solve`.
    progress
        Called with the share done, 0 to 1.

    Raises
    ------
    ParameterError
        If a parameter cannot be used.
    TooLargeError
        If a stationary game is too large to follow its branch.
    """
    request.check_progress(progress)
    try:
        values = np.asarray(betas, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"betas={betas!r}: expected a non-empty list of numbers") from error
    if values.ndim != 1 or values.size == 0:
        raise ParameterError(f"betas: expected a non-empty list of numbers: got shape {values.shape}")
    for beta in values:
        asked = request.check(game, beta=float(beta), horizon=horizon, discount=discount, value=value, tol=tol)
    asked = request.check(
        game, beta=float(values.max()), horizon=horizon, discount=discount, value=value, tol=tol, method="continuation"
    )
    request.check_memory(game, asked.horizon)
    levels = np.unique(values)
    model = model_of(game)
    one_shot = asked.horizon is None and (asked.discount == 0).all() and game.number_of_states > 1
    if asked.horizon is not None or one_shot:
        solutions = solve_many(game, model, asked, levels, progress)
        found = Path(tuple(levels), solutions, tuple((s,) for s in solutions))
    else:
        found = _branch(game, model, asked, levels, progress)
    where = [int(np.searchsorted(levels, beta)) for beta in values]
    return replace(
        found,
        betas=tuple(float(b) for b in values),
        solutions=tuple(found.solutions[k] for k in where),
        passes=tuple(found.passes[k] for k in where),
    )


def _branch(
    game: MarkovGame, model: Model, asked: Request, levels: np.ndarray, progress: Callable[[float], None] | None
) -> Path:
    if not traceable(model):
        raise TooLargeError(
            f"following the branch of this game needs its joint payoffs in memory ({game.number_of_states} states x "
            f"{int(np.prod(game.action_counts))} joint actions x {game.number_of_agents} agents), more than is set "
            "aside for that. Call solve(method='picard') at each beta instead"
        )
    top = float(levels[-1])
    scale = top if top > 0 else 1.0
    beta = jax.device_put(np.full(game.number_of_agents, scale))
    curve = stationary.StationaryCurve(model, beta, jax.device_put(asked.discount), asked.value)
    targets = levels / scale
    followed = continuation.follow(curve, stationary.origin(curve), targets, progress)
    crossings = sorted(followed.crossings, key=lambda c: c.order)
    met = {c.target for c in crossings}
    # Where the branch was lost before it got to a level: say so, with the last point reached.
    end = followed.points[-1][1] if followed.points else np.asarray(stationary.origin(curve).y)
    crossings += [Crossing(k, end, np.inf) for k in range(levels.size) if k not in met]
    found = stationary.read_points(curve, [c.y for c in crossings], [levels[c.target] / scale for c in crossings])
    settings = _settings(game, asked, levels)
    passes: list[list[Solution]] = [[] for _ in levels]
    trail: list[tuple[float, Step]] = []
    for crossing, point in zip(crossings, found, strict=True):
        lost = crossing.order == np.inf
        here, unique = settings[crossing.target]
        solution = stationary_solution(game, model, here, point, unique=unique, traced=not lost, lost=lost, notes=[])
        if lost:
            solution = replace(solution, status=Status.LOST, branch=Branch.UNLABELLED)
        known = passes[crossing.target]
        if all(distance(solution, other) > DISTINCT for other in known):
            known.append(solution)
            if not lost:
                step = Step(float(levels[crossing.target]), solution.policy, solution.value, "asked", 0, solution)
                trail.append((crossing.order, step))

    def steps(points: list[tuple[float, np.ndarray]], kind: Literal["fold", "followed"]) -> list[Step]:
        read = stationary.read_points(curve, [y for _, y in points], [t for t, _ in points])
        return [
            Step(
                t * scale,
                PerAgent(game.agents, tuple(to_public(np.asarray(p), game.state_shape) for p in each.policies)),
                PerAgent(game.agents, tuple(np.asarray(v).reshape(game.state_shape) for v in each.values)),
                kind,
                0,
            )
            for (t, _), each in zip(points, read, strict=True)
        ]

    folds, points = steps(followed.folds, "fold"), steps(followed.points, "followed")
    trail += zip(followed.fold_orders, folds, strict=True)
    trail += zip(map(float, range(len(points))), points, strict=True)
    return Path(
        betas=tuple(map(float, levels)),
        solutions=tuple(p[0] for p in passes),
        passes=tuple(tuple(p) for p in passes),
        folds=tuple(Fold(fold.beta, fold.policy) for fold in folds),
        bifurcations=tuple(Bifurcation(t * scale) for t in followed.bifurcations),
        curve=tuple((point.beta, point.policy) for point in points),
        trail=_in_order(trail, followed.fold_orders, scale),
        complete=followed.complete,
    )


def _in_order(trail: list[tuple[float, Step]], folds: list[float], scale: float) -> tuple[Step, ...]:
    """Steps by arclength, on their stretches; what was followed to a beta asked for is there but once."""
    ordered: list[Step] = []
    for order, step in sorted(trail, key=lambda each: (each[0], each[1].kind != "asked")):
        placed = replace(step, stretch=bisect.bisect_left(folds, order))
        pair = {"asked", "followed"}
        if ordered and {ordered[-1].kind, placed.kind} == pair and abs(ordered[-1].beta - step.beta) <= 1e-12 * scale:
            if placed.kind == "followed":
                continue
            ordered.pop()
        ordered.append(placed)
    return tuple(ordered)


def _settings(game: MarkovGame, asked: Request, levels: np.ndarray) -> list[tuple[Request, bool]]:
    """What is asked for at each level, increasing, and whether it is proved to have one equilibrium.

    The bound behind the proof grows with beta, so the proof holds up to some level.
    """
    here = [replace(asked, beta=np.full(game.number_of_agents, level)) for level in levels]
    proved = bisect.bisect_left(here, True, key=lambda each: not proved_unique(game, each))
    return [(each, k < proved) for k, each in enumerate(here)]
