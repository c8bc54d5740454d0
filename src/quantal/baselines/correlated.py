r"""Correlated equilibria of stage games, selected by four rules; many games at once.

A distribution mu of joint actions is a correlated equilibrium (Aumann 1974) if nobody gains by disobeying,

    sum_{a_-i} mu(a) [Q_i(a_i', a_-i) - Q_i(a)] <= 0      for all i, a_i, a_i',           mu >= 0, sum mu = 1.

Greenwald & Hall (2003) select, with V_i = sum_a mu(a) Q_i(a):

    u (utilitarian)  max sum_i V_i            r (republican)   max over i of the largest V_i
    e (egalitarian)  max min_i V_i            l (libertarian)  each agent its own: max V_i

**Ties.** Where several equilibria are optimal, the one that is best for agent 1 is chosen, then for agent 2, and so on;
what is still free goes to joint actions by fixed weights. Republican: of agents whose largest values are equal, the
first. So the choice is unique, and does not depend on how the linear program is solved.

The program is solved by `quantal.baselines.simplex`. The constraints are homogeneous and the objective is shifted to be
positive, so that sum mu <= 1 does for sum mu = 1, and mu = 0 is a vertex to start from.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from quantal.baselines.lanes import one_lane
from quantal.baselines.simplex import maximise
from quantal.errors import ParameterError
from quantal.precision import double_precision

Selection: TypeAlias = Literal["u", "e", "r", "l"]
SELECTIONS: tuple[str, ...] = get_args(Selection)
NAMES = {"u": "utilitarian", "e": "egalitarian", "r": "republican", "l": "libertarian"}


class Equilibrium(NamedTuple):
    """Selected correlated equilibria; one for all agents (N = 1) or each agent's own (N = M)."""

    joint: Float[Array, "N *AB"]
    values: Float[Array, "M *B"]
    """V_i; with each agent its own equilibrium, what it expects of that."""
    done: Bool[Array, "*B"]
    """False where the simplex method gave up."""


def check_selection(selection: str) -> None:
    """Raise `ParameterError` for what is no selection."""
    if selection not in SELECTIONS:
        raise ParameterError(
            f"selection={selection!r}: expected one of {', '.join(f'{s!r} ({n})' for s, n in NAMES.items())}"
        )


@double_precision
def correlated_equilibrium(
    payoffs: Sequence[np.ndarray], selection: str = "u", legal: Sequence[np.ndarray] | None = None
) -> Equilibrium:
    """Select a correlated equilibrium of a game in normal form.

    Parameters
    ----------
    payoffs
        Q_i per agent, (A_1, ..., A_M).
    selection
        ``"u"``, ``"e"``, ``"r"`` or ``"l"``; see the module's docstring, also for ties.
    legal
        Which actions are legal: booleans (A_i,) per agent. All unless given.

    Returns
    -------
    Equilibrium
        NumPy arrays: ``joint`` (1, A_1, ..., A_M), or (M, A_1, ..., A_M) for ``"l"``, and ``values`` (M,).

    Raises
    ------
    ParameterError
        If a parameter cannot be used.
    """
    check_selection(selection)
    arrays = [np.asarray(q, dtype=float) for q in payoffs]
    shape = arrays[0].shape
    if any(q.shape != shape or q.ndim != len(arrays) for q in arrays):
        raise ParameterError(
            f"payoffs: expected {len(arrays)} arrays of one shape with {len(arrays)} axes, one per agent: got "
            f"{', '.join(str(q.shape) for q in arrays)}"
        )
    masks = tuple(np.ones(n, dtype=bool) if legal is None else np.asarray(legal[i]) for i, n in enumerate(shape))
    clean = np.stack(arrays)
    clean = np.where(np.isnan(clean), 0.0, clean)
    found = _compiled(selection)(jnp.asarray(clean), tuple(map(jnp.asarray, masks)), jnp.asarray(True))
    return Equilibrium(*map(np.asarray, found))


@functools.cache
def _compiled(selection: str) -> Callable[..., Equilibrium]:
    return jax.jit(stage_rule(selection))


@functools.cache
def stage_rule(selection: str) -> Callable[..., Equilibrium]:
    """Return the selection as a function of one stage game: payoffs [M, *A], legal ([A_i], ...), needed.

    Mapped over games by `jax.vmap`, it solves all of them together. Where not `needed`, it takes no time and returns
    zeros.
    """

    def solve(payoffs: Array, legal: tuple[Array, ...], needed: Array) -> Equilibrium:
        return select(selection, payoffs, legal, needed)

    return one_lane(solve)


