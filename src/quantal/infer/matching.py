r"""Feature matching: rewards under which agents do, on average, what they were seen to do (MCE-IRL, batch).

Find theta with  E_theta[F_i] = observed mean of F_i  for every agent, in the ball ||theta_i|| <= B. What play theta
leads to is a choice:

    play="entropy"    maximum causal entropy, the solution of problem (13): theta minimises the convex dual
                      g(theta) = max_pi { H + <theta, E[F] - observed> }, whose gradient is E[F] - observed
    play="soft"       the soft game of Theorem 4 (with one agent, both are Ziebart's, and maximum likelihood)
    play="expected"   MGE-F, MGE-I or MGE-FB; "greedy" alike

The gradient of the dual is E[F] - observed; Theorems 5 and 10 print it reversed. So theta goes along observed - E[F],
which is Algorithm 4 with its sign put right (`advance`). For play other than "entropy" this is no gradient of anything,
but its root is still where features match; exact maximum likelihood is another, better estimator.

Steps are optax's: unless an optimizer is given, the descent direction is preconditioned by the Jacobian of E[F], from
finite differences once and Broyden's updates after, so that few solves are needed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from quantal.crowds.game import CrowdGame
from quantal.crowds.solution import CrowdSolution
from quantal.errors import ParameterError
from quantal.game import MarkovGame
from quantal.infer.expectations import Seen, covariance, expected, seen
from quantal.infer.features import Features, Theta
from quantal.precision import double_precision
from quantal.request import whole
from quantal.solution import PerAgent, Solution
from quantal.solve import solve
from quantal.solvers import causal_entropy
from quantal.solvers.causal_entropy import CausalEntropySolution
from quantal.trajectories import Trajectories

PLAYS = ("entropy", "soft", "expected", "greedy")
DIFFERENCE = 1e-4
"""Step of finite differences, in units of theta."""
RANK = 1e-8
"""Directions of theta that move features less than this share of the best one are not identified."""
LONGEST = 2.0
"""Longest step, in units of theta."""

Answer = Solution | CrowdSolution | CausalEntropySolution


@dataclass(frozen=True, eq=False, kw_only=True)
class Match:
    """Rewards under which expected features are the observed ones.

    Attributes
    ----------
    theta
        Weights per agent, (K_i,).
    labels
        ``agent: feature`` per weight, in the order of the vectors below.
    observed, expected
        Per-step averages of features, (K,).
    standard_error
        Of each weight, (K,): the Jacobian of expected features, inverted, on the spread of episodes; NaN for fewer than
        two episodes, or where features were given as averages.
    unidentified
        Labels of weights that features do not determine; they stay where they started, in these directions.
    at_bound
        Agents whose weights lie on the ball.
    solution
        Play at theta.
    converged
        Whether features match to `tol`, or theta is where the ball lets it be closest.
    steps, trace
        Solves, and the largest gap between features after each step.
    """

    theta: PerAgent
    labels: tuple[str, ...]
    observed: np.ndarray
    expected: np.ndarray
    standard_error: np.ndarray
    unidentified: tuple[str, ...]
    at_bound: tuple[str, ...]
    solution: Answer
    converged: bool
    steps: int
    trace: np.ndarray

    @property
    def flat(self) -> Float[np.ndarray, " K"]:
        """All weights in one vector."""
        return np.concatenate([self.theta[a] for a in self.theta])

    def __repr__(self) -> str:
        weights = ", ".join(f"{label} {w:.3g}" for label, w in zip(self.labels, self.flat, strict=True))
        return f"<Match {'converged' if self.converged else 'not converged'} in {self.steps} solves: {weights}>"


# ---------------------------------------------------------------------- play at theta


def soft_game(
    game: MarkovGame, features: Features, theta: Theta, *, last: int, progress: Callable[[float], None] | None = None
) -> Solution:
    """Solve Theorem 4's soft game: decisions at 0, ..., `last` (the paper's T), precision 1, V^{last+1} = R_F (0)."""
    return solve(features.game_with(game, theta), beta=1.0, horizon=last + 1, value="soft", progress=progress)


@dataclass(frozen=True, eq=False)
class Terms:
    """How play follows from rewards."""

    play: str
    beta: float | Sequence[float] | np.ndarray
    horizon: int | None
    discount: float | Sequence[float] | np.ndarray | None

    def __post_init__(self) -> None:
        if self.play not in PLAYS:
            raise ParameterError(f"play={self.play!r}: expected one of {', '.join(map(repr, PLAYS))}")
        if self.play != "entropy":
            return
        if self.horizon is None or self.discount is not None:
            raise ParameterError("play='entropy': problem (13) has a last decision: expected horizon=, and no discount")
        if not (np.asarray(self.beta) == 1).all():
            raise ParameterError(f"beta={self.beta}: with play='entropy' precision is 1: scale theta instead")

    def solve(self, game: MarkovGame | CrowdGame, start: Answer | None = None) -> Answer:
        """Play of this game; a crowd's from `start`."""
        if isinstance(game, CrowdGame):
            if self.play == "entropy" or self.discount is not None:
                raise ParameterError(
                    "a crowd plays 'expected', 'soft' or 'greedy' for a horizon, without discount: got "
                    f"play={self.play!r}, discount={self.discount}"
                )
            first = start if isinstance(start, CrowdSolution) else None
            return solve(game, beta=self.beta, horizon=self.horizon, value=self.play, start=first)
        if self.play == "entropy":
            assert self.horizon is not None
            return causal_entropy.solve(game, self.horizon)
        return solve(game, beta=self.beta, horizon=self.horizon, discount=self.discount, value=self.play)


