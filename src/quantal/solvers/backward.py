"""MGE-F: logit equilibrium over a finite horizon, backward in time (Algorithm 2).

    V_i^T = R_{i,F};   for tau = T-1, ..., 0:  Q_i^tau = U_i(Q_-i^tau, V_i^{tau+1}),  V_i^tau by the rule   (7), (8)

Given V^{tau+1} the stage decouples over joint states: at each x it is one logit QRE of an M-player normal-form game
with payoffs u_i(a) = R_i(x, a) + discount_i sum_x' P(x' | x, a) V_i^{tau+1}(x'). `quantal.stage` solves those; here
time runs, and states are taken in chunks, so that the joint payoffs of a large game are never all in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from quantal import logit, stage
from quantal.bellman import payoffs_at
from quantal.iterate import gap
from quantal.layout import Model
from quantal.logit import ValueRule
from quantal.precision import quick_jit

CHUNK_BYTES = 2**28
"""Joint payoffs of all agents held at a time."""


@dataclass
class StageRecord:
    """One solved decision time, in engine layout with flat states."""

    time: int
    q: tuple[np.ndarray, ...]
    policy: tuple[np.ndarray, ...]
    value: tuple[np.ndarray, ...]
    residual: np.ndarray
    unique: np.ndarray
    traced: np.ndarray
    lost: np.ndarray
    logits: tuple[np.ndarray, ...]
    steps: int
    folds: int
    bifurcations: int
    trace: np.ndarray


def chunk_size(model: Model) -> int:
    """How many states are taken at a time."""
    per_state = 8 * model.number_of_agents * int(np.prod(model.action_counts))
    return max(1, min(model.number_of_states, CHUNK_BYTES // per_state))


@quick_jit
def _stage_games(model: Model, discount: Array, values: tuple[Array, ...], states: Array):
    """Joint payoffs u_i [*A, n] and legal actions [A_i, n] at some states."""
    u = tuple(payoffs_at(model, discount, i, v, states) for i, v in enumerate(values))
    return u, legal_at(model, states)


def legal_at(model: Model, states: Array):
    """Legal actions [A_i, n] at some flat states."""
    place = jnp.unravel_index(states, model.state_shape)
    masks = []
    for mask in model.legal:
        where = tuple(jnp.zeros_like(x) if n == 1 else x for x, n in zip(place, mask.shape[1:], strict=True))
        masks.append(mask[(slice(None), *where)])
    return tuple(masks)


@partial(quick_jit, static_argnames="rule")
def _read(u: tuple[Array, ...], beta: Array, legal: tuple[Array, ...], z: tuple[Array, ...], rule: ValueRule):
    """Q, pi, V and the undamped residual of a solved stage: Q as in `stage.q_of`, all else from Q itself."""
    g = stage.expected_payoffs(u, stage.policies_of(z, legal))
    joint = tuple(range(len(u)))
    q = tuple(
        stage.q_of(zi, gi, b, ui.max(axis=joint) - ui.min(axis=joint), mask)
        for zi, gi, b, ui, mask in zip(z, g, beta, u, legal, strict=True)
    )
    policies = stage.policies_of(tuple(b * qi for b, qi in zip(beta, q, strict=True)), legal)
    values = tuple(logit.value(rule, b, qi, pi, mask) for b, qi, pi, mask in zip(beta, q, policies, legal, strict=True))
    return q, policies, values, gap(q, stage.expected_payoffs(u, policies), legal, cells=1)


def solve(
    model: Model,
    beta: np.ndarray,
    discount: np.ndarray,
    horizon: int,
    rule: ValueRule,
    how: stage.StageMethod,
    tol: float,
    *,
    start: Callable[[int], tuple[np.ndarray, ...]] | None = None,
    guess: Callable[[int], tuple[np.ndarray, ...]] | None = None,
) -> Iterator[StageRecord]:
    """Yield the solved stages, from tau = T-1 down to 0.

    Parameters
    ----------
    beta, discount
        One number per agent.
    horizon
        T, the number of decisions.
    rule
        How Q becomes V.
    how, tol
        See `quantal.stage.solve_stage`.
    start
        Logits [A_i, S] to start stage tau from; uniform play unless given.
    guess
        Logits [A_i, S] near the branch that is being followed over several betas.
    """
    states = model.number_of_states
    values = tuple(jax.device_put(np.broadcast_to(f, model.state_shape)) for f in model.final_rewards)
    precision, patience = jax.device_put(beta), jax.device_put(discount)
    size = chunk_size(model)
    for time in reversed(range(horizon)):
        pieces = []
        for first in range(0, states, size):
            # The last chunk overlaps the one before, so that every chunk has one shape and compiles once.
            first = min(first, states - size)
            index = np.arange(first, first + size)
            z, near = (
                None if given is None else tuple(jax.device_put(a[:, index]) for a in given(time))
                for given in (start, guess)
            )
            u, legal = _stage_games(model, patience, values, jax.device_put(index))
            answer = stage.solve_stage(u, precision, legal, how, tol, z, near)
            read = _read(u, precision, legal, tuple(map(jax.device_put, answer.z)), rule)
            pieces.append((first, answer, read))
        record = _join(time, pieces, states)
        values = tuple(jax.device_put(v.reshape(model.state_shape)) for v in record.value)
        yield record


def _join(time: int, pieces: list[tuple[int, Any, Any]], states: int) -> StageRecord:
    """Put the chunks side by side."""
    agents = len(pieces[0][1].z)

    def lay(arrays: list[np.ndarray]) -> np.ndarray:
        if len(arrays) == 1:
            return np.asarray(arrays[0])
        whole = np.empty((*arrays[0].shape[:-1], states), dtype=arrays[0].dtype)
        for (first, _, _), array in zip(pieces, arrays, strict=True):
            whole[..., first : first + array.shape[-1]] = array
        return whole

    answers = [answer for _, answer, _ in pieces]
    return StageRecord(
        time=time,
        q=tuple(lay([np.asarray(read[0][i]) for _, _, read in pieces]) for i in range(agents)),
        policy=tuple(lay([np.asarray(read[1][i]) for _, _, read in pieces]) for i in range(agents)),
        value=tuple(lay([np.asarray(read[2][i]) for _, _, read in pieces]) for i in range(agents)),
        logits=tuple(lay([a.z[i] for a in answers]) for i in range(agents)),
        residual=lay([np.asarray(read[3]) for _, _, read in pieces]),
        unique=lay([a.unique for a in answers]),
        traced=lay([a.traced for a in answers]),
        lost=lay([a.lost for a in answers]),
        steps=sum(a.steps for a in answers),
        folds=sum(a.folds for a in answers),
        bifurcations=sum(a.bifurcations for a in answers),
        trace=max((a.trace for a in answers), key=len),
    )
