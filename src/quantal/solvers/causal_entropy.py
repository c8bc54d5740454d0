r"""Multi-agent maximum causal entropy: the solution of problem (13), apart from the soft game of Theorem 4.

    maximise  H(a || x) = -E[ sum_tau log pi^tau(a | x) ]   subject to   E[F_i] = the observed mean of F_i, for every i

has the Lagrangian L(theta, pi) = H + sum_i <theta_i, E[F_i] - observed_i>. Entropy adds up over agents, so this is one
problem with a common payoff, and at its maximum over pi, backward from V^{last+1} = 0 (or the sum of final rewards,
where the game has them),

    pi_i(a_i | x) ∝ exp( E_{pi_-i}[ u(x, a) ] ),      u(x, a) = sum_j r_j(x, a) + sum_x' P(x' | x, a) V(x'),
    V(x)          = E_pi[ u(x, a) ] + sum_j H(pi_j(. | x)),                                  r_j = <theta_j, F_j>.

Where r_j depends on a_j only, the other agents' terms of u are the same for all of i's actions, and this is MODEL.md's
pi_i ∝ exp(<theta_i, F_i> + E_{pi_-i}[V']). Theorem 4 has a value of its own for every agent instead, V_i = log Z_i: the
soft game, `quantal.solve(value="soft", beta=1)`. It is no stationary point of L.

Given V' a stage is, at each state, an identical-interest game whose logit equilibria are the stationary points of its
potential E_pi[u] + sum_j H(pi_j). Answering in turn never lowers the potential, so it settles from every start; of many
starts (the principal branch, and every joint action) the best is kept and polished by Newton's method. Stopping rule:
the undamped residual |Q - E_{pi_-i}[u]|. Where only one stage equilibrium exists (`unique`) it is the maximum, proved;
elsewhere it is the best that was found.

The dual function g(theta) = max_pi L is convex, a maximum of functions linear in theta, and its gradient is
E[F] - observed (Theorems 5 and 10 print it reversed).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from quantal import logit, stage
from quantal.bellman import marginal, payoffs_at
from quantal.game import MarkovGame
from quantal.layout import Model, from_public, model_of, to_public
from quantal.occupancy import push
from quantal.precision import double_precision, quick_jit
from quantal.request import whole
from quantal.solution import PerAgent, Status

STARTS = 64
"""Most joint actions from which every state's potential is climbed."""
CLIMBS = 200
"""Rounds of answering in turn, from each start; Newton's method does the rest."""
CHUNK_BYTES = 2**27
"""Joint payoffs held at a time, of all starts."""
TOLERANCE = 1e-12
"""Accepted residual, per unit of the largest value where that is above 1."""


@dataclass(frozen=True)
class Terms:
    """On which terms the policies are played; `evaluate` and `simulate` read them."""

    discount: tuple[float, ...]
    horizon: int
    beta: tuple[float, ...]


@dataclass(frozen=True, eq=False, kw_only=True)
class CausalEntropySolution:
    """A maximum of the Lagrangian of problem (13) at the rewards of `game`.

    Attributes
    ----------
    policy
        pi_i(a | x) per agent, (T, *states, A_i), T = last + 1 decisions.
    value
        V(x), common to all, (T + 1, *states); the last is the sum of the final rewards.
    residual
        max |Q - E_{pi_-i}[u]| over agents, times, states and legal actions.
    unique
        Whether each stage equilibrium is proved to be the only one, (T, *states): then it is the maximum.
    status, converged
        How the solve ended.
    parameters
        Horizon; discounts and betas are 1.
    """

    game: MarkovGame
    policy: PerAgent
    value: np.ndarray
    residual: float
    unique: np.ndarray
    status: Status
    parameters: Terms

    @property
    def converged(self) -> bool:
        """Whether the residual met the tolerance everywhere."""
        return self.status is Status.CONVERGED

    def __repr__(self) -> str:
        return (
            f"<CausalEntropySolution of {self.game.name or 'a game'}: {self.parameters.horizon} decisions; "
            f"{self.status.name.lower()}, residual {self.residual:.1e}>"
        )


# ---------------------------------------------------------------------- solving


