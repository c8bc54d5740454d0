r"""Play at theta, found from play at the theta before: what a learner needs who thinks again after every step.

Newton's method on the equilibrium, from the last one, costs some few linear systems where a solve follows a branch from
beta = 0; it stays on the branch while theta moves little, and where it does not settle, or play would jump, the game is
solved afresh (`quantal.infer.exact`). A crowd goes on alternating from its last occupancies. Either is at hand before a
`Solution` is: that record is made when somebody asks for it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from quantal import request
from quantal.certify import proved_unique
from quantal.crowds.game import CrowdGame
from quantal.crowds.solution import CrowdSolution
from quantal.game import MarkovGame
from quantal.infer.data import Observed
from quantal.infer.exact import ExactProblem, Point
from quantal.infer.expectations import Seen, expected
from quantal.infer.features import Features
from quantal.infer.matching import Answer, Terms
from quantal.infer.parameters import Affine
from quantal.layout import model_of
from quantal.logit import check_value_rule
from quantal.solution import Parameters, PerAgent, Solution
from quantal.solve import solve, stationary_solution
from quantal.solvers import stationary


@dataclass(frozen=True, eq=False)
class _Play:
    """Policies, as `quantal.infer.expectations.expected` reads them."""

    game: MarkovGame
    policy: PerAgent
    parameters: Parameters


class Walk:
    """Play by everyone at a theta that moves; inside `double_precision`.

    Attributes
    ----------
    theta
        Where play is known now, (K,).
    solves
        How often the game was solved afresh, the first time included.
    """

    def __init__(self, game: MarkovGame | CrowdGame, features: Features, terms: Terms, theta: np.ndarray) -> None:
        self._game, self._features, self._terms = game, features, terms
        self.theta, self.solves = theta, 0
        self._solution: Answer | None = None
        self._policy: Any = None
        self._problem: ExactProblem | None = None
        self._fresh = False
        self._solve()
        solution = self._solution
        if isinstance(game, MarkovGame) and isinstance(solution, Solution):
            self._problem = _posed(game, features, solution)
            self._point = self._problem.point(solution)
            # Programs are made ready now, not at the first step.
            self.move(theta)
            self.expected(1)

    def _solve(self) -> None:
        self._solution = self._terms.solve(self._features.game_with(self._game, self.theta))
        self._policy = self._solution.policy
        self.solves, self._fresh = self.solves + 1, True
        if isinstance(self._solution, Solution):
            self._anchor = self._solution
            if self._problem is not None:
                self._point = self._problem.point(self._solution)

    def move(self, theta: np.ndarray) -> None:
        """Find play at theta."""
        self.theta = theta
        problem = self._problem
        if problem is not None:
            found = problem.moved(self._point, theta)
            if found is not None:
                self._point, self._solution, self._fresh = found, None, False
                self._policy = _policies(problem, found)
                return
        elif isinstance(self._solution, CrowdSolution) and self._solution.converged:
            found = self._terms.solve(self._features.game_with(self._game, theta), self._solution)
            if found.converged:
                self._solution, self._policy = found, found.policy
                return
        self._solve()

    def afresh(self) -> None:
        """Solve at theta anew, on the principal branch; a crowd, which has none, goes on as it is."""
        if self._problem is not None and not self._fresh:
            self._solve()

    @property
    def policy(self) -> Any:
        """Policies per agent, as a solution has them."""
        return self._policy

    @property
    def horizon(self) -> int | None:
        """Decisions of an episode; None for stationary play, and for a game played once."""
        return (self._solution or self._anchor).parameters.horizon

    def expected(self, occasions: Seen | int) -> Float[np.ndarray, " K"]:
        """Per-step average of features, over the lengths and from the starts that were seen; or from the game's."""
        played: Any = self._solution
        if played is None:
            assert isinstance(self._game, MarkovGame)
            played = _Play(self._game, self._policy, self._anchor.parameters)
        return expected(self._features, played, occasions)

    @property
    def solution(self) -> Answer:
        """The record of play at theta; made now, and checked, where Newton's method was there before it."""
        if self._solution is None:
            assert self._problem is not None
            self._solution = _record(self._problem, self._point, self.theta, self._anchor)
        return self._solution


def _posed(game: MarkovGame, features: Features, solution: Solution) -> ExactProblem:
    """The game with every weight unknown, and nothing seen."""
    asked = solution.parameters
    lead = () if asked.horizon is None else (asked.horizon,)
    nothing = Observed(tuple(np.zeros((*lead, *game.state_shape, len(names))) for names in game.actions))
    number, agents = features.number, game.number_of_agents
    return ExactProblem.of(
        game,
        features,
        nothing,
        Affine(np.zeros(number), np.eye(number)),
        Affine(np.asarray(asked.beta), np.zeros((agents, number))),
        np.asarray(asked.discount),
        asked.horizon,
        check_value_rule(asked.value),
    )


def _logits(problem: ExactProblem, point: Point) -> list[np.ndarray]:
    """Centred logits per agent, (T or 1, *states, A_i); minus infinity where illegal."""
    game, z = problem.game, np.asarray(point.z)
    edges = np.cumsum((0, *game.action_counts))
    found = []
    for i, (a, b) in enumerate(itertools.pairwise(edges)):
        own = np.moveaxis(z[:, a:b], 1, -1).reshape(len(z), *game.state_shape, b - a)
        found.append(np.where(game.legal[i], own, -np.inf))
    return found


def _policies(problem: ExactProblem, point: Point) -> PerAgent:
    policies = []
    for own in _logits(problem, point):
        weights = np.exp(own - own.max(axis=-1, keepdims=True))
        policies.append(weights / weights.sum(axis=-1, keepdims=True))
    if problem.horizon is None:
        policies = [pi[0] for pi in policies]
    return PerAgent(problem.game.agents, tuple(policies))


def _record(problem: ExactProblem, point: Point, theta: np.ndarray, anchor: Solution) -> Solution:
    """Judge a point, and make the record; `anchor` is a solution on the same terms."""
    game, asked = problem.game_at(theta), anchor.parameters
    terms: Any = {"beta": asked.beta, "horizon": asked.horizon, "discount": asked.discount, "value": asked.value}
    if problem.engine.horizon is not None:
        q = []
        for i, own in enumerate(_logits(problem, point)):
            level = np.where(game.legal[i], own / max(asked.beta[i], 1e-300), np.nan)
            q.append(level if asked.horizon is not None else level[0])
        start = replace(anchor, game=game, q=PerAgent(game.agents, tuple(q)))
        return solve(game, **terms, method="newton", start=start)
    given = request.check(game, **terms, method="newton")
    model = model_of(game)
    curve = stationary.StationaryCurve(model, jax.device_put(given.beta), jax.device_put(given.discount), given.value)
    scale = given.beta if given.value == "soft" else np.ones(len(given.beta))
    y = np.concatenate([np.asarray(point.z).reshape(-1), (scale[:, None] * np.asarray(point.values)).reshape(-1)])
    found = stationary.read_point(curve, y[:, None], np.ones(1))
    unique = proved_unique(game, given)
    return stationary_solution(game, model, given, found, unique=unique, traced=False, lost=False, notes=[])
