"""Logit QRE of a batch of normal-form games: the stage problem of MGE-F, and what MGE-I's Newton steps are made of.

Given payoffs u_i(a) the equilibrium is written in *centred logits* z_i (zero sum over legal actions):

    z_i = kappa_i C_i g_i,   g_i = E_{pi_-i}[u_i],   pi_i = softmax(z_i),

with C_i the centring over legal actions and kappa = beta. States lie in the trailing batch axis: u_i [A_1..A_M, S],
z_i [A_i, S] (zero where illegal). Centring takes the common level out, which no policy depends on, so that at large
beta the unknowns stay comparable.

Uniqueness of a stage equilibrium is *proved* here where one of two conditions holds (both are ours, MODEL gives the
norm version): with the interaction I_ij = max |u_i(a,b) - u_i(a',b) - u_i(a,b') + u_i(a',b')| over own actions a, a'
and j's actions b, b' (any play of the rest),

* contraction: the matrix (beta_j I_ij / 4)_{i != j} has spectral radius < 1. For softmax(beta Q) moves in the 1-norm
  by at most beta/2 times the change of span(Q), and E_pi[u] - E_pi'[u] differs between two own actions by at most
  I_ij/2 times that norm;
* monotonicity (two agents): the interaction of w u_1 + u_2 is below 8 sqrt(w / (beta_1 beta_2)) for some w > 0.
  Then the entropy-regularised game is strictly monotone (Pinsker's inequality); constant-sum games always satisfy it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from quantal import arclength
from quantal.arclength import Linearised
from quantal.interpret import numpy_twin
from quantal.iterate import fixed_point, gap
from quantal.precision import compiled, one_blas_thread, quick_jit

Payoffs = tuple[Float[Array, "..."], ...]
PerAgent = tuple[Float[Array, "_ *s"], ...]
"""One array [A_i, *states] per agent; the number of actions may differ."""
Legal = tuple[Bool[Array, "_ *#s"], ...]


def split(y: Float[Array, "N *b"], counts: tuple[int, ...]) -> tuple[Float[Array, "A *b"], ...]:
    """Cut the stacked action axis into one array per agent."""
    edges = list(itertools.accumulate(counts, initial=0))
    return tuple(y[a:b] for a, b in itertools.pairwise(edges))


def centre(x: Float[Array, "A S"], legal: Bool[Array, "A #S"]) -> Float[Array, "A S"]:
    """Subtract the mean over legal actions; zero where illegal."""
    mask = legal.astype(x.dtype)
    return mask * (x - (mask * x).sum(axis=0) / mask.sum(axis=0))


def policies_of(z: PerAgent, legal: Legal) -> PerAgent:
    """pi_i = softmax(z_i) over legal actions."""
    return tuple(_softmax(zi, li) for zi, li in zip(z, legal, strict=True))


def _softmax(z: Float[Array, "A *s"], legal: Bool[Array, "A *#s"]) -> Float[Array, "A *s"]:
    """`logit.policy` in few operations: programs here are compiled more often than they run long."""
    top = jnp.where(legal, z, -jnp.inf).max(axis=0)
    weights = jnp.where(legal, jnp.exp(z - top), 0.0)
    return weights / weights.sum(axis=0)


def _average_over(u: Float[Array, "..."], pi: Float[Array, "A S"], j: int) -> Float[Array, "..."]:
    """E over agent j's play of u [A_1|1, ..., A_M|1, S]; axis j gets length 1."""
    if u.shape[j] == 1:
        return u
    agents = u.ndim - 1
    weights = pi.reshape((1,) * j + pi.shape[:1] + (1,) * (agents - j - 1) + pi.shape[1:])
    return (u * weights).sum(axis=j, keepdims=True)


def average(u: Float[Array, "..."], policies: PerAgent, keep: tuple[int, ...]) -> Float[Array, "..."]:
    """E over everyone's play but `keep`'s: [A_k for k in keep, S], in the order of `keep`."""
    for j in reversed(range(len(policies))):
        if j not in keep:
            u = _average_over(u, policies[j], j)
    order = [*keep, *(j for j in range(len(policies)) if j not in keep), len(policies)]
    u = jnp.transpose(u, order)
    u = u.reshape(*u.shape[: len(keep)], u.shape[-1])
    return jnp.broadcast_to(u, (*(policies[k].shape[0] for k in keep), u.shape[-1]))


