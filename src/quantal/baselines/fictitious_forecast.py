"""Fictitious-play forecasting (Ma, Huang, Lee & Kitani 2017): the rival of MGE-FB, on the same data.

Round by round and agent by agent, each plans softly against what the others have been expected to do on the average of
the rounds so far, and its own new occupancy enters that average:

    pi_i = soft plan of R_i + Psi(mean O_-i),    O_i = forward(pi_i),    mean O_i <- mean O_i + (O_i - mean O_i) / k

No agent reasons that the others do the same: there is no fixed point that it looks for, only the average of a number of
rounds. Reconstructed from the paper's description; the same passes, value rules and interaction as MGE-FB.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from quantal import logit, request
from quantal.crowds.game import CrowdGame
from quantal.crowds.layout import Block, CrowdModel, Movers, crowd_layout
from quantal.crowds.passes import backward, fields, forward, near, presence
from quantal.crowds.solution import CrowdSolution
from quantal.logit import ValueRule
from quantal.solution import Parameters, Status
from quantal.solve_crowd import record
from quantal.solvers.forward_backward import State, nobody, payoff_gap, respond_once


def fictitious_forecast(
    game: CrowdGame,
    *,
    beta: float | Sequence[float] | np.ndarray,
    horizon: int,
    rounds: int = 20,
    value: str = "soft",
) -> CrowdSolution:
    """Forecast a crowd by fictitious play.

    Parameters
    ----------
    game
        What is played. Members who are alike plan together.
    beta
        Precision, in 1/payoff units: a number or one per member.
    horizon
        Number of decisions T.
    rounds
        How often everyone plans, at least 1.
    value
        How Q becomes V; Ma et al. plan with the soft rule.

    Returns
    -------
    CrowdSolution
        What everyone plays against the averages after the last round. Its `status` is never `CONVERGED`: it is no
        equilibrium; `residual` says how far from one it is, `trace` how much each round changed the averages.

    Raises
    ------
    ParameterError
        If a parameter cannot be used.
    """
    rule = logit.check_value_rule(value)
    betas = request.precision(game, beta, rule)
    horizon = request.whole("horizon", horizon, 1, "a whole number of decisions, at least 1")
    rounds = request.whole("rounds", rounds, 1, "a whole number of rounds, at least 1")
    with jax.enable_x64(True):
        layout = crowd_layout(game, tuple(betas.tolist()), "float64")
        mean, changes = nobody(layout.model, horizon), []
        for k in range(rounds):
            before = mean
            mean = _round(layout.model, rule, horizon, mean, 1.0 / (k + 1))
            changes.append(max(float(jnp.abs(a - b).max()) for a, b in zip(mean, before, strict=True)))
        image = respond_once(layout.model, rule, horizon, mean)
        residual = max(float(jnp.abs(a - b).max()) for a, b in zip(image, mean, strict=True))
        gap = float(payoff_gap(layout.model, rule, horizon, mean))
    return record(
        game,
        layout,
        mean,
        Parameters(
            beta=tuple(betas.tolist()),
            discount=(1.0,) * len(game.members),
            horizon=horizon,
            value=rule,
            method="fictitious_forecast",
            damping=1.0,
            tol=0.0,
            max_steps=rounds,
        ),
        "float64",
        status=Status.STEPS,
        residuals=(residual, gap),
        trace=np.array(changes),
        steps=rounds,
        notes=("fictitious play: no equilibrium is looked for",),
    )


@partial(jax.jit, static_argnames=("rule", "horizon"))
def _round(model: CrowdModel, rule: ValueRule, horizon: int, mean: State, share: Array) -> State:
    """Everyone plans once, one after the other, each against averages that hold the plans made before it."""
    field = fields(model, mean)
    result: list[Array] = []
    for movers, own in zip(model.movers, mean, strict=True):
        blocks, times, size, places = own.shape
        everyone = blocks * size
        agents = jax.tree.map(lambda x, n=everyone: x.reshape(n, 1, *x.shape[2:]), movers.agents)
        levels = movers.levels.swapaxes(1, 2).reshape(everyone, -1, 1)
        alone = own.swapaxes(1, 2).reshape(everyone, times, 1, places)
        field, new = lax.scan(_planner(model, movers, rule, horizon, share), field, (agents, levels, alone))
        result.append(new.reshape(blocks, size, times, places).swapaxes(1, 2))
    return tuple(result)


def _planner(model: CrowdModel, movers: Movers, rule: ValueRule, horizon: int, share: Array):
    """One agent's turn: the field of the averages, and its own new average."""

    def plan(field: Array, turn: tuple[Block, Array, Array]) -> tuple[Array, Array]:
        agents, levels, own = turn
        weights, scale = backward(model, movers, agents, rule, horizon, field, own, lambda c, _: (c.weights, c.scale))
        before, last = forward(movers, agents, weights, scale)
        planned = jnp.concatenate([before, last[None]]) if model.final_interaction else before
        new = own + share * (planned - own)
        changed = presence(movers, agents, new) - presence(movers, agents, own)
        return field + near(model, jnp.einsum("fg,tgn->ftn", levels, changed)), new

    return plan
