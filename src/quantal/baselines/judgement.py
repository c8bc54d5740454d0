r"""What is certain about learned play, from the game and the play alone; and joint play as a game of its own.

Learned policies are held against best responses (`quantal.exploitability`). Where agents follow a common signal, a
joint distribution sigma(. | x) from which each is told its own action, two more numbers count:

* the *violation* of the correlated-equilibrium constraints of the stage games that were learned,

      sum_{a_-i} sigma(a) [Q_i(a_i', a_-i) - Q_i(a)] <= 0    for all i, a_i, a_i';

* the *gain* of an agent that sees what it is told and disobeys where it pays, in the true game, exactly:

      V_i = E_sigma[R_i + discount_i V_i'],
      B_i(x) = sum_{a_i} max_{a_i'} sum_{a_-i} sigma(a) [R_i(x, a_i', a_-i) + discount_i E B_i(x')].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from quantal import memory
from quantal.bellman import expected_next
from quantal.dynamics import Coupled, Independent
from quantal.errors import ParameterError
from quantal.evaluation import Exploitability, exploitability
from quantal.game import MarkovGame, joint_legal
from quantal.layout import Model, actions_first, model_of
from quantal.precision import double_precision
from quantal.request import per_agent
from quantal.solution import PerAgent
from quantal.trajectories import Trajectories

ACCURACY = 1e-13
"""Sweeps of V and B stop when they change by less, relative to the largest value over 1 - discount."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Judgement:
    """What is certain about learned play.

    Attributes
    ----------
    exploitability
        Per agent, the most that a deviation from the policies gains at any state, exactly; without a common signal.
    correlated_violation
        Largest violation of the stage games' correlated-equilibrium constraints at a visited state, in payoff units;
        None where no joint play was learned. With each agent its own distribution, of the worst of these.
    signal_gain
        Per agent, the most that disobeying the common signal gains at any state in the true game; None without one.
    """

    exploitability: Exploitability
    correlated_violation: float | None
    signal_gain: Mapping[str, float] | None

    def __str__(self) -> str:
        lines = [_gains("exploitability (most any deviation gains)", self.exploitability)]
        if self.correlated_violation is not None:
            lines.append(f"correlated-equilibrium constraints violated by at most {self.correlated_violation:.3g}")
        if self.signal_gain is not None:
            lines.append(_gains("gain of disobeying the common signal", self.signal_gain))
        return "\n".join(lines)


def _gains(what: str, gains: Mapping[str, float]) -> str:
    return f"{what}: " + ", ".join(f"{agent} {gain:.4g}" for agent, gain in gains.items())


def judge(learned: Any) -> Judgement:
    """Judge what was learned."""
    signals = [learned.joint] if learned.joint is not None else list((learned.favourites or {}).values())
    violations = [
        correlated_violation([q[learned.visited] for q in learned.q.values()], signal[learned.visited])
        for signal in signals
    ]
    gain = None if learned.joint is None else signal_gain(learned.game, learned.joint, learned.parameters.discount)
    return Judgement(
        exploitability=exploitability(learned.game, learned),
        correlated_violation=max((float(v.max(initial=0.0)) for v in violations), default=None),
        signal_gain=gain,
    )


def correlated_violation(payoffs: Sequence[np.ndarray], joint: np.ndarray) -> np.ndarray:
    """By how much joint play fails to be a correlated equilibrium, stage game by stage game.

    Parameters
    ----------
    payoffs
        Q_i per agent, (*games, A_1, ..., A_M); NaN where illegal.
    joint
        Distributions, shaped alike.

    Returns
    -------
    array
        (*games): the most that any agent gains by doing a_i' when told a_i, weighted with the probability of being
        told a_i; 0 or less in a correlated equilibrium.
    """
    payoffs, joint = _stage_games(payoffs, joint)
    agents = len(payoffs)
    worst = np.full(joint.shape[: joint.ndim - agents], -np.inf)
    for i, q in enumerate(payoffs):
        axis = joint.ndim - agents + i
        told, would = np.moveaxis(joint, axis, 0), np.moveaxis(q, axis, 0)
        rest = tuple(range(joint.ndim - agents, joint.ndim - 1))
        for a, weight in enumerate(told):
            for b, instead in enumerate(would):
                if a == b:
                    continue
                # Nobody is told what is illegal; doing what is illegal is no deviation.
                gain = np.where(weight > 0, weight * (instead - would[a]), 0.0).sum(axis=rest)
                worst = np.fmax(worst, gain)
    return np.asarray(np.where(np.isneginf(worst), 0.0, worst))


