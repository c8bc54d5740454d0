r"""What a crowd plays: many agents on one map, who meet each other as occupancy (Section 5 of the paper).

Every agent i moves on the same n cells by the moves of its *kind*; others reach it only through where they may be:

    Q_i^tau(x, a) = R_i(x, a) + Psi_i(O_-i^tau)(x) + E[ V_i^{tau+1}(x') | x, a ]                        (9)-(11)
    Psi_i(O_-i)(x) = - sum_{j != i} W_ij sum_y nearness(x, y) O_j(y)            unless a function of one's own is given

with W_ij = mu_j, the *weight* of agent j's presence, times what kind i feels of kind j if that is given; a negative
weight makes meeting the aim. Memory is linear in agents: what agents of one kind share is kept once, and agents who are
alike in everything (kind, start, goal, rewards, weight, precision) cost one agent, however they are listed.

>>> import numpy as np
>>> import quantal as qt
>>> moves = np.array([[0, 1], [0, 2], [1, 2]])        # three cells in a row: left, right
>>> walker = qt.Kind("walker", actions=("left", "right"), successors=moves, rewards=np.full(3, -1.0))
>>> game = qt.CrowdGame(
...     cells=("west", "middle", "east"),
...     kinds=[walker],
...     members=[
...         qt.Member("ann", "walker", start="west", goal="east", goal_reward=5.0),
...         qt.Member("bob", "walker", start="east", goal="west", goal_reward=5.0, weight=2.0),
...     ],
... )
>>> game.agents
('ann', 'bob')
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from quantal.dynamics import PROBABILITY_TOLERANCE, check_rows
from quantal.errors import GameError
from quantal.game import booleans, check_distinct, first, frozen, labels_of, numbers

MOST = 2**53
"""Largest count: larger whole numbers are not exact in double precision."""

Interaction = Callable[[Any, str], Any]
"""Psi: takes how many others, weighted, are expected in each cell, by kind [kinds, n], and the name of one's own kind;
returns what being in each cell is worth, [n]. Written with `jax.numpy`."""


@dataclass(frozen=True, eq=False, init=False)
class Kind:
    """Agents who move alike, and who want the same unless they say otherwise.

    Attributes
    ----------
    name
        What such agents are called.
    actions
        Action labels, A of them.
    successors
        Where each action leads, (n, A), or (n, A, B) where chance decides between B cells.
    probabilities
        Of the B cells, (n, A, B); left out for moves that are certain.
    legal
        Which actions may be chosen, booleans (n, A); all unless given. A cell without any is a wall for this kind.
    rewards
        R(x) as (n,), or R(x, a) as (n, A); nothing unless given.
    final_rewards
        R_F(x), (n,); nothing unless given.
    """

    name: str
    actions: tuple[str, ...]
    successors: np.ndarray
    probabilities: np.ndarray
    legal: np.ndarray
    rewards: np.ndarray
    final_rewards: np.ndarray

    def __init__(
        self,
        name: str,
        *,
        actions: Sequence[str],
        successors: ArrayLike,
        probabilities: ArrayLike | None = None,
        legal: ArrayLike | None = None,
        rewards: ArrayLike | None = None,
        final_rewards: ArrayLike | None = None,
    ) -> None:
        what = f"kind {name!r}"
        labels = labels_of(actions, f"{what}: actions")
        table = _array(successors, f"{what}: successors")
        if table.ndim == 2:
            table = table[..., None]
        if table.ndim != 3 or table.shape[1] != len(labels):
            raise GameError(
                f"{what}: successors: expected shape (n, {len(labels)}) or (n, {len(labels)}, B) over (cells, "
                f"actions): got {table.shape}. Give every action a successor at every cell"
            )
        if probabilities is None and table.shape[-1] != 1:
            raise GameError(
                f"{what}: successors: expected one successor per action where no probabilities are given: got shape "
                f"{table.shape}. Give the probabilities"
            )
        chances = (
            np.ones(table.shape)
            if probabilities is None
            else np.array(numbers(probabilities, f"{what}: probabilities"))
        )
        if chances.ndim == 2:
            chances = chances[..., None]
        n = table.shape[0]
        values: dict[str, object] = {
            "name": str(name),
            "actions": labels,
            "successors": table,
            "probabilities": chances,
            "legal": np.ones(table.shape[:2], dtype=bool) if legal is None else booleans(legal, f"{what}: legal"),
            "rewards": frozen(np.zeros((n, 1))) if rewards is None else _rewards(rewards, f"{what}: rewards"),
            "final_rewards": frozen(np.zeros(n))
            if final_rewards is None
            else numbers(final_rewards, f"{what}: final_rewards"),
        }
        for field, value in values.items():
            object.__setattr__(self, field, value)

    @property
    def walls(self) -> np.ndarray:
        """Cells where this kind cannot be: booleans (n,)."""
        return np.logical_not(self.legal.any(axis=1))


@dataclass(frozen=True, eq=False)
class Member:
    """One agent of a crowd, or `count` agents who are alike.

    Attributes
    ----------
    name
        What it is called.
    kind
        The name of its kind.
    start
        A cell, by number or label, or a distribution (n,).
    goal
        A cell at which it is done: it stays there, and neither gets anything nor minds anyone from then on.
    goal_reward
        What having arrived is worth, once.
    present_at_goal
        Whether others still meet it there.
    weight
        mu: what its presence costs others, per unit of probability; below 0 it is welcome.
    count
        How many of them there are; they cost one.
    horizon
        Its own number of decisions, if it makes fewer than the game has: after them it gets its final reward and is
        gone. It stays in the cell where it came to, as probability, but neither gets nor minds anything, and nobody
        meets it from the next step on. One longer than the game's ends with the game.
    rewards, final_rewards
        As in `Kind`, instead of the kind's. Members may share one array.
    """

    name: str
    kind: str
    start: int | str | ArrayLike
    _: KW_ONLY
    goal: int | str | None = None
    goal_reward: float = 0.0
    present_at_goal: bool = False
    weight: float = 1.0
    count: int = 1
    horizon: int | None = None
    rewards: ArrayLike | None = None
    final_rewards: ArrayLike | None = None


@dataclass(frozen=True, eq=False, init=False)
class CrowdGame:
    """Many agents on one map; every array is copied, validated and made read-only.

    Attributes
    ----------
    cells
        Cell labels, n of them.
    kinds, members
        Who moves how; who there is.
    agents
        The members' names.
    kind_weights
        What kind k feels of kind l, (kinds, kinds), times the weight of who is felt; all ones unless given.
    agent_weights
        W in full, (members, members), instead of weights: what member i feels of member j; the diagonal counts between
        the members of a `count`. None unless given.
    nearness
        How much presence at y counts at x: cells y, (n, K), and their weights, (n, K). None: the same cell only.
    interaction
        A function of one's own instead of Psi = -(...); see `Interaction`.
    final_interaction
        Whether Psi(O^T) is added to final rewards, too.
    coordinates
        Positions of the cells, (n, 2), x to the right and y downwards; for pictures. None unless given.
    name, picture
        For people.
    source
        Text of the scene file that this was made from; empty otherwise.
    """

    cells: tuple[str, ...]
    kinds: tuple[Kind, ...]
    members: tuple[Member, ...]
    agents: tuple[str, ...]
    kind_weights: np.ndarray
    agent_weights: np.ndarray | None
    nearness: tuple[np.ndarray, np.ndarray] | None
    interaction: Interaction | None
    final_interaction: bool
    coordinates: np.ndarray | None
    name: str
    picture: str
    source: str
    starts: tuple[tuple[np.ndarray, np.ndarray], ...]
    """Per member, the cells where it may start and their probabilities."""
    goals: tuple[int | None, ...]
    """Per member, the number of its goal."""
    rewards: tuple[np.ndarray, ...]
    """Per member, (n, A) or (n, 1); one array for all who share it."""
    final_rewards: tuple[np.ndarray, ...]
    """Per member, (n,); one array for all who share it."""

    def __init__(
        self,
        *,
        cells: int | Sequence[str],
        kinds: Sequence[Kind],
        members: Sequence[Member],
        kind_weights: ArrayLike | None = None,
        agent_weights: ArrayLike | None = None,
        nearness: Any = None,
        interaction: Interaction | None = None,
        final_interaction: bool = False,
        coordinates: ArrayLike | None = None,
        name: str = "",
        picture: str = "",
        source: str = "",
    ) -> None:
        """Check everything.

        Parameters
        ----------
        cells
            Labels, or how many cells there are.
        nearness
            A matrix (n, n), an array or anything of `scipy.sparse`, or the pair that is kept (see the attribute).

        Raises
        ------
        GameError
            If anything is inconsistent; the message names the place, what was expected, what was found and what to do.
        """
        labels = tuple(map(str, range(cells))) if isinstance(cells, int) else labels_of(cells, "cells")
        if not labels:
            raise GameError("cells: expected at least one: got none. Give the map a cell")
        check_distinct("cells", labels)
        if not isinstance(final_interaction, (bool, np.bool_)):
            raise GameError(f"final_interaction: expected True or False: got {final_interaction!r}")
        if interaction is not None and not callable(interaction):
            raise GameError(
                f"interaction: expected a function of (others, kind): got {interaction!r}. For weights use kind_weights"
            )
        values: dict[str, object] = {
            "cells": labels,
            "kinds": _entries(kinds, Kind, "kinds"),
            "members": _entries(members, Member, "members"),
            "agents": tuple(m.name for m in members),
            "interaction": interaction,
            "final_interaction": bool(final_interaction),
            "coordinates": None if coordinates is None else numbers(coordinates, "coordinates"),
            "name": name,
            "picture": picture,
            "source": source,
        }
        self._set(values)
        _check_names(self)
        checked = tuple(_checked_kind(self, kind) for kind in self.kinds)
        self._set({"kinds": checked})
        own_rewards, own_finals = _members_rewards(self)
        self._set(
            {
                "rewards": own_rewards,
                "final_rewards": own_finals,
                "starts": tuple(_start(self, m) for m in self.members),
                "goals": tuple(None if m.goal is None else _goal(self, m) for m in self.members),
                "kind_weights": _square(kind_weights, "kind_weights", [k.name for k in self.kinds])
                if kind_weights is not None
                else frozen(np.ones((len(checked), len(checked)))),
                "agent_weights": None
                if agent_weights is None
                else _square(agent_weights, "agent_weights", list(self.agents)),
                "nearness": None if nearness is None else _nearness(nearness, self),
            }
        )
        if kind_weights is not None and agent_weights is not None:
            raise GameError("kind_weights and agent_weights: expected at most one of them: got both. Leave one out")
        if interaction is not None and (agent_weights is not None or nearness is not None or kind_weights is not None):
            raise GameError(
                "interaction: a function of your own replaces kind_weights, agent_weights and nearness: got both. "
                "Weigh inside the function"
            )
        _check_reachable(self)

    def _set(self, values: dict[str, object]) -> None:
        for field, value in values.items():
            object.__setattr__(self, field, value)  # the dataclass is frozen

    # ------------------------------------------------------------------ reading

    @property
    def number_of_agents(self) -> int:
        """Members listed; `count` is not looked at."""
        return len(self.members)

    @property
    def number_of_cells(self) -> int:
        """N."""
        return len(self.cells)

    @property
    def population(self) -> int:
        """M: everyone, each of a `count` for one."""
        return sum(m.count for m in self.members)

    @property
    def actions(self) -> tuple[tuple[str, ...], ...]:
        """Action labels per member."""
        return tuple(self.kinds[k].actions for k in self.kind_numbers)

    @cached_property
    def kind_numbers(self) -> tuple[int, ...]:
        """Per member, which kind it is."""
        number = {kind.name: k for k, kind in enumerate(self.kinds)}
        return tuple(number[m.kind] for m in self.members)

    def kind_of(self, agent: str | int) -> Kind:
        """Return the kind of an agent given by name or number."""
        return self.kinds[self.kind_numbers[self.agent_index(agent)]]

    def agent_index(self, agent: str | int) -> int:
        """Return the number of an agent given by name or number."""
        if isinstance(agent, str):
            if agent not in self.agents:
                raise GameError(f"no agent {agent!r}: this game has {_listed(self.agents)}")
            return self.agents.index(agent)
        if not 0 <= agent < len(self.agents):
            raise GameError(f"no agent {agent}: this game has {len(self.agents)}, counted from 0")
        return operator.index(agent)

    def cell_index(self, cell: int | str) -> int:
        """Return the number of a cell given by label or number."""
        return _cell(self, cell, "cell")

    def start(self, agent: str | int) -> np.ndarray:
        """Return where an agent starts, as a distribution (n,)."""
        where, chances = self.starts[self.agent_index(agent)]
        full = np.zeros(self.number_of_cells)
        np.add.at(full, where, chances)
        return full

    @cached_property
    def _cell_numbers(self) -> dict[str, int]:
        return {label: k for k, label in enumerate(self.cells)}

    def __repr__(self) -> str:
        kinds = ", ".join(
            f"{sum(m.count for m in self.members if m.kind == kind.name)} {kind.name}" for kind in self.kinds
        )
        return f"<CrowdGame {self.name or 'unnamed'}: {self.number_of_cells} cells; {kinds}>"


def felt(game: CrowdGame) -> np.ndarray:
    """W: what each member feels of each other one, per unit of its presence, (members, members)."""
    if game.agent_weights is not None:
        return game.agent_weights
    kinds = np.array(game.kind_numbers)
    return game.kind_weights[np.ix_(kinds, kinds)] * np.array([m.weight for m in game.members])


def decisions(game: CrowdGame, agent: int, horizon: int) -> int:
    """How many decisions a member makes in a game of `horizon`."""
    own = game.members[agent].horizon
    return horizon if own is None else min(int(own), horizon)


def resting(game: CrowdGame, agent: int) -> np.ndarray:
    """What stands for staying where nothing is chosen any more, booleans (n, A): an action that stays, or the first."""
    kind = game.kind_of(agent)
    own = np.arange(game.number_of_cells)[:, None, None]
    stays = kind.legal & ((kind.successors == own) | (kind.probabilities == 0)).all(axis=2)
    which = np.where(stays.any(axis=1, keepdims=True), stays, kind.legal).argmax(axis=1)
    return (np.arange(kind.legal.shape[1]) == which[:, None]) & kind.legal


def legal_of(game: CrowdGame, agent: int) -> np.ndarray:
    """Legal actions of a member, (n, A): at its goal only the one that stays there, or the first where none does."""
    kind, goal = game.kind_of(agent), game.goals[agent]
    if goal is None:
        return kind.legal
    legal = kind.legal.copy()
    legal[goal] = resting(game, agent)[goal]
    return legal


# ---------------------------------------------------------------------- checking


def _listed(labels: Sequence[str]) -> str:
    return ", ".join(labels[:20]) + (f" ... ({len(labels)} in all)" if len(labels) > 20 else "")


def _array(given: Any, what: str) -> np.ndarray:
    try:
        return np.array(given)
    except (TypeError, ValueError) as error:
        raise GameError(
            f"{what}: expected an array: got {type(given).__name__} ({error}). Make every row as long"
        ) from None


def _entries(given: Any, wanted: type, what: str) -> tuple[Any, ...]:
    """A tuple of kinds or members, whose names are texts."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise GameError(f"{what}: expected a list of {wanted.__name__}: got {type(given).__name__}. Make it a list")
    for k, entry in enumerate(given):
        if not isinstance(entry, wanted):
            raise GameError(f"{what}[{k}]: expected a {wanted.__name__}: got {entry!r}")
        name = getattr(entry, "name", None)
        if not isinstance(name, str):
            raise GameError(f"{what}[{k}]: name: expected a text: got {name!r}")
    return tuple(given)


