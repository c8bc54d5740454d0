r"""Features: what agents may care about, and how much (Section 6 of the paper).

    R_i(x, a) = known_i(x, a) + <theta_i, F_i(x, a)>,        F_i = (F_{i,1}, ..., F_{i,K_i})

Everything that infers rewards estimates theta. Feature arrays have the axes of a game's rewards behind a feature axis:
(K_i, *states, A_1, ..., A_M) for a Markov game, (K_i, cells, A_i) for a crowd, with length 1 where a feature does not
depend on an axis. The paper's F_i(x, a_i) depends on the own action only; any reward may be made of features here.

>>> import quantal as qt
>>> game = qt.games.pursuit.two_players()
>>> wants = qt.infer.features
>>> both = qt.infer.Features.of(
...     game,
...     {
...         "h": [wants.collision(game, "h")],
...         "p": [wants.collision(game, "p"), wants.waiting(game, "p")],
...     },
... )
>>> both.labels
('h: together', 'p: together', 'p: waits')
>>> both.game_with(game, [0.4, -0.4, 0.1]).rewards[1].shape
(9, 9, 1, 5)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from quantal.crowds.game import CrowdGame, Member
from quantal.dynamics import Independent
from quantal.errors import ParameterError
from quantal.game import MarkovGame
from quantal.layout import actions_first

Game = MarkovGame | CrowdGame
Agent = str | int
Theta = float | np.ndarray | Sequence[Any] | Mapping[str, Any]
"""Weights: one vector over all agents' features in order, one vector per agent, or some agents' by name."""

METRICS = ("steps", "straight", "blocks")


@dataclass(frozen=True, eq=False)
class Feature:
    """One thing that an agent may care about.

    Attributes
    ----------
    name
        What it is called in tables.
    values
        F(x, a), (*states, A_1, ..., A_M); of a crowd (cells, A_i). Axes may have length 1.
    """

    name: str
    values: np.ndarray


@dataclass(frozen=True, eq=False)
class Features:
    """What every agent of a game may care about; made by `Features.of`.

    Attributes
    ----------
    agents
        The game's agents.
    names
        Per agent, what its features are called.
    arrays
        Per agent, F_i, (K_i, *states, A_1, ..., A_M); of a crowd (K_i, cells, A_i); axes behind the first may have
        length 1. Read-only.
    known
        Per agent, the part of its reward that is not in question, shaped like one feature.
    """

    agents: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    arrays: tuple[np.ndarray, ...]
    known: tuple[np.ndarray, ...]

    @staticmethod
    def of(
        game: Game,
        wanted: Mapping[str, Sequence[Feature]] | Sequence[Sequence[Feature]],
        *,
        keep: bool = False,
    ) -> Features:
        """Collect the features of every agent.

        Parameters
        ----------
        game
            What is played.
        wanted
            Features by agent, or one sequence for each. An agent without features keeps the game's rewards.
        keep
            Whether features are added to the game's rewards (what a step costs, what meeting costs); otherwise the
            rewards of agents who have features consist of them.

        Raises
        ------
        ParameterError
            If a feature does not fit the game, is not finite, or two of an agent share a name.
        """
        listed = _by_agent(game, wanted)
        names, arrays, known = [], [], []
        for i, features in enumerate(listed):
            full = _full_shape(game, i)
            own = tuple(feature.name for feature in features)
            if len(set(own)) != len(own):
                twice = sorted({name for name in own if own.count(name) > 1})
                raise ParameterError(
                    f"features of {game.agents[i]}: expected names that differ: got {', '.join(twice)} more than once"
                )
            parts = [_checked(feature, full, f"feature {feature.name!r} of {game.agents[i]}") for feature in features]
            wide = np.broadcast_shapes(*(part.shape for part in parts), (1,) * len(full))
            # Stacked, not summed: a feature that does not depend on an axis on which another does is repeated.
            stack = np.stack([np.broadcast_to(part, wide) for part in parts]) if parts else np.zeros((0, *wide))
            base = _rewards_of(game, i) if keep or not parts else np.zeros((1,) * len(full))
            for array in (stack, base := np.array(base)):
                array.setflags(write=False)
            names.append(own)
            arrays.append(stack)
            known.append(base)
        return Features(tuple(game.agents), tuple(names), tuple(arrays), tuple(known))

    # ------------------------------------------------------------------ reading

    @property
    def counts(self) -> tuple[int, ...]:
        """K_i per agent."""
        return tuple(array.shape[0] for array in self.arrays)

    @property
    def number(self) -> int:
        """All agents' features."""
        return sum(self.counts)

    @property
    def labels(self) -> tuple[str, ...]:
        """``agent: feature`` for each weight, in the order of a flat theta."""
        return tuple(f"{a}: {name}" for a, names in zip(self.agents, self.names, strict=True) for name in names)

    def split(self, theta: Theta) -> tuple[Float[np.ndarray, "K"], ...]:
        """Weights per agent, (K_i,) each, from any form of them; agents that a mapping leaves out have zeros.

        Raises
        ------
        ParameterError
            If there are too few or too many, or one is not finite.
        """
        parts = self._parts(theta)
        for i, (part, count) in enumerate(zip(parts, self.counts, strict=True)):
            what = f"theta of {self.agents[i]}"
            if part.shape != (count,):
                raise ParameterError(
                    f"{what}: expected {count} weights ({', '.join(self.names[i]) or 'no features'}): got shape "
                    f"{part.shape}"
                )
            if not np.isfinite(part).all():
                raise ParameterError(f"{what}: expected finite weights: got {part}")
        return parts

    def _parts(self, theta: Theta) -> tuple[np.ndarray, ...]:
        if isinstance(theta, Mapping):
            for agent in theta:
                if agent not in self.agents:
                    raise ParameterError(f"theta: no agent {agent!r}: expected {', '.join(self.agents)}")
            given = [theta.get(a, np.zeros(k)) for a, k in zip(self.agents, self.counts, strict=True)]
            return tuple(np.atleast_1d(np.asarray(part, dtype=float)) for part in given)
        if isinstance(theta, (list, tuple)) and any(np.ndim(part) for part in theta):
            if len(theta) != len(self.agents):
                raise ParameterError(
                    f"theta: expected one vector for each of {', '.join(self.agents)}: got {len(theta)}"
                )
            return tuple(np.asarray(part, dtype=float).reshape(-1) for part in theta)
        flat = np.atleast_1d(np.asarray(theta, dtype=float))
        if flat.shape != (self.number,):
            raise ParameterError(
                f"theta: expected {self.number} weights ({', '.join(self.labels)}): got shape {flat.shape}"
            )
        return tuple(np.split(flat, np.cumsum(self.counts)[:-1]))

    def flat(self, theta: Theta) -> Float[np.ndarray, "K"]:
        """All weights in one vector, in the order of `labels`."""
        return np.concatenate(self.split(theta))

    # ------------------------------------------------------------------ using

    def rewards(self, theta: Theta) -> tuple[np.ndarray, ...]:
        """known_i + <theta_i, F_i> per agent, in the axes of the game's rewards."""
        parts = self.split(theta)
        return tuple(
            base + np.tensordot(part, array, axes=1)
            for base, part, array in zip(self.known, parts, self.arrays, strict=True)
        )

    @overload
    def game_with(self, game: MarkovGame, theta: Theta) -> MarkovGame: ...

    @overload
    def game_with(self, game: CrowdGame, theta: Theta) -> CrowdGame: ...

    @overload
    def game_with(self, game: Game, theta: Theta) -> Game: ...

    def game_with(self, game: Game, theta: Theta) -> Game:
        """Make the game in which agents care this much: everything else is as in `game`."""
        rewards = self.rewards(theta)
        if isinstance(game, CrowdGame):
            members = [replace(m, rewards=reward) for m, reward in zip(game.members, rewards, strict=True)]
            return crowd_of(game, members)
        return MarkovGame(
            state_shape=game.state_shape,
            rewards=rewards,
            dynamics=game.dynamics,
            actions=game.actions,
            agents=game.agents,
            final_rewards=game.final_rewards,
            legal=game.legal,
            start=game.start,
            state_labels=game.state_labels,
            coordinates=game.coordinates,
            name=game.name,
            picture=game.picture,
        )

    def laid(self, game: MarkovGame) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """Known parts [A_1|1, ..., A_M|1, *states|1] and features [K_i, ...] for the engine, like `Model.rewards`."""
        known = tuple(jax.device_put(_laid(game, base)) for base in self.known)
        arrays = tuple(
            jax.device_put(np.stack([_laid(game, part) for part in array]))
            if len(array)
            else jnp.zeros((0, *base.shape))
            for array, base in zip(self.arrays, known, strict=True)
        )
        return known, arrays

    def __repr__(self) -> str:
        return f"<Features {', '.join(self.labels) or 'none'}>"


