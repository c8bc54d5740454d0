"""The twins of the joint-action learners that know the game: value iteration with the same rule for stage games.

    Q_i(x, a) = R_i(x, a) + discount_i sum_x' P(x' | x, a) V_i(x'),        V_i(x) = rule_i(Q_1(x, .), ..., Q_M(x, .))

swept over all states at once until nothing changes: the limit without the noise of sampling, where there is one. Friend
and foe contract, so that they always converge; correlated-Q and Nash-Q may cycle for ever (Zinkevich, Greenwald &
Littman 2005), and then say so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from quantal.baselines.joint_q import Chosen, StageRule, check_rule, stage_outcome
from quantal.baselines.learned import Learned, Progress, learned_from
from quantal.baselines.training import check_game, learning_discount
from quantal.baselines.world import World, world_of
from quantal.bellman import joint_payoffs
from quantal.errors import ParameterError
from quantal.game import MarkovGame
from quantal.layout import Model, model_of
from quantal.precision import double_precision, quick_jit
from quantal.request import whole


@dataclass(frozen=True)
class ModelBased:
    """A rule for stage games, applied to the known game."""

    rule: StageRule

    @property
    def name(self) -> str:
        """What to call it."""
        return f"{self.rule.name}, model-based"


@double_precision
def model_based(
    game: MarkovGame,
    rule: StageRule,
    *,
    discount: float | Sequence[float] | None = None,
    tol: float = 1e-10,
    max_sweeps: int = 2_000,
) -> Learned:
    """Iterate values on the known game with a learner's rule for stage games.

    Parameters
    ----------
    game
        What is played.
    rule
        ``Correlated("u")``, ``Nash()``, ``Friend()``, ``Foe()``, ... of `quantal.baselines`.
    discount
        A number below 1, or one per agent. 0.9 unless given; 0 in a game of one state.
    tol
        Change of a sweep that ends it, in units of payoff.
    max_sweeps
        Sweeps after which it is given up.

    Returns
    -------
    Learned
        Its `curve` has one point per sweep; every state counts as visited.
    """
    most = whole("max_sweeps", max_sweeps, 1, "a whole number >= 1")
    check_game(game)
    check_rule(rule)
    if isinstance(tol, bool) or not (isinstance(tol, (int, float)) and 0 < tol < np.inf):
        raise ParameterError(f"tol={tol!r}: expected a positive number, in units of payoff")
    discounts = learning_discount(game, discount)
    rule.check(game)
    began = perf_counter()
    model, world = model_of(game), world_of(game, discounts)
    gamma, start = jnp.asarray(discounts), game.start.reshape(-1)
    q, made = _first(rule, model, world, gamma)
    curve = [np.zeros(len(discounts)), start @ np.asarray(made.values)]
    change = np.inf
    while change > tol and len(curve) <= most:
        q, made, moved = _sweep(rule, model, world, gamma, q, made)
        change = float(moved)
        curve.append(start @ np.asarray(made.values))
    outcome = jax.tree.map(np.asarray, stage_outcome(world, q, made, made.values.T))
    points = len(curve)
    return learned_from(
        game,
        ModelBased(rule),
        outcome,
        discount=tuple(map(float, discounts)),
        seed=None,
        curve=np.stack(curve),
        steps=np.arange(points) * game.number_of_states,
        episodes=np.zeros(points, dtype=int),
        visited=np.ones(game.number_of_states, dtype=bool),
        settled=points - 1 if change <= tol else None,
        seconds=perf_counter() - began,
        status=Progress.CONVERGED if change <= tol else Progress.UNCONVERGED,
    )


def _payoffs(model: Model, discount: Array, values: Float[Array, "S M"]) -> Float[Array, "S M J"]:
    agents, counts = model.number_of_agents, model.action_counts
    tables = []
    for i in range(agents):
        u = joint_payoffs(model, discount, i, values[:, i].reshape(model.state_shape))
        tables.append(jnp.broadcast_to(u, (*counts, *model.state_shape)).reshape(-1, values.shape[0]))
    return jnp.moveaxis(jnp.stack(tables), -1, 0)


def _made(rule: StageRule, world: World, q: Array, needed: Array) -> Chosen:
    def one(row: Array, want: Array, *legal: Array) -> Chosen:
        return rule(row.reshape(-1, *world.counts), legal, want)

    return jax.vmap(one)(q, needed, *world.legal)


@partial(quick_jit, static_argnames="rule")
def _first(rule: StageRule, model: Model, world: World, discount: Array) -> tuple[Array, Chosen]:
    q = _payoffs(model, discount, jnp.zeros((world.states, world.agents)))
    return q, _made(rule, world, q, jnp.ones(world.states, bool))


@partial(quick_jit, static_argnames="rule")
def _sweep(
    rule: StageRule, model: Model, world: World, discount: Array, q: Array, made: Chosen
) -> tuple[Array, Chosen, Array]:
    new = _payoffs(model, discount, made.values)
    changed = (new != q).any(axis=(1, 2))
    found = _made(rule, world, new, changed)
    use = changed & found.done

    def kept(fresh: Any, old: Any) -> Any:
        return jnp.where(use.reshape(-1, *(1,) * (fresh.ndim - 1)), fresh, old)

    merged = jax.tree.map(kept, found, made)
    return new, merged, jnp.abs(merged.values - made.values).max()
