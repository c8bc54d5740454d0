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
from quantal.baselines.simplex import GAIN, maximise
from quantal.errors import ParameterError
from quantal.precision import double_precision, quick_jit

Selection: TypeAlias = Literal["u", "e", "r", "l"]
SELECTIONS: tuple[str, ...] = get_args(Selection)
NAMES = {"u": "utilitarian", "e": "egalitarian", "r": "republican", "l": "libertarian"}


GROUP = 16
"""Linear programs solved in lockstep: enough to fill vector units, few enough not to wait long for the last."""


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
    try:
        arrays = [np.asarray(q) for q in payoffs]
        if any(q.dtype.kind not in "biufO" for q in arrays):
            raise TypeError
        arrays = [q.astype(float) for q in arrays]
    except (TypeError, ValueError):
        raise ParameterError(f"payoffs: expected one array of numbers per agent: got {payoffs!r}") from None
    if not arrays:
        raise ParameterError("payoffs: expected one array per agent: got none")
    shape = arrays[0].shape
    if any(q.shape != shape or q.ndim != len(arrays) for q in arrays):
        raise ParameterError(
            f"payoffs: expected {len(arrays)} arrays of one shape with {len(arrays)} axes, one per agent: got "
            f"{', '.join(str(q.shape) for q in arrays)}"
        )
    if legal is not None and not isinstance(legal, (Sequence, np.ndarray)):
        raise ParameterError(f"legal={legal!r}: expected one mask per agent, of lengths {shape}")
    if legal is not None and [np.shape(m) for m in legal] != [(n,) for n in shape]:
        raise ParameterError(
            f"legal: expected one mask per agent of lengths {shape}: got shapes {[np.shape(m) for m in legal]}"
        )
    masks = tuple(np.ones(n, dtype=bool) if legal is None else np.asarray(legal[i], bool) for i, n in enumerate(shape))
    if not all(mask.any() for mask in masks):
        raise ParameterError("legal: expected at least one legal action of every agent")
    clean = np.stack(arrays)
    played = functools.reduce(np.logical_and.outer, masks)
    if not np.isfinite(clean[:, played]).all():
        raise ParameterError("payoffs: expected finite numbers wherever everyone's action is legal")
    clean = np.where(played, clean, 0.0)
    found = _compiled(selection)(jnp.asarray(clean), tuple(map(jnp.asarray, masks)), jnp.asarray(True))
    return jax.tree.map(np.asarray, found)


@functools.cache
def _compiled(selection: str) -> Callable[..., Equilibrium]:
    return quick_jit(stage_rule(selection))


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
    programs = 1 if selection in ("u", "e") else agents
    # Republican and libertarian: a program per agent, side by side.
    many = tuple(jnp.tile(x, (1,) * (x.ndim - 1) + (programs,)) for x in (payoffs, *legal, needed))
    games = _Games(many[0], many[1:-1], many[-1])
    scaled, playable = _scaled(games)
    if selection == "e":
        main, simple = jnp.zeros(playable.shape), jnp.zeros(playable.shape[1], bool)
        joint = jnp.zeros(playable.shape)
    else:
        whose = np.repeat(np.arange(programs), lanes)
        main = scaled.sum(axis=0) / agents if selection == "u" else scaled[whose, :, np.arange(whose.size)].T
        joint, simple = _pure(games, main, scaled, playable)
    joint, done = _hard(games, main, selection == "e", joint, simple)
    joint = jnp.moveaxis(joint.reshape(-1, programs, lanes), 1, 0)  # [programs, J, B]
    done = done.reshape(programs, lanes).all(axis=0)
    q = payoffs.reshape(agents, -1, lanes)
    if selection == "r":
        own = (joint * q).sum(axis=1)  # [M, B]: agent i's value of its own favourite
        joint = jnp.take_along_axis(joint, jnp.argmax(own, axis=0)[None, None], axis=0)
    values = (joint * q).sum(axis=1)  # of one joint all agents' values, of each its own
    return Equilibrium(joint.reshape(-1, *counts, lanes), values, done)


class _Games(NamedTuple):
    payoffs: Float[Array, "M *A L"]
    legal: tuple[Bool[Array, "_ L"], ...]
    needed: Bool[Array, "L"]


def _scaled(games: _Games) -> tuple[Float[Array, "M J L"], Bool[Array, "J L"]]:
    """Payoffs between 1 and 2, in units that are common to all agents; and which joint actions are legal."""
    agents, lanes = games.payoffs.shape[0], games.payoffs.shape[-1]
    counts = games.payoffs.shape[1:-1]
    playable = functools.reduce(jnp.logical_and, [_along(m, i, agents) for i, m in enumerate(games.legal)])
    playable = jnp.broadcast_to(playable, (*counts, lanes)).reshape(-1, lanes)
    q = games.payoffs.reshape(agents, -1, lanes)
    low = jnp.where(playable, q, jnp.inf).min(axis=(0, 1))
    high = jnp.where(playable, q, -jnp.inf).max(axis=(0, 1))
    return jnp.where(playable, (q - low) / jnp.where(high > low, high - low, 1.0), 0.0) + 1.0, playable