def expected_payoffs(u: Payoffs, policies: PerAgent) -> PerAgent:
    """g_i = E_{pi_-i}[u_i], [A_i, S]."""
    return tuple(average(ui, policies, (i,)) for i, ui in enumerate(u))


def choice_jacobian(pi: Float[Array, "A S"]) -> Float[Array, "A A S"]:
    """D pi / d z = diag(pi) - pi pi^T."""
    eye = jnp.eye(pi.shape[0], dtype=pi.dtype)[:, :, None]
    return eye * pi[:, None] - pi[:, None] * pi[None, :]


def response_jacobian(u: Payoffs, policies: PerAgent) -> list[list[Float[Array, "A B S"] | None]]:
    """D g_i / d z_j = U_ij (diag pi_j - pi_j pi_j^T), [A_i, A_j, S]; None on the diagonal and where u_i ignores j."""
    agents = len(u)
    blocks: list[list[Array | None]] = [[None] * agents for _ in range(agents)]
    for i, j in itertools.permutations(range(agents), 2):
        if u[i].shape[j] == 1:
            continue
        pair = average(u[i], policies, (i, j))
        mean = (pair * policies[j]).sum(axis=1, keepdims=True)
        blocks[i][j] = (pair - mean) * policies[j]
    return blocks


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class StageCurve:
    """F(z, s) = z - s beta C E_pi[u]: from uniform play at s = 0 to beta at s = 1 (the principal branch)."""

    u: Payoffs
    beta: Float[Array, "M"]
    legal: Legal

    @property
    def counts(self) -> tuple[int, ...]:
        """A_i per agent."""
        return tuple(mask.shape[0] for mask in self.legal)

    def linearise(
        self, y: Float[Array, "N S"], t: Float[Array, " S"], probe: Float[Array, "N S"] | None = None
    ) -> Linearised:
        """See `quantal.arclength.Curve`."""
        z = split(y, self.counts)
        policies = policies_of(z, self.legal)
        moving = [
            b * centre(g, mask)
            for b, g, mask in zip(self.beta, expected_payoffs(self.u, policies), self.legal, strict=True)
        ]
        drift = -jnp.concatenate(moving)
        kappa = [b * t for b in self.beta]
        matrix = fixed_point_matrix(response_jacobian(self.u, policies), kappa, self.legal, y.shape[1])
        right = [y + t * drift, drift] + ([] if probe is None else [probe])
        solved, sign = solve_small(matrix, jnp.stack(right, axis=1))
        probed = jnp.zeros_like(y) if probe is None else solved[:, 2]
        return Linearised(solved[:, 0], solved[:, 1], sign, probed)

    def pace(self) -> Float[Array, " S"]:
        """Until logits could have moved by a half."""
        joint = tuple(range(len(self.u)))
        steepest = jnp.stack([b * (u.max(joint) - u.min(joint)) for b, u in zip(self.beta, self.u, strict=True)])
        return 0.5 / jnp.maximum(steepest.max(axis=0), 1e-300)

    def metric(self, y: Float[Array, "N S"]) -> Float[Array, "N S"]:
        """Fisher's: logits of actions that are hardly played count for little."""
        return jnp.concatenate(policies_of(split(y, self.counts), self.legal))

    def size(self, dy: Float[Array, "N S"], weights: Float[Array, "N S"]) -> Float[Array, " S"]:
        """The largest standard deviation, under play, of an agent's change of logits."""
        return logit_size(split(dy, self.counts), split(weights, self.counts)).max(axis=0)


def logit_size(dz: PerAgent, policies: PerAgent) -> Float[Array, "M S"]:
    """Standard deviation under pi_i of the change of z_i, per agent and state."""
    sizes = []
    for d, pi in zip(dz, policies, strict=True):
        mean = (pi * d).sum(axis=0)
        sizes.append(jnp.sqrt((pi * (d - mean) ** 2).sum(axis=0)))
    return jnp.stack(sizes)