def combined(known: Sequence[Array], arrays: Sequence[Array], theta: Sequence[Array]) -> tuple[Array, ...]:
    """Rewards in the engine's layout, from what `Features.laid` returns; differentiable, for use inside jit."""
    return tuple(
        base + jnp.tensordot(part, array, axes=1) if array.shape[0] else base
        for base, part, array in zip(known, theta, arrays, strict=True)
    )


def crowd_of(game: CrowdGame, members: Sequence[Member]) -> CrowdGame:
    """Make the same crowd with other members."""
    weighted = game.agent_weights is None and game.interaction is None
    return CrowdGame(
        cells=game.cells,
        kinds=game.kinds,
        members=members,
        kind_weights=game.kind_weights if weighted else None,
        agent_weights=game.agent_weights,
        nearness=game.nearness,
        interaction=game.interaction,
        final_interaction=game.final_interaction,
        coordinates=game.coordinates,
        name=game.name,
        picture=game.picture,
    )


# ---------------------------------------------------------------------- builders


def function(game: Game, agent: Agent, name: str, of: Callable[..., Any]) -> Feature:
    """Make a feature from a small function.

    Parameters
    ----------
    of
        For a Markov game ``of(x, a)``: x holds the index on every state axis, a every agent's action number, as integer
        arrays that broadcast against each other. For a crowd ``of(x, a)`` with the agent's own cell and action. Axes on
        which the result does not depend keep length 1: ``lambda x, a: x[0] == x[1]``.

    Raises
    ------
    ParameterError
        If what it returns is not an array over these axes.
    """
    i = game.agent_index(agent)
    full = _full_shape(game, i)
    index = np.indices(full, sparse=True)
    if isinstance(game, CrowdGame):
        found = of(*index)
    else:
        dims = len(game.state_shape)
        found = of(index[:dims], index[dims:])
    values = np.asarray(found, dtype=float)
    if values.ndim == 0:
        values = values.reshape((1,) * len(full))
    return Feature(name, _fitting(values, full, f"feature {name!r} of {game.agents[i]}"))