def advance(
    theta: Float[np.ndarray, " K"],
    observed: Float[np.ndarray, " K"],
    expected: Float[np.ndarray, " K"],
    rate: float,
    bound: float,
    counts: Sequence[int],
) -> Float[np.ndarray, " K"]:
    """One step of Algorithm 4: Project(theta + rate (observed - expected)), with the sign put right."""
    return project(theta + rate * (observed - expected), bound, counts)


@double_precision
def project(theta: Float[np.ndarray, " K"], bound: float, counts: Sequence[int]) -> Float[np.ndarray, " K"]:
    """The nearest weights with ||theta_i|| <= bound for every agent; `counts` says how many each has."""
    if np.isinf(bound):
        return theta
    import optax  # late: it takes a while to load, and only inverse learning needs it

    parts = np.split(theta, np.cumsum(counts)[:-1])
    return np.concatenate([np.asarray(optax.projections.projection_l2_ball(part, bound)) for part in parts])


# ---------------------------------------------------------------------- the dual


@double_precision
def dual(
    game: MarkovGame, features: Features, theta: Theta, observed: np.ndarray | Sequence[float], *, horizon: int
) -> tuple[float, Float[np.ndarray, " K"]]:
    """The dual function of problem (13), max_pi H + <theta, E[F] - observed>, and its gradient, E[F] - observed.

    Parameters
    ----------
    game, features
        What is played, from the game's start.
    theta
        Weights.
    observed
        Features' per-step averages, (K,); both results are per step, too.
    horizon
        Decisions, the paper's T + 1.
    """
    weights, means = features.flat(theta), np.asarray(observed, dtype=float)
    found = causal_entropy.solve(features.game_with(game, theta), horizon)
    level = float((found.value[0] * game.start).sum()) / horizon
    return level - float(weights @ means), expected(features, found, horizon) - means


# ---------------------------------------------------------------------- matching