def fixed_point_matrix(
    blocks: list[list[Array | None]], kappa: list[Any], legal: Legal, states: int
) -> Float[Array, "N N S"]:
    """I - kappa C dg/dz, assembled from `response_jacobian`."""
    rows = []
    for i, mask in enumerate(legal):
        row = []
        for j, other in enumerate(legal):
            shape = (mask.shape[0], other.shape[0], states)
            block = blocks[i][j]
            if i == j:
                eye = jnp.eye(shape[0])[:, :, None]
                row.append(jnp.broadcast_to(eye, shape))
            elif block is None:
                row.append(jnp.zeros(shape))
            else:
                weight = mask.astype(block.dtype)[:, None]
                mean = (weight * block).sum(axis=0) / weight.sum(axis=0)
                row.append(jnp.broadcast_to(-kappa[i] * weight * (block - mean), shape))
        rows.append(jnp.concatenate(row, axis=1))
    return jnp.concatenate(rows, axis=0)


def solve_small(
    matrix: Float[Array, "N N S"], right: Float[Array, "N K S"]
) -> tuple[Float[Array, "N K S"], Float[Array, " S"]]:
    """Solve many small systems; also the sign of each determinant."""
    x, sign = solve_with_sign(jnp.moveaxis(matrix, -1, 0), jnp.moveaxis(right, -1, 0))
    return jnp.moveaxis(x, 0, -1), sign


