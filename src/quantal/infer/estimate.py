r"""From a likelihood to an estimate: the search, standard errors, what is not identified, profiles.

The search is a trust region method (SciPy's ``trust-exact``) that climbs with the expected information, which is
Fisher's scoring: never indefinite, as cheap as the gradient. Precisions are searched by their logarithms. It walks from
one equilibrium to the next; where it ends the games are solved afresh, and if that is another branch, the search is
repeated with every equilibrium traced from beta = 0.

Standard errors are square roots of the diagonal of J^{-1}, J the observed information (with a prior, the posterior's).
For the squared distance, which is no likelihood, they are those of an M-estimator, H^{-1} V H^{-1}, V the variance of
its gradient under sampling of choices. A combination of parameters of which the information is zero to rounding is not
identified: it is named, and the standard errors of the parameters in it are infinite.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from quantal.crowds.solution import CrowdSolution
from quantal.errors import ParameterError
from quantal.infer.likelihood import Likelihood, Unsolvable
from quantal.request import whole
from quantal.solution import Solution

GRADIENT = 1e-8
"""Of the mean log-likelihood of a choice, at which the search stops."""
ACCEPTED = 1e-6
"""The same, at which it is still called converged: at payoffs of thousands rounding leaves no less."""
UNIDENTIFIED = 1e-10
"""Share of the largest information, each parameter measured in its own units, that counts as none."""
LARGEST_UNIT = 10.0
"""Most that a step of 1 moves a weight by."""
RIDGE = 1e-9
"""Share of its own information that is added to each parameter's, so that directions without any have some."""
RUNAWAY = 1e-2
"""A next step longer than this share of a parameter is no convergence."""
PART = 0.1
"""From this share on a parameter is part of an unidentified combination."""
DISTINCT = 1e-6
"""Play that differs by more is of another equilibrium."""
EDGE = 1e-6
"""Precisions below this are called zero."""


class EstimateStatus(enum.Enum):
    """How an estimate ended, as a sentence with advice."""

    CONVERGED = "Converged: the gradient of the criterion is zero to rounding."
    STEPS = "Not converged: the step limit was reached first. Raise max_steps, or give start= nearer to the answer."
    UNBOUNDED = (
        "Not converged: the likelihood still grows as parameters do; choices that were never seen, or always, ask for "
        "infinite weights. Give a prior (prior=0.01, for example), or merge features that are never apart."
    )
    UNSOLVED = (
        "Not converged: at some parameters no equilibrium was found. Give start= nearer to the answer, a smaller beta, "
        "or a prior that keeps weights small."
    )

    def __str__(self) -> str:
        return self.value


class Fitted(NamedTuple):
    """One observed frequency, and what the estimate makes of it."""

    game: int
    """Which of the pooled games."""
    agent: str
    place: tuple[int, ...]
    action: str
    observed: float
    predicted: float
    choices: float
    """How many choices the observed frequency is a share of."""


@dataclass(frozen=True, eq=False)
class Profile:
    """How the log-likelihood falls off as one parameter is held elsewhere, and all others give way.

    Attributes
    ----------
    name
        The parameter.
    at, log_likelihood
        Its values, increasing, and the largest log-likelihood at each; with a prior, less its penalty.
    interval
        Where it falls by less than half the 95% quantile of chi-squared (1.92); infinite where it never does.
    """

    name: str
    at: Float[np.ndarray, " n"]
    log_likelihood: Float[np.ndarray, " n"]
    interval: tuple[float, float]


