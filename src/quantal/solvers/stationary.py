"""MGE-I: stationary logit equilibrium with discounting (Algorithm 1).

Fixed point of Q = T(Q), T(Q)_i = E_{pi_-i}[ R_i + discount_i E V_i' ] with pi = softmax(beta Q) and V by the value
rule. Two ways to it:

* iterating T, damped (14) or Anderson-accelerated (`quantal.iterate`): cheap per step, any size;
* Newton and path following (`quantal.arclength`) in centred logits z and values v,

      z_i = kappa_i C_i g_i,    v_i = rule(g_i, pi_i),    g_i = E_{pi_-i}[ rho_i R_i + discount_i E v_i' ],

  with (kappa, rho) = (t beta, 1); for the soft rule v = beta V and (kappa, rho) = (1, t beta), which stays finite as
  t -> 0. From t = 0 (uniform play) to t = 1 this is the principal branch.

The Jacobian couples the actions of one state with each other, and states only through v. So each state's small block is
inverted by itself, and what is left is one system in v with M S unknowns: (I - K) dv = r, where K applies each agent's
expected-next-value under its opponents' play. K is factorised where it is small and dense, and applied inside GMRES
where it is not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from quantal import arclength, logit, stage
from quantal.arclength import Linearised
from quantal.bellman import backup_one, joint_payoffs, marginal, sweep
from quantal.iterate import fixed_point, gap
from quantal.layout import DenseMoves, Model
from quantal.logit import ValueRule
from quantal.precision import quick_jit

DENSE_VALUES = 1_600
"""Up to this many unknowns M S the value system is factorised, if the moves are dense."""
GMRES_RESTART = 40
GMRES_CYCLES = 8
READ_TOGETHER = 20
"""Points of a branch that are read in one call."""
TRACE_ITERATIONS = 20_000
NEWTON_ITERATIONS = 60
FIRST_BATCH = 400
"""Newton iterations of the first round of path following: more than most games need."""
ANDERSON_DEPTH = 8


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class StationaryCurve:
    """The equations above as a family in t; states flat in the last axis, one path (batch axis of length 1)."""

    model: Model
    beta: Float[Array, "M"]
    discount: Float[Array, "M"]
    rule: ValueRule = field(metadata={"static": True})

    # -------------------------------------------------------------- packing

    @property
    def width(self) -> int:
        """Actions of all agents, the size of one state's block."""
        return sum(self.model.action_counts)

    @property
    def unknowns(self) -> int:
        """Values in the one system that couples the states."""
        return self.model.number_of_agents * self.model.number_of_states

    @property
    def factorised(self) -> bool:
        """Whether the value system is solved directly."""
        return isinstance(self.model.moves, DenseMoves) and self.unknowns <= DENSE_VALUES

    def pack(self, z: stage.PerAgent, v: tuple[Array, ...]) -> Float[Array, "N 1"]:
        """Flatten logits [A_i, *states] and values [*states]."""
        return jnp.concatenate([a.reshape(-1) for a in (*z, *v)])[:, None]

    def unpack(self, y: Float[Array, "N 1"]) -> tuple[stage.PerAgent, tuple[Array, ...]]:
        """Inverse of `pack`."""
        states = self.model.number_of_states
        rows = y[:, 0].reshape(-1, states)
        z = stage.split(rows[: self.width], self.model.action_counts)
        values = rows[self.width :]
        shape = self.model.state_shape
        return (
            tuple(a.reshape(a.shape[0], *shape) for a in z),
            tuple(values[i].reshape(shape) for i in range(self.model.number_of_agents)),
        )

    def _flat(self, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
        """[A.., *states] -> [A.., S], broadcasting masks."""
        dims, shape = len(self.model.state_shape), self.model.state_shape
        return tuple(
            jnp.broadcast_to(a, a.shape[: a.ndim - dims] + shape).reshape(*a.shape[: a.ndim - dims], -1) for a in arrays
        )

    # -------------------------------------------------------------- the equations

    def scales(self, t: Float[Array, ""]) -> tuple[list, list, list, list]:
        """kappa, rho and their derivatives in t, per agent."""
        agents = range(self.model.number_of_agents)
        one, none = [1.0 for _ in agents], [0.0 for _ in agents]
        moving, rate = [t * self.beta[i] for i in agents], [self.beta[i] for i in agents]
        return (one, moving, none, rate) if self.rule == "soft" else (moving, one, rate, none)

    def payoffs(self, v: tuple[Array, ...], rho: list) -> stage.Payoffs:
        """u_i = rho_i R_i + discount_i E v_i', [A_1..A_M, S]."""
        model = self.model
        scaled = model.with_rewards(tuple(r * k for r, k in zip(model.rewards, rho, strict=True)))
        return self._flat(tuple(joint_payoffs(scaled, self.discount, i, vi) for i, vi in enumerate(v)))

    def ahead(self, policies: stage.PerAgent, i: int, dv: Array) -> Array:
        """discount_i E_{pi_-i} E dv(x'): how agent i's payoffs g_i move with its values, [A_i, *states]."""
        return backup_one(self.model.without_rewards(), self.discount, i, policies, dv)

    def linearise(self, y: Float[Array, "N 1"], t: Float[Array, " 1"]) -> Linearised:
        """See `quantal.arclength.Curve`."""
        agents = self.model.number_of_agents
        states, shape = self.model.number_of_states, self.model.state_shape
        legal = self._flat(self.model.legal)
        z_full, v = self.unpack(y)
        z, v_flat = self._flat(z_full), self._flat(v)
        pi = stage.policies_of(z, legal)
        pi_full = tuple(p.reshape(-1, *shape) for p in pi)
        kappa, rho, dkappa, drho = self.scales(t[0])
        u = self.payoffs(v, rho)
        g = stage.expected_payoffs(u, pi)

        blocks = stage.response_jacobian(u, pi)
        local = stage.fixed_point_matrix(blocks, kappa, legal, states)
        eye = jnp.broadcast_to(jnp.eye(self.width)[:, :, None], local.shape)
        inverse, local_sign = stage.solve_small(local, eye)

        # Value rows: dv_i = w_i . dg_i (+ g_i . dpi_i for the expected rule).
        weights, rows = [], []
        for i in range(agents):
            w = self._value_weights(g[i], pi[i], legal[i])
            row = []
            for j, block in enumerate(blocks[i]):
                if i == j:
                    own = stage.choice_jacobian(pi[i])
                    term = (g[i][:, None] * own).sum(axis=0) if self.rule == "expected" else 0 * pi[i]
                elif block is None:
                    term = 0 * pi[j]
                else:
                    term = (w[:, None] * block).sum(axis=0)
                row.append(term)
            weights.append(w)
            rows.append(jnp.concatenate(row))
        value_rows = jnp.stack(rows)  # [M, N, S]
        through = jnp.einsum("mns,nks->mks", value_rows, inverse)

        # How values respond to b = E[dv']: directly, and through the logits it moves.
        response, start = [], 0
        for j, count in enumerate(self.model.action_counts):
            piece = through[:, start : start + count]
            mask = legal[j].astype(piece.dtype)[None]
            mean = (mask * piece).sum(axis=1, keepdims=True) / mask.sum(axis=1, keepdims=True)
            lifted = kappa[j] * mask * (piece - mean)
            response.append(lifted.at[j].add(weights[j]))  # [M, A_j, S]
            start += count

        residual_z, drift_z, residual_v, drift_v = [], [], [], []
        reward = self._reward_payoffs(pi) if self.rule == "soft" else None
        for i in range(agents):
            own = stage.centre(g[i], legal[i])
            residual_z.append(z[i] - kappa[i] * own)
            residual_v.append(v_flat[i] - self._value(g[i], pi[i], legal[i]))
            if reward is None:
                drift_z.append(-dkappa[i] * own)
                drift_v.append(jnp.zeros(states))
            else:
                drift_z.append(-drho[i] * stage.centre(reward[i], legal[i]))
                drift_v.append(-drho[i] * (weights[i] * reward[i]).sum(axis=0))
        right_z = jnp.stack([jnp.concatenate(residual_z), jnp.concatenate(drift_z)], axis=-1)  # [N, S, 2]
        right_v = jnp.stack([jnp.stack(residual_v), jnp.stack(drift_v)], axis=-1)  # [M, S, 2]
        reduced = right_v + jnp.einsum("mks,ksc->msc", through, right_z)

        if self.factorised:
            dv, sign = self._factorised(response, pi, reduced)
        else:
            dv = jnp.stack([self._krylov(response, pi_full, reduced[..., c]) for c in range(2)], axis=-1)
            # No determinant without a factorisation: bifurcations are not watched for, except in games played once.
            sign = jnp.where((self.discount == 0).all(), 1.0, 0.0)
        lifted = []
        for j in range(agents):
            b = jnp.stack(
                [self.ahead(pi_full, j, dv[j, :, c].reshape(shape)).reshape(-1, states) for c in range(2)], axis=-1
            )
            mask = legal[j].astype(b.dtype)[..., None]
            mean = (mask * b).sum(axis=0) / mask.sum(axis=0)
            lifted.append(kappa[j] * mask * (b - mean))
        dz = jnp.einsum("nks,ksc->nsc", inverse, right_z + jnp.concatenate(lifted))
        both = jnp.concatenate([dz, dv]).reshape(-1, 2)
        return Linearised(both[:, :1], both[:, 1:], (sign * jnp.prod(local_sign))[None])

    def _value(self, g: Array, pi: Array, legal: Array) -> Array:
        return logit.value(self.rule, 1.0, g, pi, legal)

    def _value_weights(self, g: Array, pi: Array, legal: Array) -> Array:
        """D rule / d g."""
        if self.rule == "expected":
            return pi
        if self.rule == "soft":
            return logit.policy(g, legal)
        best = jnp.argmax(jnp.where(legal, g, -jnp.inf), axis=0)
        return jax.nn.one_hot(best, g.shape[0], axis=0, dtype=g.dtype)

    def _reward_payoffs(self, pi: stage.PerAgent) -> stage.PerAgent:
        rewards = self._flat(self.model.rewards)
        return tuple(stage.average(r, pi, (i,)) for i, r in enumerate(rewards))

    def _factorised(self, response: list[Array], pi: stage.PerAgent, right: Array) -> tuple[Array, Array]:
        """Solve (I - K) dv = right [M, S, 2] by LU; also the sign of the determinant."""
        agents, states = self.model.number_of_agents, self.model.number_of_states
        moves = self.model.moves
        assert isinstance(moves, DenseMoves)
        spread = tuple(p[..., None] for p in pi)
        blocks = []
        for j in range(agents):
            kernel = self.discount[j] * marginal(moves.matrix, spread, (j,))  # [A_j, S, S']
            blocks.append(jnp.einsum("mas,ast->mst", response[j], kernel))  # K[(m, s), (j, t)]
        k = jnp.stack(blocks, axis=2).reshape(agents * states, agents * states)
        x, sign = stage.solve_with_sign(jnp.eye(agents * states) - k, right.reshape(agents * states, 2))
        return x.reshape(agents, states, 2), sign

    def _krylov(self, response: list[Array], pi_full: stage.PerAgent, right: Array) -> Array:
        """Solve (I - K) dv = right [M, S] by GMRES; K is applied, never formed."""
        agents, states = self.model.number_of_agents, self.model.number_of_states

        def apply(dv: Array) -> Array:
            total = dv
            for j in range(agents):
                b = self.ahead(pi_full, j, dv[j].reshape(self.model.state_shape)).reshape(-1, states)
                total = total - (response[j] * b[None]).sum(axis=1)
            return total

        scale = jnp.maximum(jnp.abs(right).max(), 1e-300)
        dv, _ = jax.scipy.sparse.linalg.gmres(
            apply,
            right / scale,
            tol=1e-10,
            atol=0.0,
            restart=min(GMRES_RESTART, agents * states),
            maxiter=GMRES_CYCLES,
            solve_method="batched",
        )
        return dv * scale

    # -------------------------------------------------------------- how steps are measured

    def metric(self, y: Float[Array, "N 1"]) -> Float[Array, "N 1"]:
        """Fisher's metric on the logits; values follow from play and do not count."""
        z, v = self.unpack(y)
        pi = stage.policies_of(z, self.model.legal)
        return self.pack(pi, tuple(0 * x for x in v))

    def size(self, dy: Float[Array, "N 1"], weights: Float[Array, "N 1"]) -> Float[Array, " 1"]:
        """The largest standard deviation, under play, of a change of logits."""
        dz, _ = self.unpack(dy)
        pi, _ = self.unpack(weights)
        return stage.logit_size(self._flat(dz), self._flat(pi)).max()[None]

    # -------------------------------------------------------------- reading the answer

    def q_values(self, y: Float[Array, "N 1"], t: Float[Array, ""]) -> stage.PerAgent:
        """Q_i [A_i, *states] in payoff units, at beta = t times the curve's."""
        z, v = self.unpack(y)
        pi = stage.policies_of(z, self.model.legal)
        if self.rule == "soft":
            v = tuple(vi / (t * b) for vi, b in zip(v, self.beta, strict=True))
        g = tuple(backup_one(self.model, self.discount, i, pi, vi) for i, vi in enumerate(v))
        spreads = tuple(
            r.max() - r.min() + d * (vi.max() - vi.min())
            for r, d, vi in zip(self.model.rewards, self.discount, v, strict=True)
        )
        return tuple(
            stage.q_of(zi, gi, t * b, spread, mask)
            for zi, gi, b, spread, mask in zip(z, g, self.beta, spreads, self.model.legal, strict=True)
        )

    def guess(self, q: stage.PerAgent, t: Float[Array, ""] | float) -> Float[Array, "N 1"]:
        """Pack the point that Q-values describe."""
        legal = self.model.legal
        z, v = [], []
        for i, qi in enumerate(q):
            b = t * self.beta[i]
            mask = jnp.broadcast_to(legal[i], qi.shape)
            flat = stage.centre(b * qi.reshape(qi.shape[0], -1), mask.reshape(qi.shape[0], -1))
            z.append(flat.reshape(qi.shape))
            value = logit.value(self.rule, b, qi, logit.policy(b * qi, legal[i]), legal[i])
            v.append(b * value if self.rule == "soft" else value)
        return self.pack(tuple(z), tuple(v))


class Found(NamedTuple):
    """Where a stationary search ended, in engine layout."""

    q: stage.PerAgent
    policies: stage.PerAgent
    values: tuple[Array, ...]
    residual: Array
    """Undamped |Q - T(Q)| per state, [*states]."""
    steps: Array | int
    trace: Array
    arrived: Array | bool
    folds: Array | int
    bifurcations: Array | int
    point: Array
    """The curve's point y [N, 1] (for warm starts); empty for plain iteration."""


def residual_of(model: Model, rule: ValueRule, beta: Array, discount: Array, q: stage.PerAgent) -> Array:
    """Undamped |Q - T(Q)| per state."""
    image = sweep(model, rule, beta, discount, q)
    return gap(q, image, model.legal, cells=len(model.state_shape))


@partial(jax.jit, static_argnames=("rule", "max_steps", "memory", "focal"))
def iterate(
    model: Model,
    beta: Array,
    discount: Array,
    q: stage.PerAgent,
    damping: Array | float,
    tol: Array | float,
    *,
    rule: ValueRule,
    max_steps: int,
    memory: int = 0,
    focal: int | None = None,
) -> Found:
    """Iterate T, Jacobi (focal=None) or in Algorithm 1's order for agent `focal`: opponents first, then the agent."""

    def jacobi(x: stage.PerAgent) -> stage.PerAgent:
        return sweep(model, rule, beta, discount, x)

    def algorithm_1(x: stage.PerAgent) -> stage.PerAgent:
        assert focal is not None
        new = jacobi(x)
        legal = model.legal
        # Agent i meets the opponents' new policies, with its own old values.
        pi = tuple(logit.policy(beta[j] * (x if j == focal else new)[j], legal[j]) for j in range(len(x)))
        value = logit.value(rule, beta[focal], x[focal], pi[focal], legal[focal])
        own = backup_one(model, discount, focal, pi, value)
        return tuple(own if j == focal else new[j] for j in range(len(x)))

    done = fixed_point(
        jacobi if focal is None else algorithm_1,
        q,
        model.legal,
        damping=damping,
        tol=tol,
        max_steps=max_steps,
        memory=memory,
    )
    residual = residual_of(model, rule, beta, discount, done.q)
    none = jnp.int32(0)
    policies, values = logit.read(rule, beta, done.q, model.legal)
    return Found(
        done.q, policies, values, residual, done.steps, done.trace, jnp.bool_(False), none, none, jnp.zeros((0, 1))
    )


def _natural(curve: StationaryCurve, y: Array, t: Array, most: int, tight: float = 1e-13):
    """Newton's method at fixed t, at most one logit per step; stops when corrections are `tight` or cease to shrink."""

    def running(carry: Any):
        _, size, last, count = carry
        return (size > tight) & ~((size < 1e-9) & (size > 0.3 * last)) & (count < most)

    def body(carry: Any):
        y, size, _, count = carry
        at = curve.linearise(y, t)
        new = curve.size(at.correction, curve.metric(y))[0]
        new = jnp.where(jnp.isfinite(new), new, jnp.inf)
        factor = jnp.minimum(1.0, 2.0 / jnp.maximum(new, 1e-300))
        moved = y - factor * at.correction
        moved = jnp.where(jnp.isfinite(moved).all(), moved, y)
        return moved, new, size, count + 1

    inf = jnp.asarray(jnp.inf)
    y, _, _, count = lax.while_loop(running, body, (y, inf, inf, jnp.int32(0)))
    return y, count


def _read(curve: StationaryCurve, y: Array, t: Array) -> Found:
    q = curve.q_values(y, t[0])
    beta = t[0] * curve.beta
    residual = residual_of(curve.model, curve.rule, beta, curve.discount, q)
    policies, values = logit.read(curve.rule, beta, q, curve.model.legal)
    none = jnp.int32(0)
    return Found(q, policies, values, residual, none, jnp.zeros(0), jnp.bool_(True), none, none, y)


@quick_jit
def read_point(curve: StationaryCurve, y: Array, t: Array) -> Found:
    """Q-values and residual of a point of the curve, at beta = t times the curve's."""
    return _read(curve, y, t)


@quick_jit
def _read_points(curve: StationaryCurve, y: Array, t: Array) -> Found:
    return lax.map(lambda point: _read(curve, *point), (y, t))


def read_points(curve: StationaryCurve, ys: list[np.ndarray], ts: list[float]) -> list[Found]:
    """`read_point` for many points, on the host."""
    found: list[Found] = []
    for first in range(0, len(ys), READ_TOGETHER):
        some = ys[first : first + READ_TOGETHER]
        filled = np.resize(np.arange(len(some)), READ_TOGETHER)  # one shape, one program
        t = np.asarray(ts[first : first + READ_TOGETHER])[:, None]
        read = jax.tree.map(np.asarray, _read_points(curve, np.stack(some)[filled], t[filled]))
        found += [jax.tree.map(lambda a, k=k: a[k], read) for k in range(len(some))]
    return found


def newton(curve: StationaryCurve, y: Array) -> Found:
    """Newton's method at t = 1 from a guess."""
    y, steps = _newton(curve, y)
    return read_point(curve, y, np.ones(1))._replace(steps=steps)


@quick_jit
def _newton(curve: StationaryCurve, y: Array) -> tuple[Array, Array]:
    return _natural(curve, y, jnp.ones(1), NEWTON_ITERATIONS)


def origin(curve: StationaryCurve) -> arclength.Track:
    """Where the branch starts: at t = 0 everyone plays uniformly; the first corrections find the values there."""
    states = curve.model.number_of_states
    y = np.zeros(((curve.width + curve.model.number_of_agents) * states, 1))
    return arclength.begin(y, np.zeros(1))


@quick_jit
def _advance(curve: StationaryCurve, track: arclength.Track, iterations: Array) -> tuple[arclength.Track, Array]:
    return arclength.advance(curve, track, jnp.ones(1), iterations=iterations)


def follow(curve: StationaryCurve, progress: Callable[[float], None] | None = None) -> Found:
    """The principal branch from uniform play (t = 0) to beta (t = 1), its first arrival there.

    Runs in rounds of about half a second, so that `progress` hears of the largest t so far.
    """
    track, steps, reached, batch = origin(curve), 0, 0.0, FIRST_BATCH
    while steps < TRACE_ITERATIONS and not (_flag(track.arrived) or _flag(track.failed)):
        begun = perf_counter()
        track, count = _advance(curve, track, np.int32(batch))
        steps += int(count)
        reached = max(reached, float(np.asarray(track.last.t)[0]))
        if progress is not None:
            progress(min(reached, 1.0))
        batch = max(1, min(4 * batch, int(0.5 * batch / max(perf_counter() - begun, 1e-3))))
    found = read_point(curve, track.last.y, np.ones(1))
    return found._replace(
        steps=steps,
        arrived=_flag(track.arrived),
        folds=int(np.asarray(track.folds)[0]),
        bifurcations=int(np.asarray(track.bifurcations)[0]),
    )


def _flag(flags: Array | np.ndarray) -> bool:
    return bool(np.asarray(flags)[0])
