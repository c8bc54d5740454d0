r"""How probable observed play is at an equilibrium, as a function of what agents want and how well they choose.

    l(p) = sum_i sum_{t, x} sum_a  n_i^t(x, a) log pi_i^t(a | x; p)                                    log-likelihood

n counts what was seen; pi is the equilibrium at p (MGE-I, MGE-F or MGE-FB, any value rule), on the branch of the
solution that is given or, unless one is, the principal one. Transitions drop out: they do not depend on p. Besides l:

* its gradient, exact, by one adjoint solve at the solution, however many parameters there are;
* the expected information I(p) = sum n(x) sum_a pi (d log pi)(d log pi)^T, with which Fisher's scoring climbs;
* the observed information, minus the Hessian of l (differences of exact gradients), for standard errors;
* D(p), the mean squared distance of observed frequencies from pi, the economists' other criterion: every place an
  agent was seen in counts by its share of that agent's choices, every game and agent alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from quantal.crowds.solution import CrowdSolution
from quantal.errors import ParameterError
from quantal.infer.crowd import CrowdProblem
from quantal.infer.exact import ExactProblem
from quantal.infer.parameters import Parameter
from quantal.precision import double_precision, quick_jit
from quantal.solution import Solution

STRIDE = 2e-3
"""By about how much log-policies move between gradients whose differences make a Hessian."""
CRITERIA = ("likelihood", "squared_distance")

Problem = ExactProblem | CrowdProblem


class Assessed(NamedTuple):
    """A criterion at p: its value, gradient, and the matrix that Fisher's scoring (or Gauss and Newton) climb with."""

    value: Array
    gradient: Array
    curvature: Array


class Unsolvable(ArithmeticError):  # noqa: N818
    """No equilibrium was found at some p; never leaves this package."""


# ---------------------------------------------------------------------- programs


def _log_likelihood(engine: Any, point: Any, p: Float[Array, " P"]) -> Float[Array, ""]:
    total = jnp.zeros(())
    for counts, logs in zip(engine.counts, engine.log_policies(point, p), strict=True):
        seen = counts > 0
        total = total + (counts * jnp.where(seen, logs, 0.0)).sum()
    return total


def _shares(counts: Float[Array, "b A *rest"]) -> tuple[Array, Array]:
    """How often an agent was seen in each place, and that as a share of all its choices; axes [b, 1, ..].

    An agent is one array [T, A, S], or of a crowd one row [A, T, N] of a block.
    """
    n = counts.sum(axis=1, keepdims=True)
    if counts.ndim == 3:
        return n, n / jnp.maximum(n.sum(), 1e-300)
    return n, n / jnp.maximum(n.sum(axis=(1, 2, 4), keepdims=True), 1e-300)


def _tangents(engine: Any, point: Any, p: Float[Array, " P"]) -> tuple[Any, Any]:
    """Log-policies, and their derivatives with a leading axis over p."""

    def along(e: Array) -> tuple[Any, Any]:
        return jax.jvp(lambda x: engine.log_policies(point, x), (p,), (e,))

    logs, tangents = jax.vmap(along, out_axes=(None, 0))(jnp.eye(p.size))
    return logs, tangents


@partial(quick_jit, static_argnames="criterion")
def _assess(engine: Any, point: Any, p: Float[Array, " P"], criterion: str) -> Assessed:
    logs, tangents = _tangents(engine, point, p)
    value, gradient, curvature = jnp.zeros(()), jnp.zeros(p.size), jnp.zeros((p.size, p.size))
    for counts, log, d in zip(engine.counts, logs, tangents, strict=True):
        pi = jnp.exp(log)
        if criterion == "likelihood":
            seen = counts > 0
            value = value + (counts * jnp.where(seen, log, 0.0)).sum()
            gradient = gradient + (jnp.where(seen, counts * d, 0.0)).reshape(p.size, -1).sum(axis=1)
            weight = counts.sum(axis=1, keepdims=True) * pi
            rows = jnp.where(weight > 0, d, 0.0).reshape(p.size, -1)
            curvature = curvature + (rows * weight.reshape(-1)) @ rows.T
        else:
            n, share = _shares(counts)
            off = jnp.where(n > 0, pi - counts / jnp.where(n > 0, n, 1.0), 0.0)
            rows = jnp.where(pi > 0, pi * d, 0.0).reshape(p.size, -1)
            weight = jnp.broadcast_to(share, pi.shape).reshape(-1)
            value = value + (share * off**2).sum()
            gradient = gradient + 2 * rows @ (weight * off.reshape(-1))
            curvature = curvature + 2 * (rows * weight) @ rows.T
    return Assessed(value, gradient, curvature)