@dataclass(frozen=True, eq=False, kw_only=True)
class Estimate:
    """What was estimated, how well it is known, and how it was found.

    Attributes
    ----------
    names
        Of the parameters, in the order of every array here.
    vector
        The estimates.
    covariance
        Of the estimates, from the observed information; infinite variances where a parameter is not identified.
    information
        The observed information (with a prior, that of the posterior), or of the squared distance half its Hessian.
    log_likelihood
        Of the data at the estimate, without any prior.
    distance
        Mean squared distance of observed from predicted frequencies, if that was the criterion.
    choices
        How many choices were observed.
    status, converged
        How the search ended.
    warnings
        What a reader should know: parameters that are not identified, another branch, an edge.
    steps
        Of the search.
    solutions
        The equilibrium at the estimate, one per game.
    likelihood
        The function that was maximised.
    single
        Whether there is one parameter, whose number `value` and `standard_error` then are.
    """

    names: tuple[str, ...]
    vector: Float[np.ndarray, " P"]
    covariance: Float[np.ndarray, "P P"]
    information: Float[np.ndarray, "P P"]
    log_likelihood: float
    criterion: str
    distance: float | None
    choices: float
    status: EstimateStatus
    warnings: tuple[str, ...]
    steps: int
    prior: float
    solutions: tuple[Solution | CrowdSolution, ...] = field(repr=False)
    likelihood: Likelihood = field(repr=False)
    single: bool = False

    @property
    def value(self) -> Any:
        """The estimates by name; one number where there is one parameter."""
        return self._shown(self.vector)

    @property
    def standard_error(self) -> Any:
        """Standard errors by name, or one number; infinite where not identified."""
        return self._shown(self.standard_errors)

    @property
    def standard_errors(self) -> Float[np.ndarray, " P"]:
        """In the order of `names`."""
        return np.sqrt(np.diagonal(self.covariance))

    def _shown(self, numbers: np.ndarray) -> Any:
        if self.single:
            return float(numbers[0])
        return dict(zip(self.names, map(float, numbers), strict=True))

    @property
    def converged(self) -> bool:
        """Whether the gradient vanished, or a precision went to zero."""
        return self.status is EstimateStatus.CONVERGED

    @property
    def solution(self) -> Solution | CrowdSolution:
        """The equilibrium at the estimate, of the only game (or the first)."""
        return self.solutions[0]

    def interval(self, level: float = 0.95) -> dict[str, tuple[float, float]]:
        """Wald's confidence intervals by name: the estimate and its standard error times a normal quantile.

        Of a precision, what of it is not negative; where it begins at 0, a profile tells more.
        """
        if not 0 < level < 1:
            raise ParameterError(f"level={level}: expected a share between 0 and 1, such as 0.95")
        from scipy.special import ndtri  # late: SciPy takes a while to load

        width = float(ndtri(0.5 + level / 2)) * self.standard_errors
        least = [0.0 if parameter.positive else -math.inf for parameter in self.likelihood.parameters]
        return {
            name: (max(float(x - w), low), float(x + w))
            for name, x, w, low in zip(self.names, self.vector, width, least, strict=True)
        }

    def fitted(self, least: float = 1.0) -> tuple[Fitted, ...]:
        """Observed beside predicted frequencies, of every action in every place with at least so many choices seen.

        Places are (time and) state numbers as in the data's counts; one entry per game, agent, place and action.
        """
        found: list[Fitted] = []
        for k, (problem, solution) in enumerate(zip(self.likelihood.problems, self.solutions, strict=True)):
            predictions = problem.policies(solution)  # type: ignore[arg-type]
            for i, (counts, policy) in enumerate(zip(problem.observed.counts, predictions, strict=True)):
                total = counts.sum(axis=-1)
                for place in map(tuple, np.argwhere(total >= max(least, 1e-300))):
                    for a, label in enumerate(problem.game.actions[i]):
                        share = float(counts[place][a] / total[place])
                        where = tuple(int(x) for x in place)
                        found.append(
                            Fitted(
                                k, problem.game.agents[i], where, label, share, float(policy[place][a]), total[place]
                            )
                        )
        return tuple(found)

    def profile(self, name: str = "", *, points: int = 21, width: float = 3.0) -> Profile:
        """Work out a profile likelihood.

        Parameters
        ----------
        name
            The parameter; may be left out where there is one.
        points
            How many values, spread evenly.
        width
            How far to go to each side, in standard errors.

        Raises
        ------
        ParameterError
            If there is no such parameter, or the estimate is no likelihood's.
        """
        if self.criterion != "likelihood":
            raise ParameterError("profile: expected an estimate by criterion='likelihood'")
        if not name and len(self.names) == 1:
            name = self.names[0]
        if name not in self.names:
            raise ParameterError(f"no parameter {name!r}: expected one of {', '.join(self.names)}")
        return _profile(self, self.names.index(name), points, width)

    def __repr__(self) -> str:
        rows = ", ".join(
            f"{name} = {x:.4g} ({s:.2g})"
            for name, x, s in zip(self.names, self.vector, self.standard_errors, strict=True)
        )
        return f"<Estimate {rows}; log-likelihood {self.log_likelihood:.6g}; {self.status.name.lower()}>"