def coarse_violation(payoffs: Sequence[np.ndarray], joint: np.ndarray) -> np.ndarray:
    """The same for the weaker *coarse* correlated equilibrium: deviations are chosen before being told."""
    payoffs, joint = _stage_games(payoffs, joint)
    agents = len(payoffs)
    worst = np.full(joint.shape[: joint.ndim - agents], -np.inf)
    for i, q in enumerate(payoffs):
        axis = joint.ndim - agents + i
        actions = tuple(range(joint.ndim - agents, joint.ndim))
        value = np.where(joint > 0, joint * q, 0.0).sum(axis=actions)
        others = np.moveaxis(joint.sum(axis=axis, keepdims=True), axis, 0)[0]
        for instead in np.moveaxis(q, axis, 0):
            worst = np.fmax(worst, np.where(others > 0, others * instead, 0.0).sum(axis=actions[:-1]) - value)
    return np.asarray(worst)


def _stage_games(payoffs: Sequence[np.ndarray], joint: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    try:
        tables, play = [np.asarray(q, dtype=float) for q in payoffs], np.asarray(joint, dtype=float)
    except (TypeError, ValueError):
        raise ParameterError(
            "payoffs, joint: expected one array of numbers per agent, and one of probabilities: got "
            f"{type(payoffs).__name__}, {type(joint).__name__}"
        ) from None
    if not tables or play.ndim < len(tables) or any(q.shape != play.shape for q in tables):
        raise ParameterError(
            "payoffs, joint: expected arrays of one shape, (*games, A_1, ..., A_M), and payoffs of every agent: got "
            f"{', '.join(str(q.shape) for q in tables) or 'no payoffs'}; joint {play.shape}"
        )
    if not (play >= 0).all():
        raise ParameterError("joint: expected probabilities: got NaN, or a number below 0")
    return tables, play


@double_precision
def signal_gain(game: MarkovGame, joint: np.ndarray, discount: float | Sequence[float]) -> dict[str, float]:
    """Say what each agent could gain, at the worst state, by disobeying a common signal where it pays.

    Parameters
    ----------
    game
        What is played.
    joint
        Distributions of joint actions, (*states, A_1, ..., A_M).
    discount
        A number below 1, or one per agent.
    """
    if not isinstance(game, MarkovGame):
        raise ParameterError(f"signal_gain: game: expected a MarkovGame: got {game!r}")
    discounts = per_agent(game, "discount", discount)
    if not ((discounts >= 0) & (discounts < 1)).all():
        raise ParameterError(f"discount={discount}: expected 0 <= discount < 1: joint play has no end")
    joint, expected = np.asarray(joint), (*game.state_shape, *game.action_counts)
    if joint.shape != expected:
        raise ParameterError(f"joint: expected distributions of joint actions, {expected}: got shape {joint.shape}")
    model = model_of(game)
    dims = len(game.state_shape)
    flat = actions_first(joint, dims)
    play = jnp.asarray(flat.reshape((*game.action_counts, *model.state_shape)))
    gains = {}
    for i, agent in enumerate(game.agents):
        value, best = _obeyed(model, i, jnp.asarray(discounts[i]), play)
        gains[agent] = max(0.0, float((best - value).max()))
    return gains


@partial(jax.jit, static_argnames="i")
def _obeyed(model: Model, i: int, discount: Array, play: Float[Array, "..."]) -> tuple[Array, Array]:
    """V_i and B_i, [*states], by sweeps."""
    legal = model.legal[i]
    count = legal.shape[0]
    told = jnp.moveaxis(play, i, 0).reshape(count, -1, *model.state_shape)

    def sweep(values: tuple[Array, Array]) -> tuple[Array, Array]:
        def payoff(value: Array) -> Array:
            u = model.rewards[i] + discount * expected_next(model.moves, value)
            return jnp.moveaxis(jnp.broadcast_to(u, play.shape), i, 0).reshape(told.shape)

        value = (told * payoff(values[0])).sum(axis=(0, 1))
        would = payoff(values[1])
        gains = [jnp.where(legal, (row[None] * would).sum(axis=1), -jnp.inf).max(axis=0) for row in told]
        return value, sum(gains[1:], gains[0])

    def moving(state: tuple[tuple[Array, Array], Array]) -> Array:
        values, change = state
        largest = jnp.maximum(jnp.abs(values[1]).max(), jnp.abs(values[0]).max())
        return change > ACCURACY * (1 - discount) * largest + 1e-300

    def step(state: tuple[tuple[Array, Array], Array]) -> tuple[tuple[Array, Array], Array]:
        old, _ = state
        new = sweep(old)
        change = jnp.maximum(jnp.abs(new[0] - old[0]).max(), jnp.abs(new[1] - old[1]).max())
        # Where rounding alone keeps a sweep from settling, a change that is that small counts as none.
        floor = 4 * jnp.finfo(float).eps * jnp.maximum(jnp.abs(new[1]).max(), jnp.abs(new[0]).max())
        return new, jnp.where(change <= floor, 0.0, change)

    zeros = jnp.zeros(model.state_shape)
    (value, best), _ = lax.while_loop(moving, step, ((zeros, zeros), jnp.asarray(jnp.inf)))
    return value, best


# ---------------------------------------------------------------------- joint play as a game


def joint_play(learned: Any, agent: str | int | None = None) -> Any:
    """Make joint play a record that `evaluate` and `simulate` take, with a game of its own (``.game``).

    In that game the first agent chooses for all: its actions are the joint ones. Rewards stay everyone's own.

    Parameters
    ----------
    learned
        From a learner whose agents follow a common signal.
    agent
        Whose distribution is followed, if each has its own (libertarian correlated-Q).

    Raises
    ------
    ParameterError
        If no joint play was learned.
    """
    if not hasattr(learned, "favourites"):
        raise ParameterError(f"learned: expected what a learner of quantal.baselines learned: got {learned!r}")
    if learned.joint is not None:
        joint = learned.joint
    elif (
        learned.favourites is not None
        and agent is not None
        and agent not in learned.game.agents
        and (agent not in range(learned.game.number_of_agents))
    ):
        raise ParameterError(f"agent={agent!r}: expected one of {', '.join(learned.game.agents)}, or its number")
    elif learned.favourites is not None and agent is not None:
        joint = learned.favourites[agent]
    else:
        raise ParameterError(
            f"{learned.method}: no joint play was learned: evaluate the record itself"
            if learned.favourites is None
            else f"{learned.method}: each agent has joint play of its own: say whose to follow, agent=..."
        )
    game = learned.game
    together = _together(game)
    states = game.state_shape
    idle = tuple(np.ones((*states, 1)) for _ in range(game.number_of_agents - 1))
    return replace(
        learned,
        game=together,
        policy=PerAgent(game.agents, (joint.reshape(*states, -1), *idle)),
        joint=None,
        favourites=None,
        models=None,
    )


def separated(played: Trajectories, game: MarkovGame) -> Trajectories:
    """Give plays of the game of `joint_play` as plays of the game itself, in which everyone acts.

    Parameters
    ----------
    played
        From ``simulate(together.game, together)``, with ``together = joint_play(learned)``.
    game
        What was learned.
    """
    if not isinstance(played, Trajectories) or len(played.action_labels[0]) != math.prod(game.action_counts):
        raise ParameterError(
            "played: expected plays of the game of joint_play, in which the first agent has "
            f"{math.prod(game.action_counts)} actions: got {played!r}"
        )
    together = played.actions[..., 0].astype(np.int64)
    each = np.stack(np.unravel_index(np.maximum(together, 0), game.action_counts), axis=-1)
    actions = np.where(together[..., None] < 0, -1, each).astype(played.actions.dtype)
    return replace(played, actions=actions, action_labels=game.actions)


def _together(game: MarkovGame) -> MarkovGame:
    """The game in which one agent chooses everyone's action."""
    states, counts = game.state_shape, game.action_counts
    size = int(np.prod(counts))
    full = (*states, *counts)
    memory.require(
        24 * game.number_of_states * size * game.number_of_agents, "the game of joint actions", "Use fewer agents"
    )
    dynamics = game.dynamics
    if isinstance(dynamics, Independent):
        successors, probabilities = np.zeros((1,), dtype=np.int64), np.ones((1,))
        for j, (table, chance) in enumerate(zip(dynamics.successors, dynamics.probabilities, strict=True)):
            shape = tuple(n if k == j else 1 for k, n in enumerate(states))
            shape += tuple(n if k == j else 1 for k, n in enumerate(counts))
            own, weight = table.reshape(*shape, -1), chance.reshape(*shape, -1)
            successors = (successors[..., :, None] * states[j] + own[..., None, :]).reshape(
                *np.broadcast_shapes(successors.shape[:-1], shape), -1
            )
            weights = probabilities[..., :, None] * weight[..., None, :]
            probabilities = weights.reshape(*weights.shape[:-2], -1)
        successors = np.broadcast_to(successors, (*full, successors.shape[-1]))
        probabilities = np.broadcast_to(probabilities, (*full, probabilities.shape[-1]))
    else:
        successors, probabilities = dynamics.successors, dynamics.probabilities
    alone = (1,) * (game.number_of_agents - 1)
    legal = np.broadcast_to(joint_legal(game), full).reshape(*states, size)
    names = tuple("/".join(game.actions[i][a] for i, a in enumerate(index)) for index in np.ndindex(*counts))
    ones = (1,) * len(states)
    return MarkovGame(
        state_shape=states,
        rewards=tuple(np.broadcast_to(r, full).reshape(*states, size, *alone) for r in game.rewards),
        dynamics=Coupled(
            successors.reshape(*states, size, *alone, -1), probabilities.reshape(*states, size, *alone, -1)
        ),
        actions=(names, *((("follow",),) * len(alone))),
        agents=game.agents,
        final_rewards=game.final_rewards,
        legal=(legal, *(np.ones((*ones, 1), dtype=bool) for _ in alone)),
        start=game.start,
        state_labels=game.state_labels,
        coordinates=game.coordinates,
        name=f"{game.name}, joint play",
        picture=game.picture,
    )