@double_precision
def match(
    game: MarkovGame | CrowdGame,
    features: Features,
    data: Trajectories | None = None,
    *,
    observed: np.ndarray | Sequence[float] | None = None,
    horizon: int | None = None,
    discount: float | Sequence[float] | np.ndarray | None = None,
    play: str = "soft",
    beta: float | Sequence[float] | np.ndarray = 1.0,
    theta: Theta | None = None,
    bound: float = 100.0,
    optimizer: Any = None,
    tol: float = 1e-9,
    max_steps: int = 1000,
    progress: Callable[[float], None] | None = None,
) -> Match:
    """Find rewards under which expected features are the observed ones (MCE-IRL, batch).

    Parameters
    ----------
    game
        What was played; its own rewards count for agents without features (and as `Features.known`).
    features
        What rewards are made of.
    data
        Observed play.
    observed
        Instead of data: per-step averages of the features, (K,), over `horizon` decisions from the game's start.
    horizon, discount
        As in `quantal.solve`; with a horizon, episodes begin at its first decision and are no longer than it.
    play
        ``"entropy"``, ``"soft"``, ``"expected"`` or ``"greedy"``: see the module's docstring.
    beta
        Precision; 1 in Section 6, where theta has no other scale.
    theta
        Where to start; 0 unless given.
    bound
        B: ||theta_i|| <= B for every agent. Without it, what was never seen to be done would be infinitely bad.
    optimizer
        An optax transformation of gradients, used as it is; see the module's docstring for what is done without.
    tol
        Accepted gap between features.
    max_steps
        Most solves.
    progress
        Called with the share done, 0 to 1, by the decades that the gap has closed.

    Returns
    -------
    Match
        Also when the search did not converge.

    Raises
    ------
    ParameterError
        If a parameter cannot be used, or the data are not of this game.
    """
    import optax  # late: see `project`

    terms = Terms(play, beta, horizon, discount)
    if features.number == 0:
        raise ParameterError("features: expected at least one: got none")
    if not bound > 0:
        raise ParameterError(f"bound={bound}: expected a positive number")
    most = whole("max_steps", max_steps, 1, "a whole number of solves, at least 1")
    occasions, target = _target(game, features, data, observed, horizon)
    now = np.zeros(features.number) if theta is None else features.flat(theta)
    search = _Search(game, features, terms, occasions, target, bound)
    plain = optimizer is not None
    stepper = optimizer if plain else optax.chain(optax.clip_by_global_norm(LONGEST), optax.sgd(1.0))
    memory = stepper.init(now)
    now = project(now, bound, features.counts)
    gap = search.gap(now)
    slopes = None if plain else search.slopes(now, gap)
    fresh, shrink = True, 1.0
    trace = [float(np.abs(gap).max())]
    first = max(trace[0], 10 * tol)
    while search.left(now, gap) > tol and search.solves < most:
        direction = -gap if slopes is None else -_preconditioned(slopes, gap)
        updates, memory = stepper.update(direction, memory, now)
        new = project(now + shrink * np.asarray(updates), bound, features.counts)
        reached = search.gap(new)
        if slopes is None:
            now, gap = new, reached
        elif np.linalg.norm(reached) < np.linalg.norm(gap):
            moved = new - now
            slopes = slopes + np.outer(gap - reached - slopes @ moved, moved) / (moved @ moved)
            now, gap, fresh, shrink = new, reached, False, min(1.0, 2 * shrink)
        elif not fresh:  # Broyden's updates have gone astray
            slopes, fresh = search.slopes(now, gap), True
        elif shrink < 1e-6:
            break
        else:
            shrink *= 0.25
        trace.append(float(np.abs(gap).max()))
        if progress is not None:
            progress(min(1.0, np.log(first / max(trace[-1], tol)) / np.log(first / tol)))
    solution = search.solution(now)
    spread = covariance(features, solution, occasions) if isinstance(occasions, Seen) else None
    errors, lost = _errors(search.slopes(now, gap), spread, features)
    if lost:
        warnings.warn(
            f"not identified by these features' averages: {', '.join(lost)}. Changing them together hardly changes "
            "what is played; leave one out, or observe other states",
            stacklevel=3,
        )
    norms = [float(np.linalg.norm(part)) for part in features.split(now)]
    return Match(
        theta=PerAgent(features.agents, features.split(now)),
        labels=features.labels,
        observed=target,
        expected=target - gap,
        standard_error=errors,
        unidentified=lost,
        at_bound=tuple(a for a, norm in zip(features.agents, norms, strict=True) if norm >= bound * (1 - 1e-9)),
        solution=solution,
        converged=search.left(now, gap) <= tol,
        steps=search.solves,
        trace=np.array(trace),
    )