def indicator(
    game: Game,
    agent: Agent,
    *,
    at: Sequence[int | str] | int | str | None = None,
    action: str | int | None = None,
    name: str = "",
) -> Feature:
    """1 where the agent itself is at one of these cells, or takes this action, or both.

    Parameters
    ----------
    at
        Cells of its own axis, by number or label; anywhere unless given. In a game with one general state axis, states.
    action
        By number or label; any unless given.
    """
    own = _own(game, agent)
    cells = None if at is None else [at] if isinstance(at, (int, str, np.integer)) else list(at)
    table = np.ones((1 if cells is None else len(own.labels), 1))
    if cells is not None:
        table = np.zeros((len(own.labels), 1))
        table[[_number(own.labels, cell, f"cell of {own.agent}") for cell in cells]] = 1.0
    what = [] if cells is None else ["at " + "/".join(str(own.labels[int(k)]) for k in np.flatnonzero(table[:, 0])[:3])]
    if action is not None:
        a = _number(own.actions, action, f"action of {own.agent}")
        table = table * (np.arange(len(own.actions)) == a)
        what.append(own.actions[a])
    return Feature(name or " ".join(what) or "constant", own.spread(table))


def distance(
    game: Game,
    agent: Agent,
    to: Agent | None = None,
    *,
    cell: int | str | None = None,
    metric: str = "steps",
    name: str = "",
) -> Feature:
    """How far the agent is from another agent, or from a cell.

    Parameters
    ----------
    to
        Another agent of a Markov game; both must have the same cells (labels) for ``"steps"``, coordinates otherwise.
    cell
        A cell of its own, instead.
    metric
        ``"steps"``: legal moves, at the best; what cannot be reached is one step further than all that can.
        ``"straight"``: of coordinates. ``"blocks"``: |dx| + |dy|.
    """
    if metric not in METRICS:
        raise ParameterError(f"metric={metric!r}: expected one of {', '.join(map(repr, METRICS))}")
    own = _own(game, agent, moving=True)
    if (to is None) == (cell is None):
        raise ParameterError("distance: expected to= (an agent) or cell=, one of them")
    if cell is not None:
        target = _number(own.labels, cell, f"cell of {own.agent}")
        apart = _steps(own)[:, target] if metric == "steps" else _apart(own, own, metric)[:, target]
        return Feature(name or f"distance to {own.labels[target]}", own.spread(apart[:, None]))
    if isinstance(game, CrowdGame):
        raise ParameterError("distance: agents of a crowd do not see each other: expected cell=")
    assert to is not None
    other = _own(game, to, moving=True)
    if metric == "steps":
        column = [own.labels.index(label) if label in own.labels else -1 for label in other.labels]
        if -1 in column:
            lost = other.labels[column.index(-1)]
            raise ParameterError(
                f"distance from {own.agent} to {other.agent} in steps: {other.agent} may be at {lost}, which is no "
                f"cell of {own.agent}: expected the same cells. Use metric='straight' or 'blocks'"
            )
        apart = _steps(own)[:, column]
    else:
        apart = _apart(own, other, metric)
    return Feature(name or f"distance to {other.agent}", _pair(game, own, other, apart))