@double_precision
def solve(game: MarkovGame, horizon: int, progress: Callable[[float], None] | None = None) -> CausalEntropySolution:
    """Maximise causal entropy plus expected rewards, over everyone's policies.

    Parameters
    ----------
    game
        Its rewards are <theta_i, F_i>. Problem (13) has no final rewards; a game's count like features that are known.
    horizon
        Number of decisions, the paper's T + 1.
    progress
        Called with the share done, 0 to 1.

    Raises
    ------
    ParameterError
        If the horizon is no whole number of decisions.
    """
    horizon = whole("horizon", horizon, 1, "a whole number of decisions, at least 1")
    model = model_of(game)
    agents, states = model.number_of_agents, model.number_of_states
    value = np.zeros((horizon + 1, states))
    value[-1] = np.broadcast_to(sum(np.asarray(f) for f in model.final_rewards), model.state_shape).reshape(-1)
    policies = [np.zeros((horizon, n, states)) for n in model.action_counts]
    unique = np.zeros((horizon, states), dtype=bool)
    worst, accepted = 0.0, True
    beta = jax.device_put(np.ones(agents))
    starts = _starts(model.action_counts)
    size = max(1, min(states, CHUNK_BYTES // (8 * len(starts) * math.prod(model.action_counts))))
    for time in reversed(range(horizon)):
        ahead = jax.device_put(value[time + 1].reshape(model.state_shape))
        for first in range(0, states, size):
            first = min(first, states - size)
            index = np.arange(first, first + size)
            u, legal = _common(model, ahead, jax.device_put(index))
            payoffs = (u,) * agents
            tol = TOLERANCE * max(1.0, float(jnp.abs(u).max()))
            how = stage.StageMethod("auto", 1.0, 10_000)
            principal = stage.solve_stage(payoffs, beta, legal, how, tol)
            z = principal.z
            if not principal.unique.all():
                z = _climb(u, legal, tuple(map(jax.device_put, z)), starts)
                z = stage.solve_stage(payoffs, beta, legal, stage.StageMethod("newton", 1.0, 100), tol, z).z
            pi, v, residual = _read(u, legal, tuple(map(jax.device_put, z)))
            for mine, found in zip(policies, pi, strict=True):
                mine[time][:, index] = np.asarray(found)
            value[time][index] = np.asarray(v)
            unique[time][index] = principal.unique
            worst = max(worst, float(residual.max()))
            accepted &= float(residual.max()) <= tol
        if progress is not None:
            progress((horizon - time) / horizon)
    return CausalEntropySolution(
        game=game,
        policy=PerAgent(game.agents, tuple(to_public(p, game.state_shape, 1) for p in policies)),
        value=value.reshape(horizon + 1, *game.state_shape),
        residual=worst,
        unique=unique.reshape(horizon, *game.state_shape),
        status=Status.CONVERGED if accepted else Status.LOST,
        parameters=Terms((1.0,) * agents, horizon, (1.0,) * agents),
    )


def _starts(counts: tuple[int, ...]) -> np.ndarray:
    """Joint actions to climb from, (starts, M): all of them, or some spread evenly."""
    joint = np.array(list(itertools.islice(itertools.product(*map(range, counts)), 100_000)))
    return joint if len(joint) <= STARTS else joint[np.linspace(0, len(joint) - 1, STARTS).astype(int)]


@quick_jit
def _common(model: Model, ahead: Array, states: Array):
    """Payoffs u [A_1, ..., A_M, n], the same for all, and legal actions [A_i, n]."""
    u = payoffs_at(model, jnp.ones(model.number_of_agents), 0, ahead, states)
    place = jnp.unravel_index(states, model.state_shape)
    for reward in model.rewards[1:]:
        lengths = reward.shape[model.number_of_agents :]
        u = u + reward[(..., *(jnp.zeros_like(x) if n == 1 else x for x, n in zip(place, lengths, strict=True)))]
    legal = []
    for mask in model.legal:
        where = tuple(jnp.zeros_like(x) if n == 1 else x for x, n in zip(place, mask.shape[1:], strict=True))
        legal.append(mask[(slice(None), *where)])
    return u, tuple(legal)


def potential(u: Float[Array, "..."], policies: stage.PerAgent) -> Float[Array, " S"]:
    """E_pi[u] + sum_j H(pi_j), which equals V."""
    entropy = sum(-(p * jnp.log(jnp.where(p > 0, p, 1.0))).sum(axis=0) for p in policies)
    return marginal(u, policies, ()) + entropy


@quick_jit
def _climb(u: Array, legal: tuple[Array, ...], z: stage.PerAgent, starts: Array):
    """Logits of the highest potential that answering in turn reaches, per state: from z, and from joint actions."""
    agents = len(legal)

    def rounds(z: stage.PerAgent) -> tuple[stage.PerAgent, Array]:
        def once(_: Array, z: stage.PerAgent) -> stage.PerAgent:
            for i in range(agents):
                answer = marginal(u, stage.policies_of(z, legal), (i,))
                z = (*z[:i], stage.centre(answer, legal[i]), *z[i + 1 :])
            return z

        z = lax.fori_loop(0, CLIMBS, once, z)
        return z, potential(u, stage.policies_of(z, legal))

    def from_action(joint: Array) -> tuple[stage.PerAgent, Array]:
        # Far enough out to be nearly certain; an illegal one leaves uniform play.
        return rounds(
            tuple(
                stage.centre(jnp.where(jnp.arange(mask.shape[0])[:, None] == joint[i], 30.0, 0.0) * mask, mask)
                for i, mask in enumerate(legal)
            )
        )

    def better(best: tuple[stage.PerAgent, Array], joint: Array):
        z, height = best
        other, reached = from_action(joint)
        # By more than rounding: otherwise the principal branch is kept.
        higher = reached > height + 1e-9 * jnp.maximum(1.0, jnp.abs(height))
        return (
            tuple(jnp.where(higher, b, a) for a, b in zip(z, other, strict=True)),
            jnp.where(higher, reached, height),
        ), None

    (z, _), _ = lax.scan(better, rounds(z), starts)
    return z


@quick_jit
def _read(u: Array, legal: tuple[Array, ...], z: stage.PerAgent):
    """Policies, V, and the undamped residual."""
    q = stage.expected_payoffs((u,) * len(legal), stage.policies_of(z, legal))
    policies = tuple(logit.policy(qi, mask) for qi, mask in zip(q, legal, strict=True))
    again = stage.expected_payoffs((u,) * len(legal), policies)
    gaps = [jnp.where(mask, jnp.abs(a - b), 0.0).max(axis=0) for a, b, mask in zip(q, again, legal, strict=True)]
    return policies, potential(u, policies), jnp.stack(gaps).max(axis=0)


# ---------------------------------------------------------------------- judging, from game and policies alone


def _engine_policies(model: Model, game: MarkovGame, policy: PerAgent, horizon: int) -> tuple[Array, ...]:
    """[T, A_i, *states] per agent."""
    return tuple(
        jax.device_put(np.stack([from_public(policy[i][t], model.state_shape) for t in range(horizon)]))
        for i in range(game.number_of_agents)
    )


@double_precision
def causal_entropy(game: MarkovGame, policy: PerAgent, horizon: int) -> float:
    """H(a || x), in nats, of policies (T, *states, A_i) from the game's start; over `horizon` decisions."""
    model = model_of(game)
    policies = _engine_policies(model, game, policy, horizon)
    logits = tuple(jnp.log(jnp.where(p > 0, p, 1.0)) for p in policies)
    start = jax.device_put(np.ascontiguousarray(game.start).reshape(model.state_shape))
    bare = replace(model.without_rewards(), final_rewards=tuple(jnp.zeros_like(f) for f in model.final_rewards))
    return float(_lagrangian(bare, start, policies, logits))


def _lagrangian(model: Model, start: Array, policies: tuple[Array, ...], logs: tuple[Array, ...]) -> Float[Array, ""]:
    """E[ sum_tau sum_j r_j - log pi_j ], by pushing mass forward: nothing is shared with the solver."""

    def step(mass: Array, now: tuple[tuple[Array, ...], tuple[Array, ...]]):
        pi, log = now
        paid = sum((marginal(r, pi, ()) for r in model.rewards), start=jnp.zeros(()))
        surprise = sum(-(p * x).sum(axis=0) for p, x in zip(pi, log, strict=True))
        return push(model.moves, mass, pi), (mass * (paid + surprise)).sum()

    mass, terms = lax.scan(step, start, (policies, logs))
    return terms.sum() + sum((mass * f).sum() for f in model.final_rewards)


@quick_jit
def _slopes(model: Model, start: Array, logits: tuple[Array, ...]):
    def lagrangian(logits: tuple[Array, ...]) -> Array:
        legal = [mask[None] for mask in model.legal]
        # Actions first, times among the states, as the choice rule wants it.
        swapped = [jnp.moveaxis(z, 0, 1) for z in logits]
        masks = [jnp.moveaxis(mask, 0, 1) for mask in legal]
        pi = tuple(jnp.moveaxis(logit.policy(z, m), 1, 0) for z, m in zip(swapped, masks, strict=True))
        log = tuple(
            jnp.moveaxis(jnp.where(m, logit.log_policy(jnp.where(m, z, -1e30), m), 0.0), 1, 0)
            for z, m in zip(swapped, masks, strict=True)
        )
        return _lagrangian(model, start, pi, log)

    return jax.grad(lagrangian)(logits)


@double_precision
def stationarity(game: MarkovGame, policy: PerAgent, horizon: int) -> float:
    """Certificate: the largest slope |dL / d logit| of the Lagrangian of (13), by differentiating play itself.

    Zero at a solution; not at Theorem 4's policies.

    Parameters
    ----------
    game
        Its rewards are <theta_i, F_i>, its start weighs the states.
    policy
        (T, *states, A_i) per agent.
    horizon
        T decisions.
    """
    model = model_of(game)
    # What underflowed hardly counts, but not as a logit of 0.
    logits = tuple(jnp.log(jnp.maximum(p, 1e-300)) for p in _engine_policies(model, game, policy, horizon))
    start = jax.device_put(np.ascontiguousarray(game.start).reshape(model.state_shape))
    slopes = _slopes(model, start, logits)
    return max(float(jnp.abs(s).max()) for s in slopes)
