"""A Markov game with unknowns, laid out for likelihoods: log-policies as a function of p, and solutions at p.

A `Point` is one equilibrium. From one p to the next it is moved by Newton's method, which stays on its branch if the
step is small; where it does not settle, or play changes much, the game is solved afresh (on the principal branch).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from quantal import logit, stage
from quantal.bellman import joint_payoffs
from quantal.infer import implicit
from quantal.infer.data import Observed
from quantal.infer.features import Features, combined
from quantal.infer.parameters import Affine
from quantal.layout import Model, actions_first, model_of
from quantal.logit import ValueRule
from quantal.precision import quick_jit
from quantal.solution import Solution
from quantal.solve import solve, traceable
from quantal.solvers import stationary

NEWTON_STEPS = 12
"""Newton iterations per stage from a neighbouring solution, before the game is solved afresh."""
FAR = 0.5
"""A probability that changes by more than this between neighbours is a reason to solve afresh."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Exact:
    """What the engine needs; counts [T or 1, A_i, S] per agent."""

    model: Model
    features: tuple[Float[Array, "..."], ...]
    theta: tuple[Affine, ...]
    beta: Affine
    discount: Float[Array, "M"]
    counts: tuple[Float[Array, "T _ S"], ...]
    rule: ValueRule = field(metadata={"static": True})
    horizon: int | None = field(metadata={"static": True})
    """T; 1 for a game that is played once; None for stationary play."""

    def at(self, p: Float[Array, " P"]) -> tuple[Model, Array]:
        """The game and the precisions at p."""
        theta = tuple(own.at(p) for own in self.theta)
        return self.model.with_rewards(combined(self.model.rewards, self.features, theta)), self.beta.at(p)

    def log_policies(self, point: Point, p: Float[Array, " P"]) -> tuple[Float[Array, "T _ S"], ...]:
        """Log pi_i, [T or 1, A_i, S] per agent, differentiable in p at the solution `point`."""
        model, beta = self.at(p)
        if self.horizon is None:
            z = implicit.stationary(model, self.rule, beta, self.discount, point.z[0], point.values)[None]
        else:
            z = implicit.finite(model, self.rule, beta, self.discount, point.z)
        legal = implicit.flat_legal(model)
        parts = stage.split(jnp.moveaxis(z, 1, 0), model.action_counts)
        return tuple(
            jnp.moveaxis(logit.log_policy(part, mask[:, None]), 0, 1) for part, mask in zip(parts, legal, strict=True)
        )


class Point(NamedTuple):
    """A solution: centred logits of all agents stacked, [T or 1, N, S], and stationary values [M, S]."""

    z: Float[Array, "T N S"]
    values: Float[Array, "M S"]


@dataclass(frozen=True, eq=False)
class ExactProblem:
    """A game, what was seen of it, and its solutions."""

    game: Any
    features: Features
    engine: Exact
    observed: Observed
    theta: Affine
    """All weights, flat."""
    beta: Affine
    discount: np.ndarray
    horizon: int | None
    """As `quantal.solve` takes it."""

    @staticmethod
    def of(
        game: Any,
        features: Features,
        seen: Observed,
        theta: Affine,
        beta: Affine,
        discount: np.ndarray,
        horizon: int | None,
        rule: ValueRule,
    ) -> ExactProblem:
        """Lay a game out; `theta` holds all agents' weights, one after the other."""
        model = model_of(game)
        known, arrays = features.laid(game)
        edges = np.cumsum((0, *features.counts))
        engine = Exact(
            model.with_rewards(known),
            arrays,
            tuple(jax.tree.map(jax.device_put, theta.take(np.arange(a, b))) for a, b in itertools.pairwise(edges)),
            jax.tree.map(jax.device_put, beta),
            jax.device_put(discount),
            tuple(jax.device_put(_flat(c, game.state_shape)) for c in seen.counts),
            rule,
            1 if (discount == 0).all() else horizon,
        )
        return ExactProblem(game, features, engine, seen, theta, beta, discount, horizon)

    def game_at(self, p: np.ndarray) -> Any:
        """The game with its weights at p."""
        if not self.features.number:
            return self.game
        return self.features.game_with(self.game, np.asarray(self.theta.at(p)))

    def solve(self, p: np.ndarray) -> Solution:
        """Solve afresh: the principal branch wherever uniqueness is not proved."""
        return solve(
            self.game_at(p),
            beta=self.beta.at(p),
            horizon=self.horizon,
            discount=self.discount,
            value=self.engine.rule,
        )

    def point(self, solution: Solution) -> Point:
        """A solution in the engine's layout."""
        legal = implicit.flat_legal(self.engine.model)
        shape, horizon = self.game.state_shape, self.engine.horizon
        rows = []
        for i, beta in enumerate(solution.parameters.beta):
            q = _flat(np.nan_to_num(solution.q[i]), shape)
            rows.append(np.stack([np.asarray(beta * stage.centre(jax.device_put(now), legal[i])) for now in q]))
        if horizon is None:
            values = np.stack([solution.value[i].reshape(-1) for i in range(len(rows))])
        else:
            values = np.zeros((len(rows), self.engine.model.number_of_states))
        return Point(jax.device_put(np.concatenate(rows, axis=1)), jax.device_put(values))

    def moved(self, point: Point, p: np.ndarray) -> Point | None:
        """The solution at p near a given one; None where Newton's method does not find it close by."""
        move = _finite_near if self.engine.horizon is not None else _stationary_near
        if not traceable(self.engine.model):
            return None
        found, good = move(self.engine, point, jax.device_put(p))
        return found if bool(good) else None

    def policies(self, solution: Solution) -> tuple[np.ndarray, ...]:
        """pi_i in the axes of the counts."""
        return tuple(solution.policy[i] for i in range(len(solution.policy)))