def collision(game: MarkovGame, agent: Agent, others: Sequence[Agent] | None = None, *, name: str = "") -> Feature:
    """How many of the others (all unless given) are in the agent's own cell: cells are the same by their labels."""
    if isinstance(game, CrowdGame):
        raise ParameterError(
            "collision: agents of a crowd meet as occupancy, which weights (mu) price: expected a MarkovGame"
        )
    own = _own(game, agent, moving=True)
    everyone = [j for j in range(game.number_of_agents) if j != own.number]
    which = everyone if others is None else [game.agent_index(j) for j in others]
    total = np.zeros((1,) * (len(game.state_shape) + game.number_of_agents))
    for j in which:
        other = _own(game, j, moving=True)
        same = np.array(own.labels)[:, None] == np.array(other.labels)
        total = total + _pair(game, own, other, same.astype(float))
    return Feature(name or "together", total)


def goal(game: Game, agent: Agent, at: int | str, *, name: str = "") -> Feature:
    """Arriving: the chance that this action leads to the cell, from elsewhere. Paid once where the goal is not left."""
    own = _own(game, agent, moving=True)
    target = _number(own.labels, at, f"cell of {own.agent}")
    arrives = np.where(own.successors == target, own.probabilities, 0.0).sum(axis=-1)
    arrives[target] = 0.0
    return Feature(name or f"arrives at {own.labels[target]}", own.spread(arrives))


def waiting(game: Game, agent: Agent, *, name: str = "") -> Feature:
    """The chance that this action leaves the agent where it is; 0 where it can do nothing else (it has arrived)."""
    own = _own(game, agent, moving=True)
    here = np.arange(len(own.labels))[:, None, None]
    stays = np.where(own.successors == here, own.probabilities, 0.0).sum(axis=-1)
    free = (own.legal & (stays < 1)).any(axis=1)
    return Feature(name or "waits", own.spread(np.where(free[:, None], stays, 0.0)))