def _rewards(given: ArrayLike, what: str) -> np.ndarray:
    """(n, A) or (n, 1), from (n, A) or (n,)."""
    array = numbers(given, what)
    return array[:, None] if array.ndim == 1 else array


def _check_names(game: CrowdGame) -> None:
    if not game.kinds:
        raise GameError("kinds: expected at least one: got none. Say how agents move")
    if not game.members:
        raise GameError("members: expected at least one: got none. Put someone on the map")
    check_distinct("kinds", tuple(kind.name for kind in game.kinds))
    check_distinct("members", game.agents)
    known = {kind.name for kind in game.kinds}
    for member in game.members:
        if not isinstance(member.kind, str):
            raise GameError(
                f"member {member.name!r}: kind: expected the name of a kind ({_listed(sorted(known))}): got a "
                f"{type(member.kind).__name__}"
            )
        if member.kind not in known:
            raise GameError(
                f"member {member.name!r}: no kind {member.kind!r}: expected one of {_listed(sorted(known))}"
            )
        if not isinstance(member.present_at_goal, (bool, np.bool_)):
            raise GameError(
                f"member {member.name!r}: present_at_goal: expected True or False: got {member.present_at_goal!r}"
            )
        if isinstance(member.count, bool) or not isinstance(member.count, (int, np.integer)) or member.count < 1:
            raise GameError(f"member {member.name!r}: count: expected a whole number, at least 1: got {member.count!r}")
        if member.count > MOST:
            raise GameError(f"member {member.name!r}: count: expected at most {MOST:,}: got a larger number")
        if member.horizon is not None and (
            isinstance(member.horizon, bool) or not isinstance(member.horizon, (int, np.integer)) or member.horizon < 1
        ):
            raise GameError(
                f"member {member.name!r}: horizon: expected a whole number of decisions, at least 1, or None for the "
                f"game's: got {member.horizon!r}"
            )
        for what in ("weight", "goal_reward"):
            if not np.isscalar(getattr(member, what)) or isinstance(getattr(member, what), (str, bytes, complex)):
                raise GameError(f"member {member.name!r}: {what}: expected a number: got {getattr(member, what)!r}")
            if not math.isfinite(getattr(member, what)):
                raise GameError(
                    f"member {member.name!r}: {what}: expected a finite number: got {getattr(member, what)}"
                )
    positions, cells = game.coordinates, game.number_of_cells
    if positions is not None and (positions.shape != (cells, 2) or not np.isfinite(positions).all()):
        raise GameError(
            f"coordinates: expected finite numbers, shape ({cells}, 2), one (x, y) per cell: got shape "
            f"{positions.shape}. Give every cell its position, or leave them out"
        )