# ---------------------------------------------------------------------- the search


@dataclass(eq=False)
class _Objective:
    """Minus the mean log-likelihood of a choice (or the distance), with the prior, in the coordinates of the search."""

    likelihood: Likelihood
    criterion: str
    prior: float
    held: int | None = None
    """A parameter that is held, for profiles."""
    level: float = 0.0
    unsolved: bool = False
    known: tuple[np.ndarray, float, np.ndarray, np.ndarray] | None = None

    def __post_init__(self) -> None:
        parameters = self.likelihood.parameters
        self.positive = np.array([parameter.positive for parameter in parameters], dtype=bool)
        self.penalty = self.prior * np.array([parameter.penalised for parameter in parameters], dtype=float)
        self.free = np.array([k for k in range(len(parameters)) if k != self.held], dtype=int)
        self.scale = self.likelihood.choices if self.criterion == "likelihood" else 1.0
        self.unit = np.ones(self.free.size)

    def p(self, x: np.ndarray) -> np.ndarray:
        """Parameters of a point of the search."""
        full = np.full(self.positive.size, self.level)
        x = x * self.unit
        full[self.free] = np.where(self.positive[self.free], np.exp(np.minimum(x, 700.0)), x)
        return full

    def x(self, p: np.ndarray) -> np.ndarray:
        """Inverse of `p`."""
        own = p[self.free]
        return np.where(self.positive[self.free], np.log(np.maximum(own, 1e-12)), own) / self.unit

    def measured(self, p: np.ndarray) -> None:
        """Measure weights by what a choice tells about them at p: a step of 1 is as large for any scale of payoffs."""
        information = np.diagonal(self.curvature(self.x(p)))
        known = ~self.positive[self.free] & np.isfinite(information) & (information > 0)
        self.unit = np.where(known, np.clip(1 / np.sqrt(np.where(known, information, 1.0)), 1e-9, LARGEST_UNIT), 1.0)
        self.known = None

    def _look(self, x: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
        if self.known is None or not np.array_equal(self.known[0], x):
            p = self.p(x)
            try:
                found = self.likelihood.assess(p, self.criterion)
            except Unsolvable:
                self.unsolved = True
                size = self.free.size
                return math.inf, np.zeros(size), np.eye(size)
            sign = -1.0 if self.criterion == "likelihood" else 1.0
            value = sign * float(found.value) + 0.5 * float(self.penalty @ p**2)
            gradient = (sign * np.asarray(found.gradient) + self.penalty * p)[self.free]
            matrix = (np.asarray(found.curvature) + np.diag(self.penalty))[np.ix_(self.free, self.free)]
            stretch = np.where(self.positive, p, 1.0)[self.free] * self.unit
            self.known = (
                x.copy(),
                value / self.scale,
                gradient * stretch / self.scale,
                matrix * np.outer(stretch, stretch) / self.scale,
            )
        return self.known[1:]

    def value(self, x: np.ndarray) -> float:
        """To be minimised."""
        return self._look(x)[0]

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Its gradient."""
        return self._look(x)[1]

    def curvature(self, x: np.ndarray) -> np.ndarray:
        """Fisher's (or Gauss and Newton's) matrix."""
        return self._look(x)[2]

    def definite(self, x: np.ndarray) -> np.ndarray:
        """The same with a grain of ridge: what nothing depends on stays where it is, instead of anywhere."""
        matrix = self.curvature(x)
        own = np.diagonal(matrix)
        return matrix + np.diag(np.where(own > 1e-14 * own.max(initial=0.0), RIDGE * own, 1.0))


def _minimise(
    objective: _Objective, start: np.ndarray, max_steps: int, progress: Callable[[float], None] | None = None
) -> tuple[np.ndarray, float, int]:
    """Where the search ended, the size of the gradient there, and how many steps it took."""
    from scipy.optimize import minimize  # late: SciPy takes a while to load

    if objective.free.size:
        objective.measured(start)
    x = objective.x(start)
    first = float(np.abs(objective.gradient(x)).max(initial=0.0)) if x.size else 0.0
    if first <= GRADIENT or not x.size:
        return objective.p(x), first, 0

    def report(at: np.ndarray) -> None:
        if progress is not None:
            now = max(float(np.abs(objective.gradient(at)).max()), GRADIENT)
            progress(min(1.0, max(0.0, math.log(first / now) / math.log(first / GRADIENT))))

    found: Any = minimize(
        objective.value,
        x,
        jac=objective.gradient,
        hess=objective.definite,
        method="trust-exact",
        callback=report,
        options={"gtol": GRADIENT, "maxiter": max_steps, "initial_trust_radius": 1.0},
    )
    size = float(np.abs(objective.gradient(found.x)).max())
    return objective.p(np.asarray(found.x)), size, int(found.nit)


def fit(
    likelihood: Likelihood,
    *,
    criterion: str = "likelihood",
    prior: float = 0.0,
    start: Sequence[float] | np.ndarray | None = None,
    max_steps: int = 200,
    single: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Estimate:
    """Maximise a likelihood (or minimise a distance), and say how well its parameters are known.

    Parameters
    ----------
    likelihood
        Made by `quantal.infer.likelihood`.
    criterion
        ``"likelihood"`` or ``"squared_distance"``.
    prior
        Precision of a normal prior around 0 on every weight: adds prior |theta|^2 / 2 to minus the log-likelihood.
    start
        First guess, in the order of the likelihood's names.
    max_steps
        Most steps of the search.
    single
        Whether `Estimate.value` is to be one number.
    progress
        Called with the share done.
    """
    if not (isinstance(prior, (int, float, np.number)) and math.isfinite(prior) and prior >= 0):
        raise ParameterError(
            f"prior={prior!r}: expected one number >= 0: the precision of a normal prior on every weight"
        )
    most = whole("max_steps", max_steps, 1, "a whole number of steps, at least 1")
    try:
        begin = likelihood.start if start is None else np.asarray(start, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"start: expected {len(likelihood.names)} numbers: got {start!r}") from error
    if begin.shape != (len(likelihood.names),) or not np.isfinite(begin).all():
        raise ParameterError(
            f"start: expected {len(likelihood.names)} numbers ({', '.join(likelihood.names)}): got {start}"
        )
    warnings: list[str] = []
    steps, p, size = 0, begin, math.inf
    solutions: tuple[Solution | CrowdSolution, ...] = ()
    unsolved = False
    for _ in range(2):
        objective = _Objective(likelihood, criterion, prior)
        p, size, more = _minimise(objective, p, most, progress)
        steps += more
        unsolved = objective.unsolved
        walked = (
            [likelihood.policies(k) for k in range(len(likelihood.problems))]
            if math.isfinite(objective.value(objective.x(p)))
            else []
        )
        solutions = likelihood.solve(p)
        fresh = [likelihood.policies(k) for k in range(len(likelihood.problems))]
        apart = max((_apart(a, b) for a, b in zip(walked, fresh, strict=True)), default=0.0) if walked else 0.0
        if apart <= DISTINCT or likelihood.tracing:
            break
        warnings.append(
            f"walking from one equilibrium to the next ended on another than the principal one (play differs by "
            f"{apart:.2g}): the search was repeated with every equilibrium solved afresh"
        )
        likelihood.tracing = True
    return _judged(likelihood, criterion, prior, p, size, steps, unsolved, tuple(solutions), warnings, single)


def _apart(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
    return max(float(np.abs(x - y).max()) for x, y in zip(a, b, strict=True))


def _judged(
    likelihood: Likelihood,
    criterion: str,
    prior: float,
    p: np.ndarray,
    size: float,
    steps: int,
    unsolved: bool,
    solutions: tuple[Solution | CrowdSolution, ...],
    warnings: list[str],
    single: bool,
) -> Estimate:
    parameters = likelihood.parameters
    penalty = prior * np.array([parameter.penalised for parameter in parameters], dtype=float)
    sign = -1.0 if criterion == "likelihood" else 1.0
    try:
        information = sign * likelihood.hessian(p, criterion) + np.diag(penalty)
    except Unsolvable:
        information = np.full((p.size, p.size), np.nan)
    there = likelihood.assess(p, criterion)
    expected = np.asarray(there.curvature) + np.diag(penalty)
    covariance, lacking = inverted(information, expected, likelihood.names, np.where(p == 0, 1.0, np.abs(p)))
    warnings += lacking
    distance = None
    if criterion != "likelihood":
        finite = np.where(np.isfinite(covariance), covariance, 0.0)
        spread = finite @ likelihood.scatter(p, criterion) @ finite
        covariance = np.where(np.isfinite(covariance), spread, covariance)
        distance = float(there.value)
    for parameter, x in zip(parameters, p, strict=True):
        if parameter.positive and x < EDGE:
            warnings.append(
                f"{parameter.name} is zero: choices do not follow payoffs at all; its standard error means nothing here"
            )
    if not all(solution.converged for solution in solutions):
        bad = next(solution for solution in solutions if not solution.converged)
        warnings.append(f"the equilibrium at the estimate: {bad.status}")
    if size <= ACCEPTED:
        status = EstimateStatus.CONVERGED
        slope = np.asarray(there.gradient) - penalty * p
        edge = np.array([parameter.positive and x < EDGE for parameter, x in zip(parameters, p, strict=True)])
        if criterion == "likelihood" and _runs_off(np.where(edge, 0.0, slope), p, covariance):
            status = EstimateStatus.UNBOUNDED
    elif unsolved:
        status = EstimateStatus.UNSOLVED
    else:
        status = EstimateStatus.STEPS
    return Estimate(
        names=likelihood.names,
        vector=p,
        covariance=covariance,
        information=information if criterion == "likelihood" else information / 2,
        log_likelihood=likelihood.value(p),
        criterion=criterion,
        distance=distance,
        choices=likelihood.choices,
        status=status,
        warnings=tuple(warnings),
        steps=steps,
        prior=prior,
        solutions=solutions,
        likelihood=likelihood,
        single=single,
    )


def _runs_off(slope: np.ndarray, p: np.ndarray, covariance: np.ndarray) -> bool:
    """Whether the gradient vanished only because nothing depends on the parameters any more, so far have they run.

    Where the likelihood approaches its supremum exponentially, Newton's next step stays as long as the last.
    """
    step = np.where(np.isfinite(covariance), covariance, 0.0) @ slope
    return bool((np.abs(step) > RUNAWAY * np.maximum(1.0, np.abs(p))).any())


def inverted(
    information: Float[np.ndarray, "P P"],
    expected: Float[np.ndarray, "P P"],
    names: Sequence[str],
    units: Float[np.ndarray, " P"],
) -> tuple[Float[np.ndarray, "P P"], list[str]]:
    """The inverse of an information matrix, and a warning for each combination on which there is none.

    Parameters
    ----------
    information
        Observed information, which is inverted.
    expected
        Expected information, whose rank tells what is identified: it has no negative part and no rounding of
        differences in it.
    names, units
        Of the parameters; a unit is what a change of a parameter is measured by.

    Returns
    -------
    tuple
        The covariance, with infinite variances (and covariances of 0) of parameters that are not identified; warnings.
    """
    size = len(names)
    if not (np.isfinite(information).all() and np.isfinite(expected).all()):
        return np.diag(np.full(size, np.inf)), ["the observed information is not finite: no standard errors"]
    diagonal = np.maximum(np.diagonal(expected), 0.0)
    # A parameter on which nothing depends has no scale of its own: the others' says what counts as none.
    seen = diagonal * units**2
    dead = seen <= UNIDENTIFIED * max(float(seen.max(initial=0.0)), 1e-300)
    own = np.sqrt(np.where(dead, 1.0, diagonal))
    matrix = np.where(np.logical_or.outer(dead, dead), 0.0, expected / np.outer(own, own))
    roots, vectors = np.linalg.eigh(matrix)
    none = roots <= UNIDENTIFIED * size
    warnings = [
        f"not identified: nothing that was observed depends on {names[k]!r}" for k in np.flatnonzero(dead).tolist()
    ]
    lost = dead.copy()
    for vector in vectors.T[none]:
        direction = np.where(dead, 0.0, vector) / own / units
        if np.abs(direction).max(initial=0.0) * float((own * units).max()) < PART:
            continue  # one of those that are named already
        direction = direction / np.abs(direction).max()
        part = np.abs(direction) > PART
        lost |= part
        what = " ".join(f"{units[k] * direction[k]:+.3g} {names[k]}" for k in np.flatnonzero(part).tolist())
        warnings.append(f"not identified: nothing that was observed depends on the combination {what}")
    basis = vectors[:, ~none] / own[:, None]
    inner = basis.T @ information @ basis
    bends, turned = np.linalg.eigh(0.5 * (inner + inner.T))
    covariance = np.zeros((size, size))
    if bends.size and bends.min() > 0:
        spread = basis @ turned
        covariance = (spread / bends) @ spread.T
    elif bends.size:
        warnings.append("the criterion still bends the wrong way here: not at an optimum, so no standard errors")
        lost[:] = True
    covariance[lost] = 0.0
    covariance[:, lost] = 0.0
    covariance[lost, lost] = np.inf
    return covariance, warnings


# ---------------------------------------------------------------------- profiles


def _profile(estimate: Estimate, k: int, points: int, width: float) -> Profile:
    from scipy.optimize import brentq  # late: SciPy takes a while to load

    likelihood, error = estimate.likelihood, float(estimate.standard_errors[k])
    if not math.isfinite(error):
        raise ParameterError(f"{estimate.names[k]!r} is not identified: it has no profile. See warnings")
    best, positive = float(estimate.vector[k]), likelihood.parameters[k].positive
    if points < 3 or not width > 0:
        raise ParameterError(f"points={points}, width={width}: expected at least 3 points, and a positive width")
    low = max(best - width * error, 1e-3 * best) if positive else best - width * error
    grid = np.unique(np.append(np.linspace(low, best + width * error, points), best))
    penalty = estimate.prior * np.array([q.penalised for q in likelihood.parameters], dtype=float)
    # From the estimate outwards, each from its neighbour.
    others: dict[float, np.ndarray] = {best: estimate.vector}

    def largest(level: float) -> float:
        nearest = min(others, key=lambda known: abs(known - level))
        objective = _Objective(likelihood, "likelihood", estimate.prior, held=k, level=level)
        start = others[nearest].copy()
        start[k] = level
        p, _, _ = _minimise(objective, start, 100)
        others[level] = p
        return likelihood.value(p) - 0.5 * float(penalty @ p**2)

    top = largest(best)
    order = sorted(grid, key=lambda level: abs(level - best))
    found = {level: largest(level) for level in order}
    fall = 1.920729410347062

    def edge(direction: int) -> float:
        inside, step = best, error
        for _ in range(20):
            level = best + direction * step
            if positive and level <= 0:
                level = 1e-3 * best
            if top - largest(level) > fall:
                return float(brentq(lambda x: top - largest(x) - fall, *sorted((inside, level)), xtol=1e-6 * error))  # type: ignore[arg-type]
            if positive and level <= 1e-3 * best:
                return 0.0
            inside, step = level, 1.6 * step
        return direction * math.inf

    interval = edge(-1), edge(1)
    values = np.array([found[level] for level in grid])
    likelihood.use(estimate.vector, estimate.solutions)
    return Profile(estimate.names[k], grid, values, interval)