def select(
    selection: str, payoffs: Float[Array, "M *A B"], legal: tuple[Bool[Array, "_ B"], ...], needed: Bool[Array, "B"]
) -> Equilibrium:
    """Solve many stage games, lanes last."""
    agents, lanes = payoffs.shape[0], payoffs.shape[-1]
    counts = payoffs.shape[1:-1]
    size = int(np.prod(counts))
    playable = functools.reduce(jnp.logical_and, [_along(m, i, agents) for i, m in enumerate(legal)])
    playable = jnp.broadcast_to(playable, (*counts, lanes)).reshape(size, lanes)
    q = payoffs.reshape(agents, size, lanes)
    low = jnp.where(playable, q, jnp.inf).min(axis=(0, 1))
    high = jnp.where(playable, q, -jnp.inf).max(axis=(0, 1))
    # Between 1 and 2, in units that are common to all agents.
    scaled = jnp.where(playable, (q - low) / jnp.where(high > low, high - low, 1.0), 0.0) + 1.0
    rows = _obedience(payoffs, legal, playable)
    main, matrix = _objectives(selection, scaled, rows)
    ties = jnp.concatenate([scaled, jnp.broadcast_to(_weights(size), (1, size, lanes))])
    programs = main.shape[0]
    extra = matrix.shape[1] - size
    padded = jnp.concatenate([ties, jnp.zeros((agents + 1, extra, lanes))], axis=1)
    wanted = jnp.stack([jnp.concatenate([m[None], padded]) for m in main], axis=-1)  # [1 + M + 1, K, B, programs]
    allowed = jnp.concatenate([playable & needed, jnp.broadcast_to(needed, (extra, lanes))])
    wanted = jnp.where(allowed[None, :, :, None], wanted, -1.0)
    bounds = jnp.zeros((matrix.shape[0], lanes * programs)).at[0].set(1.0)
    every = jnp.broadcast_to(matrix[..., None], (*matrix.shape, programs)).reshape(*matrix.shape[:2], -1)
    found = maximise(wanted.reshape(*wanted.shape[:2], -1), every, bounds)
    joint = found.x[:size].reshape(size, lanes, programs)
    total = joint.sum(axis=0)
    joint = joint / jnp.where(total > 0, total, 1.0)
    joint = jnp.moveaxis(joint, -1, 0)  # [programs, J, B]
    done = found.done.reshape(lanes, programs).all(axis=1)
    if selection == "r":
        own = (joint * q).sum(axis=1)  # [M, B]: agent i's value of its own favourite
        first = jnp.argmax(own, axis=0)
        joint = jnp.take_along_axis(joint, first[None, None], axis=0)
    values = (joint * q).sum(axis=1)  # of one joint all agents' values, of each its own
    return Equilibrium(joint.reshape(-1, *counts, lanes), values, done)


def _along(mask: Array, i: int, agents: int) -> Array:
    """[A_i, B] as [1.., A_i, ..1, B]."""
    return mask.reshape((1,) * i + mask.shape[:1] + (1,) * (agents - 1 - i) + mask.shape[1:])


def _weights(size: int) -> np.ndarray:
    """Fixed numbers (size, 1) without any relation: what decides the last ties."""
    return 1.0 + np.modf(np.arange(1, size + 1) * (np.sqrt(5) - 1) / 2)[0][:, None]


def _obedience(
    payoffs: Float[Array, "M *A B"], legal: tuple[Bool[Array, "_ B"], ...], playable: Bool[Array, "J B"]
) -> Float[Array, "R J B"]:
    """Rows of the constraints, per agent, action told and action done; each agent's in units of its own payoffs."""
    agents, lanes = payoffs.shape[0], payoffs.shape[-1]
    counts, rows = payoffs.shape[1:-1], []
    size = playable.shape[0]
    open_ = playable.reshape(*counts, lanes)
    for i in range(agents):
        q = payoffs[i]
        low, high = jnp.where(open_, q, jnp.inf), jnp.where(open_, q, -jnp.inf)
        every = tuple(range(agents))
        span = high.max(axis=every) - low.min(axis=every)
        q = q / jnp.where(span > 0, span, 1.0)
        told = np.arange(counts[i])
        for a in range(counts[i]):
            for b in range(counts[i]):
                if a == b:
                    continue
                gain = jnp.take(q, np.array([b]), axis=i) - jnp.take(q, np.array([a]), axis=i)
                where = _along(jnp.asarray(told == a)[:, None], i, agents) & legal[i][b]
                rows.append(jnp.where(where & open_, gain, 0.0).reshape(size, lanes))
    return jnp.stack(rows) if rows else jnp.zeros((0, size, lanes))


def _objectives(
    selection: str, scaled: Float[Array, "M J B"], rows: Float[Array, "R J B"]
) -> tuple[Float[Array, "P K B"], Float[Array, "C K B"]]:
    """First objectives, one per program, and the constraints: the sum of probabilities, then obedience."""
    agents, size, lanes = scaled.shape
    matrix = jnp.concatenate([jnp.ones((1, size, lanes)), rows])
    if selection == "u":
        return scaled.sum(axis=0)[None] / agents, matrix
    if selection != "e":
        return scaled, matrix
    # One more variable, t, that no agent's value may be below: t - V_i <= 0.
    matrix = jnp.concatenate([matrix, -scaled])
    column = jnp.concatenate([jnp.zeros((1 + rows.shape[0], 1, lanes)), jnp.ones((agents, 1, lanes))])
    objective = jnp.zeros((1, size + 1, lanes)).at[:, size].set(1.0)
    return objective, jnp.concatenate([matrix, column], axis=1)