def _solve_with_sign_on_host(matrix: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`solve_with_sign` in NumPy: small matrices are eliminated in step over the batch, large ones left to LAPACK."""
    n = matrix.shape[-1]
    if n > ELIMINATED:
        try:
            with one_blas_thread():
                x, sign = np.linalg.solve(matrix, right), np.asarray(np.linalg.slogdet(matrix).sign)
        except np.linalg.LinAlgError:
            x, sign = np.full_like(right, np.inf), np.zeros(matrix.shape[:-2])
        if np.abs(x).max(initial=0) * SINGULAR <= np.abs(right).max(initial=0):
            return x, sign
    system = np.concatenate([matrix, right], axis=-1).reshape(-1, n, n + right.shape[-1])
    rows = np.arange(system.shape[0])
    odd = np.zeros(system.shape[0], dtype=bool)
    for k in range(n):
        best = k + np.abs(system[:, k:, k]).argmax(axis=1)
        system[rows, k], system[rows, best] = system[rows, best], system[rows, k]
        odd ^= best != k
        pivot = system[:, k, k]
        ratio = system[:, k + 1 :, k] / np.where(pivot == 0, 1.0, pivot)[:, None]
        system[:, k + 1 :, k + 1 :] -= ratio[:, :, None] * system[:, None, k, k + 1 :]
    diagonal = np.diagonal(system[..., :n], axis1=1, axis2=2)
    least = SINGULAR * np.abs(diagonal).max(axis=1, keepdims=True)
    guarded = np.where(np.abs(diagonal) < least, np.where(diagonal < 0, -least, least), diagonal)
    x = system[..., n:]
    for k in reversed(range(n)):
        x[:, k] /= guarded[:, k, None]
        x[:, :k] -= system[:, :k, k, None] * x[:, None, k]
    sign = np.sign(guarded).prod(axis=1) * np.where(odd, -1.0, 1.0)
    return x.reshape(right.shape), sign.reshape(matrix.shape[:-2])


@numpy_twin(_solve_with_sign_on_host)
def solve_with_sign(
    matrix: Float[Array, "*batch N N"], right: Float[Array, "*batch N K"]
) -> tuple[Float[Array, "*batch N K"], Float[Array, "*batch"]]:
    """Solve by LU; also the sign of the determinant.

    A pivot that is zero to rounding is replaced by a tiny one: exactly at a bifurcation, where the residual is zero,
    the correction is then zero and not NaN.
    """
    lu, pivots, permutation = lax.linalg.lu(matrix)
    eye = np.eye(lu.shape[-1])
    diagonal = (lu * eye).sum(axis=-1)
    least = SINGULAR * jnp.abs(diagonal).max(axis=-1, keepdims=True)
    guarded = jnp.where(jnp.abs(diagonal) < least, jnp.where(diagonal < 0, -least, least), diagonal)
    lu = lu + eye * (guarded - diagonal)[..., None, :]
    b = jnp.take_along_axis(right, permutation[..., None], axis=-2)
    b = lax.linalg.triangular_solve(lu, b, left_side=True, lower=True, unit_diagonal=True)
    x = lax.linalg.triangular_solve(lu, b, left_side=True, lower=False)
    swaps = (pivots != np.arange(pivots.shape[-1])).sum(axis=-1)
    return x, jnp.prod(jnp.sign(guarded), axis=-1) * jnp.where(swaps % 2 == 0, 1.0, -1.0)


# ---------------------------------------------------------------------- what is proved about a stage


def interaction(u: Float[Array, "..."], i: int, j: int, legal: Legal) -> Float[Array, " S"]:
    """I_ij = max |u_i(a,b) - u_i(a',b) - u_i(a,b') + u_i(a',b')|, over legal actions; see the module's docstring."""
    agents, states = len(legal), u.shape[-1]
    if u.shape[i] == 1 or u.shape[j] == 1:
        return jnp.zeros(states)

    def own_axis(k: int, position: int, axes: int) -> Array:
        shape = [1] * axes
        shape[position] = legal[k].shape[0]
        return legal[k].reshape(*shape, -1)

    # u(a, .) - u(a', .) with a' on a new leading axis; then the spread over j's actions.
    difference = u[None] - jnp.moveaxis(u, i, 0).reshape(
        u.shape[i], *(1 if k == i else n for k, n in enumerate(u.shape[:-1])), states
    )
    allowed = own_axis(i, 0, agents + 1)
    for k in range(agents):
        if u.shape[k] > 1:
            allowed = allowed & own_axis(k, k + 1, agents + 1)
    high = jnp.where(allowed, difference, -jnp.inf).max(axis=j + 1)
    low = jnp.where(allowed, difference, jnp.inf).min(axis=j + 1)
    spread = jnp.where(high >= low, high - low, 0.0)
    return spread.max(axis=tuple(range(agents)))


def contraction_bound(u: Payoffs, beta: Float[Array, "M"], legal: Legal) -> Float[Array, " S"]:
    """Upper bound of the spectral radius of (beta_j I_ij / 4): below 1, the equilibrium is unique and U contracts."""
    agents = len(u)
    states = u[0].shape[-1]
    matrix = jnp.stack(
        [
            jnp.stack(
                [
                    jnp.zeros(states) if i == j else 0.25 * beta[j] * interaction(u[i], i, j, legal)
                    for j in range(agents)
                ]
            )
            for i in range(agents)
        ]
    )
    # Collatz and Wielandt: any positive vector w bounds the radius by max (Gw)_i / w_i; power iteration picks w.

    # The shift keeps two agents' weights from alternating for ever.
    shift = 0.5 * matrix.sum(axis=1).max(axis=0)

    def improve(_, w: Array) -> Array:
        w = (matrix * w[None]).sum(axis=1) + shift * w
        return w / jnp.maximum(w.max(axis=0), 1e-300) + 1e-9

    w = lax.fori_loop(0, 30, improve, jnp.ones((agents, states)))
    return ((matrix * w[None]).sum(axis=1) / w).max(axis=0)


def monotone(u: Payoffs, beta: Float[Array, "M"], legal: Legal) -> Bool[Array, " S"]:
    """Whether the second condition of the module's docstring proves uniqueness (two agents only)."""
    states = u[0].shape[-1]
    if len(u) != 2:
        return jnp.zeros(states, dtype=bool)
    shape = tuple(max(a, b) for a, b in zip(u[0].shape, u[1].shape, strict=True))
    rows, columns = (mask.astype(u[0].dtype) for mask in legal)
    pair = rows[:, None] * columns[None]

    def purge(v: Array) -> Array:
        """Take out what does not interact: row and column means over legal cells."""
        v = pair * jnp.broadcast_to(v, shape)
        v = v - pair * (v.sum(axis=0) / rows.sum(axis=0))[None]
        return v - pair * (v.sum(axis=1) / columns.sum(axis=0))[:, None]

    first, second = purge(u[0]), purge(u[1])
    square = (first**2).sum(axis=(0, 1))
    w = -(first * second).sum(axis=(0, 1)) / jnp.maximum(square, 1e-300)
    w = jnp.where(w > 0, w, 1.0)
    left = interaction(w * u[0] + u[1], 0, 1, legal)
    return left * jnp.sqrt(beta[0] * beta[1]) < 8 * jnp.sqrt(w) * (1 - 1e-9)


# ---------------------------------------------------------------------- solving


class StageAnswer(NamedTuple):
    """Equilibria of a batch of stages, on the host."""

    z: tuple[np.ndarray, ...]
    """Centred logits [A_i, S]."""
    unique: np.ndarray
    """Proved unique, per state."""
    traced: np.ndarray
    """Reached by following the principal branch, per state."""
    lost: np.ndarray
    """Path following gave up, per state."""
    steps: int
    folds: int
    bifurcations: int
    trace: np.ndarray
    """Residuals of the plain iteration, step by step (largest over the batch)."""


@dataclass(frozen=True)
class StageMethod:
    """How to solve a stage: see `solve_stage`."""

    method: str
    damping: float
    max_steps: int


AUTO_SWEEPS = 40
"""Plain sweeps that method='auto' tries before the strong method."""
TRACE_ITERATIONS = 5_000
"""Newton iterations after which path following stops."""
NEWTON_ITERATIONS = 30
NEAR_ITERATIONS = 3
"""Newton iterations from an extrapolated point, before a state is traced instead."""
STEEP = 4.0
"""From this change of logits on, by the others' play, Q is read off the logits: see `q_of`."""
SINGULAR = 1e-15
"""Pivots below this share of the largest are rounding."""
ELIMINATED = 24
"""Up to this size, NumPy steps over a batch of matrices beat LAPACK calls for each."""
CLOSE = 1e-7
"""A last correction of Newton's method below this has converged."""
SQUARED = 1e-8
"""After a correction this small the next would be its square, below rounding."""
BLOCK = 96
"""States followed together; see `_in_blocks`."""
FEW_BLOCKS = 2
"""For more blocks than this compiling pays at once."""


def residual(u: Payoffs, beta: Float[Array, "M"], z: PerAgent, legal: Legal) -> Float[Array, " S"]:
    """Max over agents and legal actions of |Q - U(Q)|, undamped, at Q = E_{softmax z}[u]."""
    q = expected_payoffs(u, policies_of(z, legal))
    return gap(q, respond(u, beta, q, legal), legal, cells=1)


def respond(u: Payoffs, beta: Float[Array, "M"], q: PerAgent, legal: Legal) -> PerAgent:
    """U(Q) = E_{softmax(beta Q_-i)}[u_i]: the paper's map at one stage, equation (8)."""
    return expected_payoffs(u, policies_of(tuple(b * qi for b, qi in zip(beta, q, strict=True)), legal))


@quick_jit
def _miss(u: Payoffs, beta: Float[Array, "M"], z: PerAgent, legal: Legal) -> Float[Array, " S"]:
    """How far logits z are from solving a game, in payoffs: their residual, or their distance from those of their Q.

    Where nobody's choice matters to anybody else the residual vanishes at all logits.
    """
    q = expected_payoffs(u, policies_of(z, legal))
    own = tuple(zi / jnp.maximum(b, 1e-300) for zi, b in zip(z, beta, strict=True))
    level = tuple(centre(qi, mask) for qi, mask in zip(q, legal, strict=True))
    return jnp.maximum(residual(u, beta, z, legal), gap(own, level, legal, cells=1))


def logits_of(q: PerAgent, beta: Float[Array, "M"], legal: Legal) -> PerAgent:
    """z_i = beta_i C_i Q_i."""
    return tuple(b * centre(qi, mask) for b, qi, mask in zip(beta, q, legal, strict=True))


def q_of(
    z: Float[Array, "A *s"],
    g: Float[Array, "A *s"],
    beta: Float[Array, ""],
    spread: Float[Array, "*#s"],
    legal: Bool[Array, "A *#s"],
) -> Float[Array, "A *s"]:
    """Q_i of logits that solve z = beta C g, given how much payoffs vary: g, or its mean + z / beta.

    Both are the same at the solution. Near it the one is off by payoffs' spread times the error of z, and policies by
    beta times that; the other by the error of z / beta.
    """
    weight = legal.astype(g.dtype)
    level = (weight * g).sum(axis=0) / weight.sum(axis=0)
    steep = beta * spread > STEEP
    return jnp.where(legal & steep, level + z / jnp.where(beta > 0, beta, 1.0), g)


@quick_jit
def _survey(u: Payoffs, beta: Float[Array, "M"], legal: Legal) -> tuple[Bool[Array, " S"], Float[Array, " S"]]:
    """Where uniqueness is proved, and how strongly each state's agents interact."""
    bound = contraction_bound(u, beta, legal)
    return (bound < 1 - 1e-9) | monotone(u, beta, legal), bound


@partial(quick_jit, static_argnames="max_steps")
def _picard(
    u: Payoffs,
    beta: Float[Array, "M"],
    legal: Legal,
    z: PerAgent,
    damping: Array | float,
    tol: Float[Array, " S"],
    max_steps: int,
):
    """Equation (14) per state, from the play that logits z describe."""
    q = tuple(zi / jnp.maximum(b, 1e-300) for zi, b in zip(z, beta, strict=True))
    done = fixed_point(
        lambda x: respond(u, beta, x, legal), q, legal, damping=damping, tol=tol, max_steps=max_steps, cells=1
    )
    return done, logits_of(done.q, beta, legal)


def _pick(
    u: Payoffs, legal: tuple[Bool[Array, "..."], ...], index: Int[Array, " n"]
) -> tuple[Payoffs, tuple[Bool[Array, "..."], ...]]:
    """Take some states."""
    return (
        tuple(x[..., index] for x in u),
        tuple(m if m.shape[-1] == 1 else m[..., index] for m in legal),
    )


@quick_jit
def _follow(u: Payoffs, beta: Float[Array, "M"], legal: Legal, index: Int[Array, " n"]):
    """The principal branch of some states, from uniform play to beta."""
    u, legal = _pick(u, legal, index)
    curve = StageCurve(u, beta, legal)
    y = jnp.zeros((sum(curve.counts), index.shape[0]))
    track = arclength.begin(y, jnp.zeros(y.shape[1]))
    track, count = arclength.advance(curve, track, jnp.ones(y.shape[1]), iterations=TRACE_ITERATIONS)
    return split(track.last.y, curve.counts), track.arrived, track.folds, track.bifurcations, count


@partial(quick_jit, static_argnames="most")
def _newton(
    u: Payoffs,
    beta: Float[Array, "M"],
    legal: Legal,
    index: Int[Array, " n"],
    z: tuple[Float[Array, "..."], ...],
    most: int,
):
    """Newton's method, at most two logits per step, until the corrections no longer shrink."""
    u, legal = _pick(u, legal, index)
    curve = StageCurve(u, beta, legal)
    y = jnp.concatenate(z)
    one = jnp.ones(y.shape[1])

    def running(carry: Any):
        _, size, last, count = carry
        return ((size > SQUARED) & ((size > 1e-9) | (size < 0.3 * last))).any() & (count < most)

    def body(carry: Any):
        y, size, _, count = carry
        at = curve.linearise(y, one)
        new = jnp.maximum(curve.size(at.correction, curve.metric(y)), 1e-300)
        moved = y - at.correction * jnp.minimum(1.0, 2.0 / new)
        good = jnp.isfinite(moved).all(axis=0)
        return jnp.where(good, moved, y), jnp.where(good, new, jnp.inf), size, count + 1

    y, size, _, count = lax.while_loop(running, body, (y, jnp.inf * one, jnp.inf * one, jnp.int32(0)))
    return split(y, curve.counts), size <= CLOSE, count


def solve_stage(
    u: Payoffs,
    beta: Float[Array, "M"],
    legal: Legal,
    how: StageMethod,
    tol: float,
    z: PerAgent | None = None,
    near: PerAgent | None = None,
) -> StageAnswer:
    """Solve S stage games.

    Parameters
    ----------
    u
        Payoffs [A_1|1, ..., A_M|1, S] per agent.
    beta
        Precision per agent.
    legal
        Legal actions [A_i, S] per agent.
    how
        `picard`: equation (14) alone. `newton`: Newton's method from z. `continuation`: the principal branch for every
        state. `auto`: plain iteration where uniqueness is proved and it settles, the principal branch everywhere else.
    tol
        Accepted residual.
    z
        Where to start `picard` and `newton`; uniform play unless given.
    near
        For `auto`: logits close to the answer, where Newton's method starts in states proved to have only one. All
        others are traced from uniform play: that Newton's method hardly moves would not tell on which branch it is.
    """
    counts = tuple(mask.shape[0] for mask in legal)
    states = u[0].shape[-1]
    z = tuple(jax.device_put(np.zeros((n, states))) for n in counts) if z is None else z
    unique, bound = (np.array(x) for x in _survey(u, beta, legal))
    traced, lost = np.zeros(states, dtype=bool), np.zeros(states, dtype=bool)
    steps, folds, bifurcations, trace = 0, 0, 0, np.zeros(0)
    answer = [np.array(x) for x in z]
    settled = np.zeros(states, dtype=bool)

    if near is not None:
        guess = [np.asarray(x) for x in near]
        # Interpolated starts often solve the game already; with room for the rounding of what is read off them.
        settled = unique & (np.asarray(_miss(u, beta, near, legal)) <= 0.1 * tol)
        for a, g in zip(answer, guess, strict=True):
            a[:, settled] = g[:, settled]
        for rows, found, close, count in _in_blocks(
            lambda index: _newton(u, beta, legal, index, tuple(g[:, index] for g in guess), most=NEAR_ITERATIONS),
            unique & ~settled,
            bound,
        ):
            _scatter(answer, rows, found)
            settled[rows] = np.asarray(close)[: rows.size]
            steps += int(count)
    if how.method == "picard" or (how.method == "auto" and near is None):
        most = how.max_steps if how.method == "picard" else AUTO_SWEEPS
        # What is reported is the response to where the iteration stops: its residual may be larger by the map's slope.
        scale = max(float(np.abs(np.asarray(x)).max()) for x in u)
        inner = np.maximum(tol / np.maximum(4.0, 4.0 * bound), 8 * np.finfo(float).eps * scale)
        done, found = _picard(u, beta, legal, z, how.damping, inner, most)
        steps, trace = int(done.steps), np.array(done.trace)[: int(done.steps)]
        settled = np.array(done.residual) <= inner
        answer = [np.array(x) for x in found]
    if how.method == "newton":
        for rows, found, _, count in _in_blocks(
            lambda index: _newton(u, beta, legal, index, tuple(a[:, index] for a in answer), most=NEWTON_ITERATIONS),
            ~settled,
            bound,
        ):
            _scatter(answer, rows, found)
            steps += int(count)
    if how.method == "continuation" or how.method == "auto":
        wanted = ~unique | ~settled if how.method == "auto" else np.ones(states, dtype=bool)
        for rows, found, arrived, f, b, count in _in_blocks(
            lambda index: _follow(u, beta, legal, index), wanted, bound
        ):
            _scatter(answer, rows, found)
            traced[rows] = np.array(arrived)[: rows.size]
            lost[rows] = ~traced[rows]
            steps += int(count)
            folds += int(np.array(f)[: rows.size].sum())
            bifurcations += int(np.array(b)[: rows.size].sum())
    return StageAnswer(tuple(answer), unique, traced, lost, steps, folds, bifurcations, trace)


def _in_blocks(task: Callable, wanted: np.ndarray, hardness: np.ndarray) -> Iterator[tuple]:
    """Run `task(index)` on the wanted states in blocks of one size; yield (rows, *results) per block.

    Paths in a block run in lockstep, so states of like hardness go together; one block size means one compilation.
    """
    rows = np.flatnonzero(wanted)
    rows = rows[np.argsort(hardness[rows], kind="stable")]
    block = min(BLOCK, wanted.size)
    parts = [rows[first : first + block] for first in range(0, rows.size, block)]
    # All are under way before the first is waited for. The last one is filled up with repetitions.
    with compiled() if len(parts) > FEW_BLOCKS else nullcontext():
        pending = [(part, *task(np.resize(part, block))) for part in parts]
    yield from pending


def _scatter(answer: list[np.ndarray], rows: np.ndarray, found: tuple[Array, ...]) -> None:
    for a, f in zip(answer, found, strict=True):
        a[:, rows] = np.array(f)[:, : rows.size]
