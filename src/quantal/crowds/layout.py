"""The engine's view of a crowd: agents in blocks, actions as rows, the cell axis last and long.

    value, mass   [g, N]          of a block of g agents of one kind
    occupancy     [blocks, T, g, N]

Agents who are alike are one, with a multiplicity. Cells are renumbered so that, where the map is a grid, every action
of a kind is one shift of all cells: reading a shifted row is four times as fast as gathering it. Where that cannot be
(a graph, moves by chance) successors are gathered, and masses gathered back from predecessors.

A `CrowdModel` holds no labels, so games that differ in names share compiled code.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import jax
import numpy as np
from jaxtyping import Array, Float, Int

from quantal.crowds.game import CrowdGame, Interaction, Kind, felt

BLOCK_BYTES = 2**15
"""Cells times agents in a block, about: rows stay in the cache, and a scan's steps are worth their overhead."""
ACCELERATOR_BYTES = 2**23
"""The same on a GPU, where there are a hundred thousand threads to keep busy."""
BUSY = 4
"""Up to this many times more predecessors than actions (at the busiest cell) masses are gathered, not scattered."""
ENDLESS = 2**30
"""More decisions than any game has."""
ROOM = 4
"""A grid may have this many times more places than the map has cells."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Shifts:
    """Certain moves: action a leads from every place x where it is legal to x + offsets[a]."""

    offsets: tuple[int, ...] = field(metadata={"static": True})


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Links:
    """Any moves: successors [A, B, N] with probabilities (None: certain), and the way back."""

    successors: Int[Array, "A B N"]
    probabilities: Float[Array, "A B N"] | None
    predecessors: Int[Array, "K N"] | None
    """Who may arrive, as numbers of (a, b, x) in C order, padded with A B N; None: too many, masses are scattered."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Block:
    """Agents of one kind in blocks of g: [blocks, g, ..], or one block of them, as the passes see it: [g, ..]."""

    beta: Float[Array, "*b g"]
    reward: Int[Array, "*b g"]
    """Which of the kind's rewards."""
    final: Int[Array, "*b g"]
    start: Float[Array, "*b g N"]
    goal: Int[Array, "*b g"]
    """Place of the goal; -1 for none."""
    absent: Int[Array, "*b g"]
    """The same for who leaves at the goal; -1 for who is still met there."""
    goal_reward: Float[Array, "*b g"]
    own: Float[Array, "*b g"]
    """What an agent would feel of itself: taken off what it feels of all."""
    sense: Int[Array, "*b g"]
    """Which field it feels."""
    decisions: Int[Array, "*b g"]
    """How many it makes; `ENDLESS` as many as there are."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Movers:
    """A kind that somebody is of."""

    moves: Shifts | Links
    barred: Float[Array, "A N"]
    """0 where an action is legal, minus infinity elsewhere; walls have one that stays or leads nowhere that matters."""
    rewards: Float[Array, "U _ N"]
    finals: Float[Array, "_ N"]
    agents: Block
    levels: Float[Array, "b F g"]
    """What each agent adds to each field, per unit of its presence, everyone who is like it counted."""
    absorbing: bool = field(metadata={"static": True})
    """Whether anyone has a goal."""
    leaving: bool = field(metadata={"static": True})
    """Whether anyone makes fewer decisions than there are."""
    name: str = field(metadata={"static": True})
    """Empty, unless a user's interaction wants to know it."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class CrowdModel:
    """What the passes compute with."""

    movers: tuple[Movers, ...]
    nearness: tuple[Int[Array, "K N"], Float[Array, "K N"]] | None
    interaction: Interaction | None = field(metadata={"static": True})
    final_interaction: bool = field(metadata={"static": True})
    number_of_fields: int = field(metadata={"static": True})

    @property
    def places(self) -> int:
        """N."""
        return self.movers[0].barred.shape[-1]


@dataclass(frozen=True, eq=False)
class CrowdLayout:
    """A model, and the way from it to the public numbering."""

    model: CrowdModel
    places: np.ndarray
    """Place of each cell, (n,)."""
    seats: tuple[tuple[int, int, int], ...]
    """Per member: which of the model's movers, which block, which row of it."""
    distinct: int
    """Agents that are computed."""