@partial(quick_jit, static_argnames="criterion")
def _scatter(engine: Any, point: Any, p: Float[Array, " P"], criterion: str) -> Float[Array, "P P"]:
    """Variance of the criterion's gradient under sampling of choices, place by place from observed frequencies."""
    total = jnp.zeros((p.size, p.size))
    logs, tangents = _tangents(engine, point, p)
    for counts, log, d in zip(engine.counts, logs, tangents, strict=True):
        n, share = _shares(counts)
        seen = jnp.where(n > 0, counts / jnp.where(n > 0, n, 1.0), 0.0)
        scores = (
            d
            if criterion == "likelihood"
            else 2 * jnp.where(n > 0, share / jnp.where(n > 0, n, 1.0), 0) * (jnp.exp(log) * d)
        )
        scores = jnp.where(jnp.isfinite(scores), scores, 0.0)
        mean = (seen * scores).sum(axis=2, keepdims=True)
        rows = (scores - mean).reshape(p.size, -1)
        total = total + (rows * (n * seen).reshape(-1)) @ rows.T
    return total


@quick_jit
def _policies(engine: Any, point: Any, p: Float[Array, " P"]) -> tuple[Array, ...]:
    return tuple(jnp.exp(x) for x in engine.log_policies(point, p))


_value = quick_jit(_log_likelihood)
_gradient = quick_jit(jax.grad(_log_likelihood, argnums=2))


# ---------------------------------------------------------------------- the object