def _flat(array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Public (T.., *states, A) to [T or 1, A, S]."""
    states = int(np.prod(shape))
    table = array.reshape(-1, states, array.shape[-1])
    return np.stack([actions_first(now, 1) for now in table])


@quick_jit
def _finite_near(engine: Exact, point: Point, p: Float[Array, " P"]) -> tuple[Point, Array]:
    """Newton's method, stage after stage, in one program."""
    model, beta = engine.at(p)
    legal, agents = implicit.flat_legal(model), range(model.number_of_agents)
    counts, states = model.action_counts, model.number_of_states
    one = jnp.ones(states)

    def body(values: Array, start: Array) -> tuple[Array, tuple[Array, Array]]:
        u = tuple(
            joint_payoffs(model, engine.discount, i, values[i].reshape(model.state_shape)).reshape(*counts, states)
            for i in agents
        )
        curve = stage.StageCurve(u, beta, legal)

        def running(carry: Any) -> Array:
            _, size, _, count = carry
            return (size > stage.SQUARED) & (count < NEWTON_STEPS)

        def step(carry: Any) -> Any:
            y, size, _, count = carry
            at = curve.linearise(y, one)
            return y - at.correction, curve.size(at.correction, curve.metric(y)).max(), size, count + 1

        inf = jnp.asarray(jnp.inf)
        y, size, _, _ = lax.while_loop(running, step, (start, inf, inf, jnp.int32(0)))
        before, after = (stage.policies_of(stage.split(x, counts), legal) for x in (start, y))
        far = jnp.stack([jnp.abs(a - b).max() for a, b in zip(before, after, strict=True)]).max()
        g = stage.expected_payoffs(u, after)
        ahead = jnp.stack([logit.value(engine.rule, beta[i], g[i], after[i], legal[i]) for i in agents])
        return ahead, (y, (size <= stage.CLOSE) & (far <= FAR))

    last = jnp.stack([jnp.broadcast_to(f, model.state_shape).reshape(-1) for f in model.final_rewards])
    _, (z, good) = lax.scan(body, last, point.z, reverse=True)
    return Point(z, point.values), good.all() & jnp.isfinite(z).all()


@quick_jit
def _stationary_near(engine: Exact, point: Point, p: Float[Array, " P"]) -> tuple[Point, Array]:
    model, beta = engine.at(p)
    curve = stationary.StationaryCurve(model, beta, engine.discount, engine.rule)
    counts, states = model.action_counts, model.number_of_states
    scale = beta if engine.rule == "soft" else jnp.ones(beta.shape)
    y = jnp.concatenate([point.z[0].reshape(-1), (scale[:, None] * point.values).reshape(-1)])[:, None]

    def running(carry: Any) -> Array:
        _, size, count = carry
        return (size > 1e-11) & (count < NEWTON_STEPS)

    def step(carry: Any) -> Any:
        y, _, count = carry
        at = curve.linearise(y, jnp.ones(1))
        return y - at.correction, jnp.abs(at.correction).max() / (1 + jnp.abs(y).max()), count + 1

    found, size, _ = lax.while_loop(running, step, (y, jnp.asarray(jnp.inf), jnp.int32(0)))
    z, v = curve.unpack(found)
    flat = jnp.concatenate([x.reshape(x.shape[0], states) for x in z])
    legal = implicit.flat_legal(model)
    before, after = (stage.policies_of(stage.split(x, counts), legal) for x in (point.z[0], flat))
    far = jnp.stack([jnp.abs(a - b).max() for a, b in zip(before, after, strict=True)]).max()
    values = jnp.stack([x.reshape(-1) for x in v]) / scale[:, None]
    good = (size <= 1e-9) & (far <= FAR) & jnp.isfinite(found).all()
    return Point(flat[None], values), good