@lru_cache(maxsize=8)
def crowd_layout(game: CrowdGame, betas: tuple[float, ...], dtype: str) -> CrowdLayout:
    """Lay a crowd out for the engine; call where JAX's default precision is that of `dtype`."""
    places, total = _places(game)
    weights = felt(game) if game.agent_weights is not None else None
    groups = _groups(game, betas)
    if weights is not None:
        fields = len(groups)
    elif game.interaction is not None:
        fields = len(game.kinds)
    else:  # kinds who feel the same share a field
        fields = len(np.unique(game.kind_weights, axis=0))
    movers: list[Movers] = []
    seats: dict[int, tuple[int, int, int]] = {}
    for k, kind in enumerate(game.kinds):
        mine = [g for g, members in enumerate(groups) if game.kind_numbers[members[0]] == k]
        if not mine:
            continue
        room = BLOCK_BYTES if jax.default_backend() == "cpu" else ACCELERATOR_BYTES
        size = max(1, min(len(mine), room // (total * np.dtype(dtype).itemsize)))
        for row, g in enumerate(mine):
            for i in groups[g]:
                seats[i] = (len(movers), row // size, row % size)
        movers.append(
            _movers(game, k, kind, [groups[g] for g in mine], mine, betas, weights, places, total, fields, size, dtype)
        )
    nearness = None
    if game.nearness is not None:
        cells, near = game.nearness
        nearness = (
            _put(_spread(places[cells].T, places, total, 0.0), dtype),
            _put(_spread(near.T, places, total, 0.0), dtype),
        )
    model = CrowdModel(tuple(movers), nearness, game.interaction, game.final_interaction, fields)
    return CrowdLayout(model, places, tuple(seats[i] for i in range(len(game.members))), len(groups))


def _groups(game: CrowdGame, betas: tuple[float, ...]) -> list[list[int]]:
    """Members who are alike in everything, each group in the order of the first."""
    if game.agent_weights is not None:
        return [[i] for i in range(len(game.members))]
    alike: dict[tuple[object, ...], list[int]] = {}
    for i, member in enumerate(game.members):
        where, chances = game.starts[i]
        key = (
            game.kind_numbers[i],
            where.tobytes(),
            chances.tobytes(),
            game.goals[i],
            member.goal_reward if game.goals[i] is not None else None,
            member.present_at_goal,
            member.weight,
            member.horizon,
            id(game.rewards[i]),
            id(game.final_rewards[i]),
            betas[i],
        )
        alike.setdefault(key, []).append(i)
    return list(alike.values())


# ---------------------------------------------------------------------- cells


def _places(game: CrowdGame) -> tuple[np.ndarray, int]:
    """Number cells so that moves are shifts, if that can be: as they are, or as their coordinates lie on a grid."""
    n = game.number_of_cells
    plain = np.arange(n)
    if game.interaction is not None or game.coordinates is None or _shifting(game, plain) == len(game.kinds):
        return plain, n
    corner = game.coordinates.min(axis=0)
    steps = game.coordinates - corner
    whole = np.rint(steps).astype(np.int64)
    if not np.array_equal(whole, steps):
        return plain, n
    width, height = whole.max(axis=0) + 1
    grid = whole[:, 1] * width + whole[:, 0]
    if width * height > ROOM * n or np.unique(grid).size < n or _shifting(game, grid) <= _shifting(game, plain):
        return plain, n
    return grid, int(width * height)


def _shifting(game: CrowdGame, places: np.ndarray) -> int:
    """How many kinds move by shifts in this numbering."""
    return sum(_offsets(kind, places) is not None for kind in game.kinds)


def _offsets(kind: Kind, places: np.ndarray) -> tuple[int, ...] | None:
    """One shift per action, or None."""
    if kind.successors.shape[-1] > 1:
        return None
    shifts = places[kind.successors[..., 0]] - places[:, None]
    offsets = []
    for a in range(kind.legal.shape[1]):
        own = shifts[kind.legal[:, a], a]
        if own.size and (own != own[0]).any():
            return None
        offsets.append(int(own[0]) if own.size else 0)
    return tuple(offsets)


def _spread(rows: np.ndarray, places: np.ndarray, total: int, fill: float) -> np.ndarray:
    """Rows over cells [.., n] to rows over places [.., N]."""
    full = np.full((*rows.shape[:-1], total), fill, dtype=rows.dtype)
    full[..., places] = rows
    return full


# ---------------------------------------------------------------------- kinds


def _movers(
    game: CrowdGame,
    k: int,
    kind: Kind,
    groups: list[list[int]],
    numbers: list[int],
    betas: tuple[float, ...],
    weights: np.ndarray | None,
    places: np.ndarray,
    total: int,
    fields: int,
    size: int,
    dtype: str,
) -> Movers:
    first = [members[0] for members in groups]
    count = np.array([float(sum(game.members[i].count for i in members)) for members in groups])
    weight = np.array([game.members[i].weight for i in first])
    levels = np.zeros((fields, len(groups)))
    if weights is not None:
        levels[:] = weights[:, first] * count
        own, sense = weights[first, first], np.array(numbers)
    elif game.interaction is not None:
        levels[k] = weight * count
        own, sense = weight, np.full(len(groups), k)
    else:
        rows, which = np.unique(game.kind_weights, axis=0, return_inverse=True)
        levels[:] = rows[:, [k]] * (weight * count)
        own, sense = game.kind_weights[k, k] * weight, np.full(len(groups), which.reshape(-1)[k])
    rewards, which_reward = _shared([game.rewards[i] for i in first])
    finals, which_final = _shared([game.final_rewards[i] for i in first])
    goals = np.array([-1 if game.goals[i] is None else places[game.goals[i]] for i in first])
    present = np.array([game.members[i].present_at_goal for i in first])
    start = np.stack([_spread(game.start(i), places, total, 0.0) for i in first])
    # Actions of one width make one array.
    wide = max(r.shape[1] for r in rewards)
    table = np.stack([np.broadcast_to(r, (r.shape[0], wide)).T for r in rewards])
    kind_fields = {
        "beta": np.array([betas[i] for i in first]),
        "reward": which_reward,
        "final": which_final,
        "start": start,
        "goal": goals,
        "absent": np.where(present, -1, goals),
        "goal_reward": np.array([game.members[i].goal_reward for i in first]),
        "own": own,
        "sense": sense,
        "decisions": np.array([game.members[i].horizon or ENDLESS for i in first]),
    }
    blocks = -(-len(groups) // size)
    short = blocks * size - len(groups)
    # Filled up with copies of the last agent, whom nobody feels.
    padded = np.pad(levels, ((0, 0), (0, short))).reshape(fields, blocks, size)
    agents = {
        name: _put(np.concatenate([x, np.repeat(x[-1:], short, axis=0)]).reshape(blocks, size, *x.shape[1:]), dtype)
        for name, x in kind_fields.items()
    }
    barred = np.where(kind.legal, 0.0, -np.inf)
    barred[kind.walls, 0] = 0.0  # choosing needs something to choose
    spread = _spread(barred.T, places, total, -np.inf)
    empty = np.ones(total, dtype=bool)
    empty[places] = False
    spread[0, empty] = 0.0
    return Movers(
        moves=_moves(kind, places, total, dtype),
        barred=_put(spread, dtype),
        rewards=_put(_spread(table, places, total, 0.0), dtype),
        finals=_put(_spread(np.stack(finals), places, total, 0.0), dtype),
        agents=Block(**agents),
        levels=_put(padded.swapaxes(0, 1), dtype),
        absorbing=bool((goals >= 0).any()),
        leaving=any(game.members[i].horizon is not None for i in first),
        name="" if game.interaction is None else kind.name,
    )


def _put(array: np.ndarray, dtype: str) -> Array:
    """To the device; not by `jnp.asarray`, which compiles a program for every shape."""
    kind = np.int32 if np.issubdtype(array.dtype, np.integer) else np.dtype(dtype)
    return jax.device_put(np.asarray(array, dtype=kind))


def _shared(arrays: list[np.ndarray]) -> tuple[list[np.ndarray], np.ndarray]:
    """Distinct arrays, and which of them each was."""
    order: dict[int, int] = {}
    distinct: list[np.ndarray] = []
    for array in arrays:
        if id(array) not in order:
            order[id(array)] = len(distinct)
            distinct.append(array)
    return distinct, np.array([order[id(array)] for array in arrays])


def _moves(kind: Kind, places: np.ndarray, total: int, dtype: str) -> Shifts | Links:
    offsets = _offsets(kind, places)
    if offsets is not None:
        return Shifts(offsets)
    successors = np.broadcast_to(np.arange(total), (*kind.successors.shape[1:], total)).copy()
    successors[..., places] = places[np.moveaxis(kind.successors, 0, -1)]
    chances = _spread(np.moveaxis(kind.probabilities, 0, -1), places, total, 0.0)
    chances[:, 0][chances.sum(axis=1) == 0] = 1.0
    # A move by chance 0 brings nobody: it would only widen the lists.
    legal = _spread(kind.legal.T, places, total, 0.0)
    bring = (chances > 0) & legal[:, None, :]
    source = np.flatnonzero(bring)
    target = successors.reshape(-1)[source]
    order = np.argsort(target, kind="stable")
    source, target = source[order], target[order]
    arrivals = np.bincount(target, minlength=total)
    widest = int(arrivals.max(initial=1))
    predecessors = None
    if widest <= BUSY * successors.shape[0] * successors.shape[1]:
        table = np.full((widest, total), successors.size, dtype=np.int32)
        place = np.arange(source.size) - np.repeat(np.cumsum(arrivals) - arrivals, arrivals)
        table[place, target] = source
        predecessors = _put(table, dtype)
    certain = successors.shape[1] == 1
    return Links(_put(successors, dtype), None if certain else _put(chances, dtype), predecessors)