@dataclass(eq=False)
class Likelihood:
    """What was seen, as a function of parameters p: made by `quantal.infer.likelihood`.

    Every method takes p in the order of `names`. Equilibria are kept from one call to the next: a call near the last
    one costs a few Newton steps (for a crowd, a few rounds) instead of a solve.

    Attributes
    ----------
    parameters
        Names and first guesses.
    problems
        Each game with its data.
    tracing
        Whether every equilibrium is solved afresh, on the principal branch, instead of from its neighbour.
    """

    parameters: tuple[Parameter, ...]
    problems: tuple[Problem, ...]
    tracing: bool = False
    _at: list[tuple[np.ndarray, Any] | None] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._at = [None] * len(self.problems)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the parameters."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def start(self) -> np.ndarray:
        """First guesses."""
        return np.array([parameter.start for parameter in self.parameters])

    @property
    def choices(self) -> float:
        """Observed choices, over all games and agents."""
        return sum(problem.observed.choices for problem in self.problems)

    # ------------------------------------------------------------------ equilibria

    @double_precision
    def solve(self, p: Sequence[float] | np.ndarray) -> tuple[Solution | CrowdSolution, ...]:
        """Solve every game at p afresh, and go on from there."""
        p = self._checked(p)
        solutions = tuple(problem.solve(p) for problem in self.problems)
        self.use(p, solutions)
        return solutions

    @double_precision
    def use(self, p: Sequence[float] | np.ndarray, solutions: Sequence[Solution | CrowdSolution]) -> None:
        """Go on from these solutions at p, one per game, however they were found: they decide the branch."""
        p = self._checked(p)
        for k, (problem, solution) in enumerate(zip(self.problems, solutions, strict=True)):
            self._at[k] = p.copy(), problem.point(solution)  # type: ignore[arg-type]

    def _point(self, k: int, p: np.ndarray) -> Any:
        """The equilibrium of game k at p."""
        known, problem = self._at[k], self.problems[k]
        if known is not None and np.array_equal(known[0], p):
            return known[1]
        point = None
        if known is not None and not self.tracing:
            point = problem.moved(known[1], p)
        if point is None:
            solution = problem.solve(p)
            if not (solution.converged or solution.residual <= 1e-8):
                raise Unsolvable(str(solution.status))
            point = problem.point(solution)  # type: ignore[arg-type]
        self._at[k] = p.copy(), point
        return point

    @double_precision
    def policies(self, k: int, p: Sequence[float] | np.ndarray | None = None) -> tuple[np.ndarray, ...]:
        """Probabilities of game k, in the axes of its engine's counts: at p, or where the last call was."""
        known = self._at[k]
        if p is None:
            assert known is not None
            p = known[0]
        p = self._checked(p)
        return tuple(np.asarray(x) for x in _policies(self.problems[k].engine, self._point(k, p), jax.device_put(p)))

    # ------------------------------------------------------------------ derivatives

    @double_precision
    def value(self, p: Sequence[float] | np.ndarray) -> float:
        """l(p)."""
        return self._summed(p, _value)

    @double_precision
    def gradient(self, p: Sequence[float] | np.ndarray) -> Float[np.ndarray, " P"]:
        """The gradient of l, exact, by one adjoint solve per game."""
        return self._summed(p, _gradient)

    @double_precision
    def hessian(self, p: Sequence[float] | np.ndarray, criterion: str = "likelihood") -> Float[np.ndarray, "P P"]:
        """The Hessian of l (or of D), by fourth-order differences of exact gradients; minus the observed information.

        Each gradient is taken at an equilibrium of its own, next to the one at p.
        """
        p = self._checked(p)
        centre = self.assess(p, criterion)
        points = list(self._at)
        # Steps that move log-policies by about `STRIDE`, as the expected information has it.
        per_choice = np.diagonal(np.asarray(centre.curvature)) / (self.choices if criterion == "likelihood" else 1.0)
        steps = STRIDE / np.sqrt(np.maximum(per_choice, 1e-300))
        steps = np.minimum(steps, 10 * STRIDE * np.maximum(1.0, np.abs(p)))
        positive = np.array([parameter.positive for parameter in self.parameters], dtype=bool)
        steps = np.where(positive, np.minimum(steps, np.maximum(p, 1e-6) / 4), steps)

        def gradient(shift: np.ndarray) -> np.ndarray:
            self._at = list(points)
            return np.asarray(self.assess(p + shift, criterion).gradient)

        rows = []
        for k, h in enumerate(steps):
            along = h * np.eye(p.size)[k]
            near, far = (gradient(j * along) - gradient(-j * along) for j in (1, 2))
            rows.append((8 * near - far) / (12 * h))
        self._at = points
        matrix = np.array(rows)
        return 0.5 * (matrix + matrix.T)

    @double_precision
    def assess(self, p: Sequence[float] | np.ndarray, criterion: str = "likelihood") -> Assessed:
        """Value, gradient and expected information of l; or value, gradient and Gauss-Newton matrix of D."""
        p, scale = self._checked(p), self._scale(criterion)
        parts = [
            _assess(problem.engine, self._point(k, p), jax.device_put(p), criterion=criterion)
            for k, problem in enumerate(self.problems)
        ]
        return Assessed(*(sum(scale * np.asarray(x) for x in same) for same in zip(*parts, strict=True)))  # type: ignore[arg-type]

    @double_precision
    def scatter(self, p: Sequence[float] | np.ndarray, criterion: str) -> Float[np.ndarray, "P P"]:
        """Variance of the criterion's gradient, from the data alone."""
        return self._summed(p, partial(_scatter, criterion=criterion)) * self._scale(criterion) ** 2

    def _scale(self, criterion: str) -> float:
        """D is a mean over games, of what their agents add up to."""
        return 1.0 if criterion == "likelihood" else 1.0 / len(self.problems)

    def _summed(self, p: Sequence[float] | np.ndarray, program: Any) -> Any:
        p = self._checked(p)
        found = sum(
            np.asarray(program(problem.engine, self._point(k, p), jax.device_put(p)))
            for k, problem in enumerate(self.problems)
        )
        return float(found) if np.ndim(found) == 0 else found

    def _checked(self, p: Sequence[float] | np.ndarray) -> np.ndarray:
        given = np.atleast_1d(np.asarray(p, dtype=np.float64))
        if given.shape != (len(self.parameters),):
            raise ParameterError(
                f"p: expected {len(self.parameters)} numbers ({', '.join(self.names)}): got shape {given.shape}"
            )
        if not np.isfinite(given).all():
            raise ParameterError(f"p: expected finite numbers: got {given}")
        return given


def check_criterion(given: str) -> str:
    """Likelihood or squared distance."""
    if given not in CRITERIA:
        raise ParameterError(f"criterion={given!r}: expected one of {', '.join(map(repr, CRITERIA))}")
    return given