def of_map(
    game: Game, agent: Agent, *, goal_at: int | str | None = None, ground: Mapping[str, Sequence[str]] | None = None
) -> list[Feature]:
    """What somebody on a map may care about: its goal, the way to it, waiting, and each kind of ground.

    Parameters
    ----------
    goal_at
        Its goal, if it has one.
    ground
        Cells' labels by the kind of ground; kinds on which the agent cannot be, or can only be, are left out.
    """
    own = _own(game, agent, moving=True)
    found = []
    if goal_at is not None:
        found += [goal(game, agent, goal_at), distance(game, agent, cell=goal_at)]
    found.append(waiting(game, agent))
    open_to = {label for label, free in zip(own.labels, np.atleast_1d(own.legal.any(axis=1)), strict=True) if free}
    for kind, cells in (ground or {}).items():
        mine = [label for label in cells if label in open_to]
        if 0 < len(mine) < len(open_to):
            found.append(indicator(game, agent, at=mine, name=f"on {kind}"))
    return found


# ---------------------------------------------------------------------- one agent's own cells


@dataclass(frozen=True, eq=False)
class _Own:
    """What an agent's own axis is: its cells, and how it moves on them."""

    agent: str
    number: int
    labels: tuple[str, ...]
    actions: tuple[str, ...]
    positions: np.ndarray | None
    successors: np.ndarray
    probabilities: np.ndarray
    legal: Bool[np.ndarray, "n A"]
    shape: tuple[int, ...]
    """Of the game's rewards."""
    axis: int
    action_axis: int

    def spread(self, table: Float[np.ndarray, "#n #A"]) -> np.ndarray:
        """A table over own cells and actions, on the axes of the game's rewards."""
        wide = [1] * len(self.shape)
        wide[self.axis], wide[self.action_axis] = table.shape
        return table.reshape(wide)


def _own(game: Game, agent: Agent, *, moving: bool = False) -> _Own:
    i = game.agent_index(agent)
    if isinstance(game, CrowdGame):
        kind = game.kind_of(i)
        return _Own(
            game.agents[i],
            i,
            game.cells,
            kind.actions,
            game.coordinates,
            kind.successors,
            kind.probabilities,
            kind.legal,
            _full_shape(game, i),
            0,
            1,
        )
    dims, dynamics = len(game.state_shape), game.dynamics
    if isinstance(dynamics, Independent):
        elsewhere = tuple(k for k in range(dims) if k != i)
        legal = np.broadcast_to(game.legal[i].any(axis=elsewhere), (game.state_shape[i], game.action_counts[i]))
        successors, probabilities = dynamics.successors[i], dynamics.probabilities[i]
    elif dims == 1 and not moving:
        legal = np.broadcast_to(game.legal[i], (game.state_shape[0], game.action_counts[i]))
        successors = probabilities = np.zeros((0, 0, 0))
    else:
        raise ParameterError(
            f"features of {game.agents[i]}: in this game no state axis is an agent's own: expected one axis per agent. "
            "Write the feature as a function of the state (features.function)"
        )
    axis = i if game.product else 0
    return _Own(
        game.agents[i],
        i,
        game.state_labels[axis],
        game.actions[i],
        game.coordinates[axis] if game.coordinates else None,
        successors,
        probabilities,
        legal,
        _full_shape(game, i),
        axis,
        dims + i,
    )


def _number(labels: tuple[str, ...], given: int | str, what: str) -> int:
    if isinstance(given, str):
        if given in labels:
            return labels.index(given)
    elif 0 <= given < len(labels):
        return int(given)
    raise ParameterError(
        f"no {what} {given!r}: expected 0..{len(labels) - 1} or one of {', '.join(labels[:20])}"
        + (" ..." if len(labels) > 20 else "")
    )