def _target(
    game: MarkovGame | CrowdGame,
    features: Features,
    data: Trajectories | None,
    observed: np.ndarray | Sequence[float] | None,
    horizon: int | None,
) -> tuple[Seen | int, np.ndarray]:
    if (data is None) == (observed is None):
        raise ParameterError("match: expected data, or observed= averages of the features: one of them")
    if data is not None:
        occasions = seen(game, features, data)
        return occasions, occasions.mean
    if horizon is None:
        raise ParameterError("observed=: averages are over a number of decisions: expected horizon=")
    means = np.asarray(observed, dtype=float)
    if means.shape != (features.number,) or not np.isfinite(means).all():
        raise ParameterError(
            f"observed: expected {features.number} finite averages ({', '.join(features.labels)}): got {observed}"
        )
    return horizon, means


@dataclass
class _Search:
    """Evaluates gaps, and counts."""

    game: MarkovGame | CrowdGame
    features: Features
    terms: Terms
    occasions: Seen | int
    target: np.ndarray
    bound: float
    solves: int = 0
    near: CrowdSolution | None = None
    """A crowd's last solution: the next alternation goes on from it."""

    def solution(self, theta: np.ndarray) -> Answer:
        found = self.terms.solve(self.features.game_with(self.game, theta), self.near)
        if self.near is not None and not found.converged:
            found = self.terms.solve(self.features.game_with(self.game, theta))
        self.near = found if isinstance(found, CrowdSolution) and found.converged else None
        return found

    def gap(self, theta: np.ndarray) -> np.ndarray:
        """Observed - expected."""
        self.solves += 1
        return self.target - expected(self.features, self.solution(theta), self.occasions)

    def slopes(self, theta: np.ndarray, gap: np.ndarray) -> np.ndarray:
        """D expected / d theta, (K, K), by differences."""
        columns = [gap - self.gap(theta + DIFFERENCE * unit) for unit in np.eye(theta.size)]
        return np.stack(columns, axis=-1) / DIFFERENCE

    def left(self, theta: np.ndarray, gap: np.ndarray) -> float:
        """How far the ball lets theta go along the gap: the largest gap, where it is not in the way."""
        return float(np.abs(project(theta + gap, self.bound, self.features.counts) - theta).max())


def _preconditioned(slopes: np.ndarray, gap: np.ndarray) -> np.ndarray:
    """slopes^+ gap; what features do not determine is left alone."""
    return np.linalg.lstsq(slopes, gap, rcond=RANK)[0]


def _errors(slopes: np.ndarray, spread: np.ndarray | None, features: Features) -> tuple[np.ndarray, tuple[str, ...]]:
    """Standard errors, and labels of what is not identified."""
    _, sizes, rows = np.linalg.svd(slopes)
    # Differences know slopes to about this.
    blind = rows[sizes <= 1e-6 * sizes.max(initial=0)]
    lost = tuple(
        label for k, label in enumerate(features.labels) if blind.size and float(np.abs(blind[:, k]).max()) > 1e-3
    )
    if spread is None or np.isnan(spread).any():
        return np.full(features.number, np.nan), lost
    inverse = np.linalg.pinv(slopes, rcond=1e-6)
    errors = np.sqrt(np.diag(inverse @ spread @ inverse.T))
    return np.array([np.nan if label in lost else e for label, e in zip(features.labels, errors, strict=True)]), lost