def _checked_kind(game: CrowdGame, kind: Kind) -> Kind:
    """Check a kind against the map; moves that are not legal stay where they are."""
    n, count = game.number_of_cells, len(kind.actions)
    what = f"kind {kind.name!r}"
    if not count:
        raise GameError(f"{what}: actions: expected at least one: got none. Who cannot move has 'stay'")
    check_distinct(f"{what}: actions", kind.actions)
    shapes = {
        "successors": (kind.successors.shape[:2], [(n, count)]),
        "probabilities": (kind.probabilities.shape, [kind.successors.shape]),
        "legal": (kind.legal.shape, [(n, count)]),
        "rewards": (kind.rewards.shape, [(n, 1), (n, count)]),
        "final_rewards": (kind.final_rewards.shape, [(n,)]),
    }
    for field, (found, expected) in shapes.items():
        if found not in expected:
            raise GameError(
                f"{what}: {field}: expected shape {' or '.join(map(str, expected))} for {n} cells and {count} actions: "
                f"got {found}"
            )
    legal = kind.legal
    if not legal.any():
        raise GameError(f"{what}: legal: expected a legal action somewhere: got none. Allow one, for example 'stay'")

    def where(row: tuple[int, ...]) -> str:
        return f"{what} at cell {game.cells[row[0]]} with {kind.actions[row[1]]}"

    remedy = "Correct the row, or forbid the action with legal="
    check_rows(kind.successors, kind.probabilities, n, legal, f"{what}: successors", where, remedy)
    inside = kind.successors.clip(0, n - 1)
    into = kind.walls[inside] & (kind.probabilities > 0) & legal[..., None]
    if into.any():
        row = first(into)
        raise GameError(
            f"{where(row[:2])}: leads to cell {game.cells[int(inside[row])]}, a wall: expected a cell where "
            f"some action is legal. {remedy}, or allow one there, for example 'stay'"
        )
    own = np.arange(n, dtype=np.int32)[:, None, None]
    rewards = _finite(kind.rewards, what, game, kind)
    final = _finite_final(kind.final_rewards, what, game, kind)
    certain = np.arange(kind.successors.shape[-1]) == 0
    checked = object.__new__(Kind)
    for field, value in {
        "name": kind.name,
        "actions": kind.actions,
        "successors": frozen(np.where(legal[..., None], kind.successors, own).astype(np.int32)),
        "probabilities": frozen(np.where(legal[..., None], kind.probabilities, certain)),
        "legal": legal,
        "rewards": rewards,
        "final_rewards": final,
    }.items():
        object.__setattr__(checked, field, value)
    return checked