def _pure(
    games: _Games, main: Float[Array, "J L"], scaled: Float[Array, "M J L"], playable: Bool[Array, "J L"]
) -> tuple[Float[Array, "J L"], Bool[Array, "L"]]:
    """The best joint action of all, and whether it is an equilibrium: then no distribution is better, and it is it."""
    counts = games.payoffs.shape[1:-1]
    size = playable.shape[0]
    best = playable
    for objective in (main, *scaled, jnp.broadcast_to(_weights(size), playable.shape)):
        best = best & (objective >= jnp.where(best, objective, -jnp.inf).max(axis=0) - GAIN)
    place = np.arange(size)[:, None]
    at = jnp.where(best, place, size).min(axis=0)
    here = place == at
    simple = jnp.ones(at.shape, bool)
    stride = size
    for i, count in enumerate(counts):
        stride //= count
        # Joint actions in which the others do as they do at the best one.
        beside = playable & (place - place // stride % count * stride == at - at // stride % count * stride)
        q = games.payoffs[i].reshape(size, -1)
        simple &= jnp.where(beside, q, -jnp.inf).max(axis=0) <= jnp.where(here, q, -jnp.inf).max(axis=0)
    return here.astype(float), simple


def _hard(
    games: _Games, main: Float[Array, "J L"], egalitarian: bool, joint: Float[Array, "J L"], simple: Bool[Array, "L"]
) -> tuple[Float[Array, "J L"], Bool[Array, "L"]]:
    """Put the linear program's answer where it is needed; a few lanes at a time, pivoting in lockstep."""
    hard = games.needed & ~simple
    lanes = simple.shape[0]
    group = min(GROUP, lanes)
    order = jnp.argsort(~hard)
    order = jnp.concatenate([order, jnp.full(group, lanes)])  # beyond the end: dropped
    number = hard.sum()

    def unfinished(state: tuple[Array, Array, Array]) -> Array:
        return state[0] < number

    def solve(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        first, joint, done = state
        lane = jax.lax.dynamic_slice(order, (first,), (group,))
        some = jax.tree.map(lambda x: jnp.take(x, lane, axis=-1, mode="clip"), games)
        some = some._replace(needed=first + jnp.arange(group) < number)
        found, ok = _programmed(some, jnp.take(main, lane, axis=-1, mode="clip"), egalitarian)
        lane = jnp.where(some.needed, lane, lanes)
        joint = joint.at[:, lane].set(found, mode="drop")
        return first + group, joint, done.at[lane].set(ok, mode="drop")

    _, joint, done = jax.lax.while_loop(unfinished, solve, (jnp.zeros((), int), joint, jnp.ones(lanes, bool)))
    return joint, done


def _programmed(
    games: _Games, main: Float[Array, "J L"], egalitarian: bool
) -> tuple[Float[Array, "J L"], Bool[Array, "L"]]:
    """The best equilibrium, by the simplex method."""
    scaled, playable = _scaled(games)
    agents, size, lanes = scaled.shape
    matrix = jnp.concatenate([jnp.ones((1, size, lanes)), _obedience(games.payoffs, games.legal, playable)])
    objectives = jnp.concatenate([main[None], scaled, jnp.broadcast_to(_weights(size), (1, size, lanes))])
    objectives = jnp.where(playable & games.needed, objectives, -1.0)
    if egalitarian:  # one more variable, t, that no agent's value may be below: t - V_i <= 0
        column = jnp.concatenate([jnp.zeros((matrix.shape[0], 1, lanes)), jnp.ones((agents, 1, lanes))])
        matrix = jnp.concatenate([jnp.concatenate([matrix, -scaled]), column], axis=1)
        first = jnp.where(games.needed, jnp.ones((1, 1, lanes)), -1.0)
        rest = jnp.zeros((agents + 1, 1, lanes))
        objectives = jnp.concatenate([objectives.at[0].set(0.0), jnp.concatenate([first, rest])], axis=1)
        objectives = jnp.where(games.needed, objectives, -1.0)
        illegal = jnp.concatenate([~playable, jnp.zeros((1, lanes), bool)])
        objectives = jnp.where(illegal, -1.0, objectives)
    bounds = jnp.zeros((matrix.shape[0], lanes)).at[0].set(1.0)
    found = maximise(objectives, matrix, bounds)
    joint = found.x[:size]
    total = joint.sum(axis=0)
    return joint / jnp.where(total > 0, total, 1.0), found.done


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
        least = low.min(axis=every)
        span = high.max(axis=every) - least
        # The level goes first: of payoffs around 1e9 dividing alone would round the differences away.
        level = jnp.where(jnp.isfinite(least), least, 0.0)
        q = jnp.moveaxis((q - level) / jnp.where(span > 0, span, 1.0), i, 0).reshape(counts[i], -1, lanes)
        a, b = np.nonzero(~np.eye(counts[i], dtype=bool))
        gain = jnp.where(legal[i][b][:, None], q[b] - q[a], 0.0)  # [rows, joint actions of the others, B]
        row = jnp.where((np.arange(counts[i]) == a[:, None])[..., None, None], gain[:, None], 0.0)
        apart = row.reshape(a.size, counts[i], *(n for j, n in enumerate(counts) if j != i), lanes)
        rows.append(jnp.where(playable, jnp.moveaxis(apart, 1, 1 + i).reshape(a.size, size, lanes), 0.0))
    return jnp.concatenate(rows)