def _steps(own: _Own) -> Float[np.ndarray, "n n"]:
    """Fewest legal moves from each cell to each."""
    n = len(own.labels)
    link = np.zeros((n, n), dtype=bool)
    possible = (own.probabilities > 0) & own.legal[..., None]
    start = np.broadcast_to(np.arange(n)[:, None, None], possible.shape)
    link[start[possible], own.successors[possible]] = True
    apart = np.where(np.eye(n, dtype=bool), 0.0, np.inf)
    reached = np.eye(n, dtype=bool)
    for step in range(1, n + 1):
        onward = (link.astype(float) @ reached > 0) & ~reached
        if not onward.any():
            break
        apart[onward] = step
        reached |= onward
    return np.where(np.isinf(apart), apart[np.isfinite(apart)].max() + 1, apart)


def _apart(own: _Own, other: _Own, metric: str) -> Float[np.ndarray, "n m"]:
    if own.positions is None or other.positions is None:
        raise ParameterError(
            f"distance of {own.agent} by coordinates: this game has none: use metric='steps', or give it coordinates"
        )
    difference = np.abs(own.positions[:, None] - other.positions)
    return np.hypot(*np.moveaxis(difference, -1, 0)) if metric == "straight" else difference.sum(axis=-1)


def _pair(game: MarkovGame, own: _Own, other: _Own, table: Float[np.ndarray, "n m"]) -> np.ndarray:
    """A table over two agents' cells, on the axes of the game's rewards."""
    wide = [1] * len(own.shape)
    wide[own.axis], wide[other.axis] = table.shape
    return (table if own.axis < other.axis else table.T).reshape(wide)


# ---------------------------------------------------------------------- shapes


def _by_agent(game: Game, wanted: Mapping[str, Sequence[Feature]] | Sequence[Sequence[Feature]]) -> list[list[Feature]]:
    if isinstance(wanted, Mapping):
        for agent in wanted:
            game.agent_index(agent)
        listed = [list(wanted.get(agent, ())) for agent in game.agents]
    else:
        listed = [list(own) for own in wanted]
    if len(listed) != len(game.agents):
        raise ParameterError(
            f"features: expected one list for each of {', '.join(game.agents)}: got {len(listed)}. Give an empty list "
            "to an agent whose rewards are known"
        )
    for i, own in enumerate(listed):
        for feature in own:
            if not isinstance(feature, Feature):
                raise ParameterError(
                    f"features of {game.agents[i]}: expected Feature(name, values): got {type(feature).__name__}"
                )
    return listed


def _full_shape(game: Game, i: int) -> tuple[int, ...]:
    if isinstance(game, CrowdGame):
        return (game.number_of_cells, len(game.kind_of(i).actions))
    return game.state_shape + game.action_counts


def _rewards_of(game: Game, i: int) -> np.ndarray:
    return game.rewards[i]


def _fitting(values: np.ndarray, full: tuple[int, ...], what: str) -> np.ndarray:
    fits = values.ndim == len(full) and all(n in (1, m) for n, m in zip(values.shape, full, strict=True))
    if not fits:
        raise ParameterError(
            f"{what}: expected shape {full} over the states (or cells) and actions: got {values.shape}. An axis on "
            "which it does not depend has length 1"
        )
    return values


def _checked(feature: Feature, full: tuple[int, ...], what: str) -> np.ndarray:
    values = _fitting(np.asarray(feature.values, dtype=float), full, what)
    if not np.isfinite(values).all():
        index = tuple(int(k) for k in np.argwhere(~np.isfinite(values))[0])
        raise ParameterError(
            f"{what}: got {values[index]} at index {index}: expected finite numbers. Use 0 where an action is illegal"
        )
    return values


def _laid(game: MarkovGame, array: np.ndarray) -> np.ndarray:
    """Actions first; a coupled game's state axes flattened: as `quantal.layout.model_of` lays rewards."""
    dims = len(game.state_shape)
    if game.product:
        return actions_first(array, dims)
    if array.shape[:dims] != (1,) * dims:
        array = np.broadcast_to(array, game.state_shape + array.shape[dims:])
    return actions_first(array.reshape((-1, *array.shape[dims:])), 1)