def _finite(rewards: np.ndarray, what: str, game: CrowdGame, kind: Kind) -> np.ndarray:
    """Rewards, with 0 where nobody gets them; a `GameError` names the first that is not finite."""
    matters = kind.legal if rewards.shape[1] > 1 else kind.legal.any(axis=1, keepdims=True)
    bad = ~np.isfinite(rewards) & matters
    if bad.any():
        x, a = first(bad)
        played = f" with {kind.actions[a]}" if rewards.shape[1] > 1 else ""
        raise GameError(
            f"{what}: rewards at cell {game.cells[x]}{played}: expected a finite number: got {rewards[x, a]}. To "
            "forbid an action use legal="
        )
    return rewards if matters.all() else frozen(np.where(matters, rewards, 0.0))


def _finite_final(final: np.ndarray, what: str, game: CrowdGame, kind: Kind) -> np.ndarray:
    bad = ~np.isfinite(final) & ~kind.walls
    if bad.any():
        (x,) = first(bad)
        raise GameError(f"{what}: final_rewards at cell {game.cells[x]}: expected a finite number: got {final[x]}")
    return final if np.isfinite(final).all() else frozen(np.where(kind.walls, 0.0, final))


def _members_rewards(game: CrowdGame) -> tuple[tuple[np.ndarray, ...], tuple[np.ndarray, ...]]:
    """Rewards and final rewards per member; arrays that members share are kept once."""
    seen: dict[tuple[int, int, str], np.ndarray] = {}
    rewards, finals = [], []
    for member, k in zip(game.members, game.kind_numbers, strict=True):
        kind, what = game.kinds[k], f"member {member.name!r}"
        if member.rewards is None:
            rewards.append(kind.rewards)
        else:
            key = (id(member.rewards), k, "rewards")
            if key not in seen:
                array = _rewards(member.rewards, f"{what}: rewards")
                expected = [(game.number_of_cells, 1), kind.legal.shape]
                if array.shape not in expected:
                    raise GameError(
                        f"{what}: rewards: expected shape {expected[0]} or {expected[1]}: got {array.shape}"
                    )
                seen[key] = _finite(array, what, game, kind)
            rewards.append(seen[key])
        if member.final_rewards is None:
            finals.append(kind.final_rewards)
        else:
            key = (id(member.final_rewards), k, "final")
            if key not in seen:
                array = numbers(member.final_rewards, f"{what}: final_rewards")
                if array.shape != (game.number_of_cells,):
                    raise GameError(
                        f"{what}: final_rewards: expected shape ({game.number_of_cells},), one per cell: "
                        f"got {array.shape}"
                    )
                seen[key] = _finite_final(array, what, game, kind)
            finals.append(seen[key])
    return tuple(rewards), tuple(finals)


