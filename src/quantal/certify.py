"""The proof: what can be said for certain about a solution, from the game and its Q-functions alone.

* A priori (`bounds`): Theorems 1 and 2, with the paper's constant and the tight one (MODEL, section 1: Lemma 2's factor
  2 alpha beta is beta), and our own sharper bound, each said to hold or not.
* A posteriori (`certify`): the undamped residual, computed again here; the local contraction factor of the map at the
  solution (norm and spectral radius of its Jacobian); an error bound where that factor is below 1; the exact
  exploitability of every agent.

The norm of the Jacobian is exact: a row of dT_i/dQ at (x, a_i) has the entries beta_j pi_j(b) (U_ij(a_i, b) - mean) for
opponents j at the same state, and discount_i P(x' | x, a_i, pi_-i) dV_i(x')/dQ_i(x', b) for i itself, all in distinct
columns, so that the sums of absolute values are two backups.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from quantal import logit, stage
from quantal.bellman import backup, payoffs_at, sweep
from quantal.errors import ParameterError
from quantal.evaluation import exploitability
from quantal.game import MarkovGame
from quantal.iterate import gap
from quantal.layout import Model, from_public, model_of
from quantal.logit import ValueRule
from quantal.precision import double_precision
from quantal.request import Request
from quantal.solution import Branch, Played, Solution

CHUNK_BYTES = 2**27
SPECTRUM_STATES = 4_096
"""Stages with more states than this get a norm but no spectral radius."""


# ---------------------------------------------------------------------- a priori


@dataclass(frozen=True)
class Bound:
    """A condition under which the equilibrium is unique: `size` must stay below the constant."""

    name: str
    quantity: str
    size: float
    constant: float
    holds: bool
    """Never where the condition does not apply."""
    applies: str = ""
    """Empty, or why the condition says nothing about this game."""

    def __str__(self) -> str:
        if self.applies:
            return f"{self.name}: does not apply ({self.applies})"
        verdict = "holds" if self.holds else "does not hold"
        return f"{self.name}: {self.quantity} = {self.size:.4g}, bound {self.constant:.4g}: {verdict}"


def bounds(game: MarkovGame, asked: Request) -> tuple[Bound, ...]:
    """The a priori conditions for this game and these parameters."""
    largest = max(_largest(r) for r in game.rewards)
    agents = game.number_of_agents
    beta = float(asked.beta.max())
    own = _own_action_rewards(game)
    if asked.horizon is None:
        gamma = float(asked.discount.max())
        name, quantity = "Theorem 1", "max |R|"
        numerator = (1 - gamma) ** 2
        denominator = agents * gamma * beta
        paper = numerator / (2 * denominator) if denominator else np.inf
        tight = numerator / denominator if denominator else np.inf
        why = "" if own else "rewards depend on the others' actions, the theorem takes R_i(x, a_i)"
        if asked.value != "expected" and not why:
            why = f"it is about the expected rule, this is the {asked.value} rule"
        rows = [
            Bound(f"{name} (paper's constant)", quantity, largest, paper, not why and largest <= paper, why),
            Bound(f"{name} (tight constant)", quantity, largest, tight, not why and largest < tight, why),
        ]
        radius = contraction_radius(game, asked)
        rows.append(Bound("Span bound (ours)", "contraction factor", radius, 1.0, radius < 1 - 1e-12))
        return tuple(rows)
    horizon = asked.horizon
    largest = max(largest, *(_largest(r) for r in game.final_rewards))
    others = beta * (agents - 1)
    why = "" if asked.value != "soft" else "it is about values bounded by rewards, the soft rule adds entropy"
    paper = 1 / (2 * others * (1 + horizon)) if others else np.inf
    # Only what depends on the others' actions is multiplied by their policies' change: T values, or T + 1 with R.
    terms = horizon if own else horizon + 1
    tight = 1 / (others * terms) if others else np.inf
    return (
        Bound("Theorem 2 (paper's constant)", "max(|R|, |R_F|)", largest, paper, not why and largest <= paper, why),
        Bound("Theorem 2 (tight constant)", "max(|R|, |R_F|)", largest, tight, not why and largest < tight, why),
    )


def proved_unique(game: MarkovGame, asked: Request) -> bool:
    """Whether a bound proves that a stationary game has one equilibrium."""
    return contraction_radius(game, asked) < 1 - 1e-12


def _largest(array: np.ndarray) -> float:
    return float(np.abs(array).max())


def _own_action_rewards(game: MarkovGame) -> bool:
    """Whether every R_i is R_i(x, a_i), as the paper writes."""
    dims = len(game.state_shape)
    return all(n == 1 or j == i for i, r in enumerate(game.rewards) for j, n in enumerate(r.shape[dims:]))


def contraction_radius(game: MarkovGame, asked: Request) -> float:
    """Bound of the contraction factor of T over all Q it can reach, in a weighted maximum norm (stationary games).

    With s_i = span(R_i) / (1 - discount_i) bounding the span of Q_i and V_i,

        |T(Q)_i - T(Q')_i| <= discount_i (1 + beta_i s_i / 2) |Q_i - Q'_i| + sum_j beta_j o_ij / 2 |Q_j - Q'_j|,

    o_ij = the most that agent i's payoff R_i + discount_i E V_i' moves with j's action. The bracket is 1 for the soft
    and greedy rules; the soft rule's values span up to log(actions)/beta more. This sharpens Theorem 1's proof (spans
    for norms, one factor per agent, rewards on joint actions allowed). The factor is the spectral radius of the matrix.
    """
    agents, dims = game.number_of_agents, len(game.state_shape)
    matrix = np.zeros((agents, agents))
    for i, reward in enumerate(game.rewards):
        gamma, beta = asked.discount[i], asked.beta[i]
        span = float(reward.max() - reward.min())
        if asked.value == "soft":
            span += np.log(max(game.action_counts)) / beta
        reach = span / (1 - gamma)
        matrix[i, i] = gamma * (1 + (beta * reach / 2 if asked.value == "expected" else 0.0))
        for j in range(agents):
            if j == i:
                continue
            axis = dims + j
            moves = float((reward.max(axis=axis) - reward.min(axis=axis)).max()) if reward.shape[axis] > 1 else 0.0
            matrix[i, j] = asked.beta[j] * (moves + gamma * reach) / 2
    return float(np.abs(np.linalg.eigvals(matrix)).max())


# ---------------------------------------------------------------------- a posteriori


@dataclass(frozen=True, eq=False)
class Certificate:
    """What is certain about a solution.

    Attributes
    ----------
    residual
        max |Q - T(Q)|, undamped, computed again from game and Q.
    bounds
        The a priori conditions.
    branch
        Unique (proved), principal (traced) or unlabelled.
    contraction_norm
        Maximum norm of the Jacobian of the map at the solution; with a horizon, the largest over the stages.
    spectral_radius
        Its spectral radius; None where the game is too large for it.
    error_bound
        First-order bound of |Q - Q*|, in payoff units, where the norm is below 1 (else None): residual / (1 - norm),
        carried backward through time with a horizon.
    exploitability
        Per agent, the most that a deviation gains at any state (and time), exactly.
    """

    residual: float
    bounds: tuple[Bound, ...]
    branch: Branch
    contraction_norm: float
    spectral_radius: float | None
    error_bound: float | None
    exploitability: Any
    """Above 0 for every agent who explores: the Nash equilibrium is where it vanishes."""

    def __str__(self) -> str:
        lines = [f"undamped residual |Q - T(Q)|: {self.residual:.3g}", f"branch: {self.branch}{self._reason()}"]
        lines += [str(b) for b in self.bounds]
        radius = "not computed (game too large)" if self.spectral_radius is None else f"{self.spectral_radius:.4g}"
        lines.append(f"local contraction: norm {self.contraction_norm:.4g}, spectral radius {radius}")
        if self.error_bound is None:
            lines.append("error bound: none, the norm is not below 1")
        else:
            lines.append(f"error bound |Q - Q*| (first order): {self.error_bound:.3g}")
        gains = ", ".join(f"{a} {g:.4g}" for a, g in self.exploitability.items())
        lines.append(f"exploitability (most any deviation gains; above 0 where agents explore): {gains}")
        return "\n".join(lines)

    def _reason(self) -> str:
        if self.branch is Branch.UNIQUE:
            return ": agents interact too little for a second one, or against each other (docs/method.md)"
        if self.branch is Branch.PRINCIPAL:
            return ": followed from uniform play; others may exist (restarts= looks for them)"
        return ""


@double_precision
def certify(solution: Played) -> Any:
    """Check a solution from its game and Q-functions alone.

    Parameters
    ----------
    solution
        From `quantal.solve`, or read from a file; or what a learner learned, whose own certificate is returned.

    Returns
    -------
    Certificate
        Of a solution; a `quantal.baselines.Judgement` of what was learned.

    Raises
    ------
    ParameterError
        If it is neither.
    """
    if isinstance(solution, Solution):
        return _certified(solution)
    if not isinstance(solution, Played):
        raise ParameterError(f"expected a solution to certify, as quantal.solve gives: got {type(solution).__name__}")
    learned: Any = solution
    return learned.certificate


def _certified(solution: Solution) -> Certificate:
    game, p = solution.game, solution.parameters
    asked = Request(
        np.asarray(p.beta),
        np.asarray(p.discount),
        p.horizon,
        logit.check_value_rule(p.value),
        p.method,
        p.damping,
        p.tol,
        p.max_steps,
        p.order,
    )
    model = model_of(game)
    if p.horizon is None:
        residual, norm, radius, error = _stationary(model, asked, solution)
    else:
        residual, norm, radius, error = _finite(model, asked, solution)
    return Certificate(
        residual=residual,
        bounds=bounds(game, asked),
        branch=solution.branch,
        contraction_norm=norm,
        spectral_radius=radius,
        error_bound=error,
        exploitability=exploitability(game, solution),
    )


def value_slope(rule: ValueRule, beta: Array, q: Array, pi: Array, legal: Array) -> Array:
    """sum_b |dV/dQ(b)|, [*states]: 1 for the soft and greedy rules."""
    if rule != "expected":
        return jnp.ones(q.shape[1:])
    q = jnp.where(legal, q, 0.0)
    value = (pi * q).sum(axis=0)
    return jnp.abs(pi * (1 + beta * (q - value))).sum(axis=0)


def _engine_q(model: Model, solution: Solution, time: int | None) -> stage.PerAgent:
    arrays = [solution.q[i] if time is None else solution.q[i][time] for i in range(model.number_of_agents)]
    return tuple(jax.device_put(from_public(np.nan_to_num(a), model.state_shape)) for a in arrays)


def _coupling(u: stage.Payoffs, beta: Array, policies: stage.PerAgent) -> list[list[Array | None]]:
    """D U_i / d Q_j at one stage, [A_i, A_j, S]."""
    blocks = stage.response_jacobian(u, policies)
    return [[None if b is None else beta[j] * b for j, b in enumerate(row)] for row in blocks]


@partial(jax.jit, static_argnames="rule")
def _stage_facts(
    model: Model,
    rule: ValueRule,
    beta: Array,
    discount: Array,
    q: tuple[Array, ...],
    ahead: tuple[Array, ...],
    states: Array,
):
    """At some states: residual, row sums of the coupling, and the full coupling matrix [N, N, n]."""
    n = states.shape[0]
    u = tuple(payoffs_at(model, discount, i, v, states) for i, v in enumerate(ahead))
    legal = tuple(
        jnp.broadcast_to(m, (m.shape[0], *model.state_shape)).reshape(m.shape[0], -1)[:, states] for m in model.legal
    )
    here = tuple(qi.reshape(qi.shape[0], -1)[:, states] for qi in q)
    policies = tuple(logit.policy(b * qi, m) for b, qi, m in zip(beta, here, legal, strict=True))
    residual = gap(here, stage.expected_payoffs(u, policies), legal, cells=1)
    blocks = _coupling(u, beta, policies)
    counts = model.action_counts
    matrix = jnp.concatenate(
        [
            jnp.concatenate(
                [jnp.zeros((counts[i], counts[j], n)) if b is None else b for j, b in enumerate(row)], axis=1
            )
            for i, row in enumerate(blocks)
        ]
    )
    matrix = jnp.where(jnp.concatenate(legal)[:, None], matrix, 0.0)
    return residual, jnp.abs(matrix).sum(axis=1), matrix


def _chunks(model: Model):
    per_state = 8 * (model.number_of_agents * int(np.prod(model.action_counts)) + 2 * sum(model.action_counts) ** 2)
    size = max(1, min(model.number_of_states, CHUNK_BYTES // per_state))
    for first in range(0, model.number_of_states, size):
        first = min(first, model.number_of_states - size)
        yield jnp.arange(first, first + size)


def _finite(model: Model, asked: Request, solution: Solution):
    beta, discount = jax.device_put(asked.beta), jax.device_put(asked.discount)
    ahead = tuple(jnp.broadcast_to(f, model.state_shape) for f in model.final_rewards)
    assert asked.horizon is not None
    residual, norm, error, slope = 0.0, 0.0, 0.0, 1.0
    radius: float | None = 0.0 if model.number_of_states <= SPECTRUM_STATES else None
    for time in reversed(range(asked.horizon)):
        q = _engine_q(model, solution, time)
        worst, here = 0.0, 0.0
        for states in _chunks(model):
            gaps, rows, matrix = _stage_facts(model, asked.value, beta, discount, q, ahead, states)
            worst, here = max(worst, float(gaps.max())), max(here, float(rows.max()))
            if radius is not None:
                spectrum = np.linalg.eigvals(np.moveaxis(np.asarray(matrix), -1, 0))
                radius = max(radius, float(np.abs(spectrum).max()))
        # What this stage adds to the error it inherits: through payoffs, then through its own fixed point.
        inherited = float(discount.max()) * slope * error
        error = (worst + inherited) / (1 - here) if here < 1 else np.inf
        policies, ahead = logit.read(asked.value, beta, q, model.legal)
        slope = max(
            float(value_slope(asked.value, b, qi, pi, m).max())
            for b, qi, pi, m in zip(beta, q, policies, model.legal, strict=True)
        )
        residual, norm = max(residual, worst), max(norm, here)
    return residual, norm, radius, (error if np.isfinite(error) else None)


def _stationary(model: Model, asked: Request, solution: Solution):
    beta, discount = jax.device_put(asked.beta), jax.device_put(asked.discount)
    q = _engine_q(model, solution, None)
    residual, through_values = _stationary_facts(model, asked.value, beta, discount, q)
    _, values = logit.read(asked.value, beta, q, model.legal)
    norm = 0.0
    flat = np.concatenate([np.asarray(b).reshape(b.shape[0], -1) for b in through_values])
    for states in _chunks(model):
        _, rows, _ = _stage_facts(model, asked.value, beta, discount, q, values, states)
        norm = max(norm, float((np.asarray(rows) + flat[:, np.asarray(states)]).max()))
    radius = _stationary_radius(model, asked, q)
    residual = float(residual)
    return residual, norm, radius, (residual / (1 - norm) if norm < 1 else None)


@partial(jax.jit, static_argnames="rule")
def _stationary_facts(model: Model, rule: ValueRule, beta: Array, discount: Array, q: tuple[Array, ...]):
    """The residual, and per agent the row sums through its own values, [A_i, *states]."""
    residual = gap(q, sweep(model, rule, beta, discount, q), model.legal, cells=0)
    policies, _ = logit.read(rule, beta, q, model.legal)
    slopes = tuple(value_slope(rule, b, qi, pi, m) for b, qi, pi, m in zip(beta, q, policies, model.legal, strict=True))
    rows = backup(model.without_rewards(), discount, policies, slopes)
    return residual, tuple(jnp.where(m, r, 0.0) for r, m in zip(rows, model.legal, strict=True))


@partial(jax.jit, static_argnames="rule")
def _push_tangent(
    model: Model, rule: ValueRule, beta: Array, discount: Array, q: tuple[Array, ...], tangent: tuple[Array, ...]
):
    return jax.jvp(lambda x: sweep(model, rule, beta, discount, x), (q,), (tangent,))[1]


def _stationary_radius(model: Model, asked: Request, q: stage.PerAgent) -> float | None:
    """Spectral radius of T' by Arnoldi iteration on Jacobian-vector products; None if it does not settle."""
    beta, discount = jax.device_put(asked.beta), jax.device_put(asked.discount)
    masks = [np.broadcast_to(np.asarray(m), qi.shape) for m, qi in zip(model.legal, q, strict=True)]
    sizes = [qi.size for qi in q]
    edges = np.cumsum([0, *sizes])

    def apply(vector: np.ndarray) -> np.ndarray:
        pieces = [vector[a:b] for a, b in itertools.pairwise(edges)]
        tangent = tuple(
            jax.device_put(np.where(m, piece.reshape(m.shape), 0.0)) for piece, m in zip(pieces, masks, strict=True)
        )
        moved = _push_tangent(model, asked.value, beta, discount, q, tangent)
        return np.concatenate([np.where(m, np.asarray(x), 0.0).ravel() for x, m in zip(moved, masks, strict=True)])

    import scipy.sparse.linalg  # here, because it takes a tenth of a second to import and few calls come this way

    size = int(edges[-1])
    if size <= 64:
        columns = np.stack([apply(e) for e in np.eye(size)], axis=1)
        return float(np.abs(np.linalg.eigvals(columns)).max())
    operator: Any = scipy.sparse.linalg.LinearOperator((size, size), matvec=apply, dtype=np.float64)  # type: ignore
    start = np.random.default_rng(0).normal(size=size)
    try:
        found = scipy.sparse.linalg.eigs(
            operator,
            k=1,
            which="LM",
            v0=start,
            maxiter=300,
            tol=1e-6,  # type: ignore[arg-type]
            return_eigenvectors=False,
        )
    except scipy.sparse.linalg.ArpackNoConvergence:
        return None
    return float(np.abs(found).max())