def _cell(game: CrowdGame, cell: object, what: str) -> int:
    if isinstance(cell, str):
        if cell not in game._cell_numbers:  # pyright: ignore[reportPrivateUsage]
            raise GameError(f"{what}: no cell {cell!r}: expected one of {_listed(game.cells)}")
        return game._cell_numbers[cell]  # pyright: ignore[reportPrivateUsage]
    if not isinstance(cell, (int, np.integer)) or isinstance(cell, bool):
        raise GameError(f"{what}: expected a cell, by its number or label: got {cell!r}")
    if not 0 <= cell < len(game.cells):
        raise GameError(f"{what}: {cell!r} is out of range: expected 0..{len(game.cells) - 1} or a label")
    return int(cell)


def _start(game: CrowdGame, member: Member) -> tuple[np.ndarray, np.ndarray]:
    """Cells and their probabilities."""
    what = f"member {member.name!r}: start"
    if isinstance(member.start, (int, str, np.integer)):
        where, chances = np.array([_cell(game, member.start, what)]), np.ones(1)
    else:
        full, n = numbers(member.start, what), game.number_of_cells
        if full.shape != (n,):
            raise GameError(
                f"{what}: expected a cell, or a distribution over the cells, shape ({n},): got {full.shape}"
            )
        bad = ~(full >= 0) | np.isinf(full)
        if bad.any():
            (x,) = first(bad)
            raise GameError(f"{what}: cell {game.cells[x]}: expected a probability >= 0: got {full[x]}")
        total = float(full.sum())
        if abs(total - 1) > PROBABILITY_TOLERANCE:
            raise GameError(f"{what}: the probabilities sum to {total!r}: expected 1. Divide by the sum")
        where = np.flatnonzero(full)
        chances = full[where]
    kind = game.kind_of(member.name)
    walls = where[kind.walls[where]]
    if walls.size:
        raise GameError(
            f"{what}: cell {game.cells[walls[0]]} is a wall for kind {kind.name!r} (no action is legal there): "
            "expected a cell where some action is. Start elsewhere, or allow an action there"
        )
    return frozen(where.astype(np.int32)), frozen(chances)


def _goal(game: CrowdGame, member: Member) -> int:
    goal = _cell(game, member.goal, f"member {member.name!r}: goal")
    kind = game.kind_of(member.name)
    if kind.walls[goal]:
        raise GameError(
            f"member {member.name!r}: goal: cell {game.cells[goal]} is a wall for kind {kind.name!r} (no action is "
            "legal there): expected a cell that it can enter"
        )
    return goal


def steps_to(kind: Kind, goal: int) -> np.ndarray:
    """Fewest moves from each cell to `goal` by legal actions, (n,); -1 where there is no way."""
    n = kind.legal.shape[0]
    links = kind.legal[..., None] & (kind.probabilities > 0)
    source = np.broadcast_to(np.arange(n)[:, None, None], links.shape)[links]
    target = kind.successors[links]
    steps = np.full(n, -1)
    steps[goal] = 0
    front = np.zeros(n, dtype=bool)
    front[goal] = True
    for step in range(1, n + 1):
        front_next = np.zeros(n, dtype=bool)
        front_next[source[front[target]]] = True
        front = front_next & (steps < 0)
        if not front.any():
            break
        steps[front] = step
    return steps


def reachable(kind: Kind, starts: np.ndarray, goal: int | None) -> np.ndarray:
    """Numbers of the cells that legal moves lead to from `starts`, where the goal is left no more."""
    links = (kind.probabilities > 0) & kind.legal[..., None]
    seen = np.zeros(kind.legal.shape[0], dtype=bool)
    seen[starts] = True
    front = seen
    while front.any():
        onward = front.copy()
        if goal is not None:
            onward[goal] = False  # whoever has arrived stays
        there = np.zeros_like(seen)
        there[kind.successors[onward][links[onward]]] = True
        front = there & ~seen
        seen = seen | there
    return np.flatnonzero(seen)


def _check_reachable(game: CrowdGame) -> None:
    known: dict[tuple[int, int], np.ndarray] = {}
    for member, k, goal, (where, _) in zip(game.members, game.kind_numbers, game.goals, game.starts, strict=True):
        if goal is None:
            continue
        if (k, goal) not in known:
            known[k, goal] = steps_to(game.kinds[k], goal)
        lost = where[known[k, goal][where] < 0]
        if lost.size:
            raise GameError(
                f"member {member.name!r}: goal {game.cells[goal]} cannot be reached from its start "
                f"{game.cells[lost[0]]} by legal moves of kind {member.kind!r}: expected a way. Move the goal or the "
                "start, or open a way"
            )


def _square(given: ArrayLike, what: str, order: Sequence[str]) -> np.ndarray:
    array = numbers(given, what)
    if array.shape != (len(order), len(order)):
        raise GameError(
            f"{what}: expected shape ({len(order)}, {len(order)}), who feels by who is felt, in the order "
            f"{_listed(order)}: got {array.shape}"
        )
    if not np.isfinite(array).all():
        i, j = first(~np.isfinite(array))
        raise GameError(f"{what}: what {order[i]} feels of {order[j]}: expected a finite number: got {array[i, j]}")
    return array


def _nearness(given: Any, game: CrowdGame) -> tuple[np.ndarray, np.ndarray]:
    """Cells that count at each cell, and how much, padded with weight 0 to one width."""
    n = game.number_of_cells
    if isinstance(given, tuple):
        if len(given) != 2:
            raise GameError(f"nearness: expected a matrix, or the pair (cells, weights): got a tuple of {len(given)}")
        cells, weights = _array(given[0], "nearness[0]"), numbers(given[1], "nearness[1]")
        good = cells.ndim == 2 and cells.shape == weights.shape and cells.shape[0] == n and cells.shape[1] > 0
        if not np.issubdtype(cells.dtype, np.integer):
            raise GameError(f"nearness: expected cells to be integers: got dtype {cells.dtype}. Give numbers of cells")
        if not good or (cells < 0).any() or (cells >= n).any() or not np.isfinite(weights).all():
            raise GameError(
                f"nearness: expected cells 0..{n - 1} and finite weights, both of shape ({n}, K): got shapes "
                f"{cells.shape} and {weights.shape}"
            )
        return frozen(cells.astype(np.int32)), weights
    shape = _array(given, "nearness").shape if not hasattr(given, "tocoo") else given.shape
    if shape != (n, n):
        raise GameError(f"nearness: expected shape ({n}, {n}), here by there: got {shape}")
    if hasattr(given, "tocoo"):
        entries = given.tocoo()
        row, column, weight = entries.row, entries.col, numbers(entries.data, "nearness")
    else:
        dense = numbers(given, "nearness")
        row, column = np.nonzero(dense)
        weight = dense[row, column]
    if not np.isfinite(weight).all():
        bad = first(~np.isfinite(weight))
        raise GameError(
            f"nearness of cell {game.cells[int(column[bad])]} at cell {game.cells[int(row[bad])]}: expected a finite "
            f"number: got {weight[bad]}"
        )
    order = np.argsort(row, kind="stable")
    row, column, weight = row[order], column[order], weight[order]
    filled = np.bincount(row, minlength=n)
    width = max(1, int(filled.max(initial=0)))
    place = np.arange(row.size) - np.repeat(np.cumsum(filled) - filled, filled)
    cells, weights = np.zeros((n, width), dtype=np.int32), np.zeros((n, width))
    cells[row, place], weights[row, place] = column, weight
    return frozen(cells), frozen(weights)
