"""What is played: a Markov game with a finite joint state, checked once and never changed.

A game is a tuple (states, legal actions, P, R_1..R_M, R_{1,F}..R_{M,F}, start) as in Section 3 of
Etesami & Straehle (2020). The state is either a *product* of one coordinate per agent, axes
(n_1, ..., n_M), or one general axis (S,). Arrays have states first and actions last; an axis of
length 1 means "does not depend on this".
"""

from __future__ import annotations

import math
import operator
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from quantal.dynamics import PROBABILITY_TOLERANCE, Coupled, Dynamics, Independent, check_rows
from quantal.errors import GameError, TooLargeError


@dataclass(frozen=True, eq=False, init=False)
class MarkovGame:
    """A finite Markov game of M agents; every array is copied, validated and made read-only.

    Attributes
    ----------
    state_shape
        Lengths of the state axes: (n_1, ..., n_M) for a product state, (S,) for a general one.
    rewards
        R_i(x, a) per agent, (*states, A_1, ..., A_M); any axis may have length 1. Cells that no
        legal play reaches may hold anything, NaN too; they are kept as 0.
    dynamics
        `Independent` (product states only) or `Coupled`. Rows of illegal actions may hold anything;
        they are kept as staying, for certain.
    actions
        Action labels per agent.
    agents
        Agent names.
    final_rewards
        R_{i,F}(x) per agent, (*states); used by finite horizons only. Zero unless given.
    legal
        Which actions agent i may choose at x: booleans (*states, A_i), state axes of length 1
        allowed. All unless given.
    start
        Distribution of the first state, (*states). Uniform unless given.
    state_labels
        Per state axis, a label for each index; numbers unless given.
    coordinates
        Per state axis, an (n, 2) array of positions (x to the right, y downwards) for pictures;
        optional.
    name, picture
        What to call the game, and its map as text; both for people.

    Raises
    ------
    GameError
        If anything is inconsistent; the message names the place, what was expected, what was found
        and what to do.
    """

    state_shape: tuple[int, ...]
    rewards: tuple[np.ndarray, ...]
    dynamics: Dynamics
    actions: tuple[tuple[str, ...], ...]
    agents: tuple[str, ...]
    final_rewards: tuple[np.ndarray, ...]
    legal: tuple[np.ndarray, ...]
    start: np.ndarray
    state_labels: tuple[tuple[str, ...], ...]
    coordinates: tuple[np.ndarray, ...]
    name: str
    picture: str

    def __init__(
        self,
        *,
        state_shape: Sequence[int],
        rewards: Sequence[ArrayLike],
        dynamics: Dynamics,
        actions: Sequence[Sequence[str]],
        agents: Sequence[str],
        final_rewards: Sequence[ArrayLike] = (),
        legal: Sequence[ArrayLike] = (),
        start: ArrayLike | None = None,
        state_labels: Sequence[Sequence[str]] = (),
        coordinates: Sequence[ArrayLike] = (),
        name: str = "",
        picture: str = "",
    ) -> None:
        shape = _lengths(state_shape)
        names, labels = labels_of(agents, "agents"), _each(actions, "actions")
        ones = (1,) * len(shape)
        final_rewards = listed(final_rewards, "final_rewards", "one array per agent")
        legal = listed(legal, "legal", "one mask per agent")
        if not len(final_rewards):
            final_rewards = [np.zeros(ones)] * len(names)
        if not len(legal):
            legal = [np.ones((*ones, len(own))) for own in labels]
        if not len(state_labels):
            state_labels = _default_actions(shape)
        values: dict[str, object] = {
            "state_shape": shape,
            "rewards": _each_numbers(rewards, "rewards"),
            "dynamics": dynamics,
            "actions": labels,
            "agents": names,
            "final_rewards": _each_numbers(final_rewards, "final_rewards"),
            "legal": tuple(booleans(mask, f"legal[{i}]") for i, mask in enumerate(legal)),
            # Uniform as a view of one number: millions of states cost nothing.
            "start": np.broadcast_to(np.float64(1 / math.prod(shape)), shape)
            if start is None
            else numbers(start, "start"),
            "state_labels": _each(state_labels, "state_labels"),
            "coordinates": _each_numbers(coordinates, "coordinates"),
            "name": name,
            "picture": picture,
        }
        for field, value in values.items():
            object.__setattr__(self, field, value)  # the dataclass is frozen
        _check_names(self)
        _check_legal(self)
        object.__setattr__(self, "rewards", _checked_rewards(self))
        _check_final_rewards(self)
        if start is not None:
            _check_start(self)
        object.__setattr__(self, "dynamics", _checked_dynamics(self))

    # ------------------------------------------------------------------ builders

    @staticmethod
    def from_arrays(
        rewards: Sequence[ArrayLike],
        transitions: ArrayLike | Coupled,
        *,
        legal: Sequence[ArrayLike] | None = None,
        agents: Sequence[str] | None = None,
        actions: Sequence[Sequence[str]] | None = None,
        final_rewards: Sequence[ArrayLike] | None = None,
        start: ArrayLike | None = None,
        state_labels: Sequence[str] | None = None,
        name: str = "",
    ) -> MarkovGame:
        """Make a game with one general state axis from plain arrays.

        Parameters
        ----------
        rewards
            M arrays (S, A_1, ..., A_M); axes of length 1 are allowed.
        transitions
            P(x' | x, a) as an array (S, A_1, ..., A_M, S), or a `Coupled`.
        legal
            M boolean arrays (S, A_i).
        agents, actions, final_rewards, start, state_labels, name
            As the attributes of `MarkovGame`; final rewards are M arrays (S,), start is (S,).

        Raises
        ------
        GameError
            If anything is inconsistent.
        """
        if isinstance(transitions, Independent):
            raise GameError(
                "transitions: from_arrays makes games with one general state axis: got Independent "
                "moves, which need one axis per agent. Call MarkovGame(...) instead"
            )
        rewards = listed(rewards, "rewards", "one array per agent")
        given = () if legal is None else listed(legal, "legal", "one mask per agent")
        masks = tuple(booleans(m, f"legal[{i}]") for i, m in enumerate(given))
        if isinstance(transitions, Coupled):
            table = transitions.successors
            dynamics = transitions
        else:
            table = _checked_dense(transitions, masks, agents)
            dynamics = Coupled.from_dense(table, table.shape[0])
        counts = table.shape[1:-1]
        if len(rewards) != len(counts):
            raise GameError(
                f"rewards: expected {len(counts)} arrays, one per action axis of the transitions "
                f"{table.shape}: got {len(rewards)}. Give one reward array for each agent"
            )
        return MarkovGame(
            state_shape=table.shape[:1],
            rewards=rewards,
            dynamics=dynamics,
            actions=_default_actions(counts) if actions is None else actions,
            agents=_default_agents(len(counts)) if agents is None else agents,
            final_rewards=() if final_rewards is None else final_rewards,
            legal=masks,
            start=start,
            state_labels=() if state_labels is None else (state_labels,),
            name=name,
        )

    @staticmethod
    def normal_form(
        payoffs: Sequence[ArrayLike],
        *,
        agents: Sequence[str] | None = None,
        actions: Sequence[Sequence[str]] | None = None,
        name: str = "",
        picture: str = "",
    ) -> MarkovGame:
        """Make a one-shot game: one state, left at once for itself (discount 0).

        Parameters
        ----------
        payoffs
            M arrays (A_1, ..., A_M).
        agents, actions, name, picture
            As the attributes of `MarkovGame`.

        Raises
        ------
        GameError
            If the arrays disagree or hold numbers that are not finite.
        """
        each = listed(payoffs, "payoffs", "one array per agent")
        arrays = tuple(numbers(p, f"payoffs[{i}]") for i, p in enumerate(each))
        if not arrays:
            raise GameError("payoffs: expected one array per agent: got none. Give at least one")
        counts = arrays[0].shape
        for i, array in enumerate(arrays):
            if array.shape != counts or array.ndim != len(arrays):
                raise GameError(
                    f"payoffs[{i}]: expected {len(arrays)} axes, one per agent, of the lengths of "
                    f"payoffs[0] {counts}: got {array.shape}. Give every agent a payoff for every "
                    "joint action"
                )
            if not array.size:
                raise GameError(
                    f"payoffs[{i}]: expected at least one action on every axis: got {array.shape}. "
                    "An agent that has nothing to choose has one action"
                )
        return MarkovGame(
            state_shape=(1,),
            rewards=tuple(array[None] for array in arrays),
            dynamics=Coupled(np.zeros((1, *counts, 1), dtype=np.int32)),
            actions=_default_actions(counts) if actions is None else actions,
            agents=_default_agents(len(counts)) if agents is None else agents,
            state_labels=(("play",),),
            name=name,
            picture=picture,
        )

    # ------------------------------------------------------------------ reading

    @property
    def number_of_agents(self) -> int:
        """M."""
        return len(self.agents)

    @property
    def number_of_states(self) -> int:
        """Joint states, the product of the state axes."""
        return math.prod(self.state_shape)

    @property
    def action_counts(self) -> tuple[int, ...]:
        """A_i per agent."""
        return tuple(len(labels) for labels in self.actions)

    @property
    def product(self) -> bool:
        """Whether every agent moves its own coordinate (`Independent` dynamics)."""
        return isinstance(self.dynamics, Independent)

    def agent_index(self, agent: str | int) -> int:
        """Return the number of an agent given by name or number."""
        if isinstance(agent, str):
            if agent not in self.agents:
                raise GameError(f"no agent {agent!r}: this game has {', '.join(self.agents)}")
            return self.agents.index(agent)
        if isinstance(agent, bool) or not hasattr(agent, "__index__"):
            raise GameError(f"no agent {agent!r}: expected a name ({', '.join(self.agents)}) or a number from 0")
        if not 0 <= agent < self.number_of_agents:
            raise GameError(f"no agent {agent}: this game has {self.number_of_agents}, counted from 0")
        return operator.index(agent)

    def state_index(self, state: Sequence[int | str] | int | str) -> tuple[int, ...]:
        """Return the index of a state given by numbers or labels, one per state axis."""
        parts = (state,) if isinstance(state, (int, str, np.integer)) else tuple(state)
        if len(parts) != len(self.state_shape):
            raise GameError(
                f"a state of this game has {len(self.state_shape)} coordinate(s): got {len(parts)}, {parts}"
            )
        index: list[int] = []
        for axis, part in enumerate(parts):
            labels = self.state_labels[axis]
            if isinstance(part, str):
                if part not in labels:
                    raise GameError(
                        f"state axis {axis}: no state {part!r}: expected one of "
                        f"{', '.join(labels[:20])}" + (f" ... ({len(labels)} in all)" if len(labels) > 20 else "")
                    )
                index.append(labels.index(part))
            elif isinstance(part, (int, np.integer)) and 0 <= part < len(labels):
                index.append(int(part))
            else:
                raise GameError(
                    f"state axis {axis}: {part!r} is out of range: expected 0..{len(labels) - 1} or a label"
                )
        return tuple(index)

    def state_name(self, index: Sequence[int]) -> str:
        """Name a joint state by its labels, for messages and tables."""
        return f"({', '.join(self.state_labels[axis][i] for axis, i in enumerate(index))})"

    @cached_property
    def absorbing(self) -> np.ndarray:
        """Which joint states are never left, whatever is (legally) played: booleans (*states)."""
        dims = len(self.state_shape)
        if isinstance(self.dynamics, Independent):
            joint = np.ones(self.state_shape, dtype=bool)
            pairs = zip(self.dynamics.successors, self.dynamics.probabilities, strict=True)
            for j, (successors, probabilities) in enumerate(pairs):
                own = np.arange(successors.shape[0])[:, None, None]
                leaves = ((successors != own) & (probabilities > 0)).any(axis=-1)  # (n_j, A_j)
                joint &= ~(_against(leaves, j, dims) & self.legal[j]).any(axis=-1)
        else:
            own = np.arange(self.number_of_states).reshape(self.state_shape + (1,) * (self.number_of_agents + 1))
            leaves = ((self.dynamics.successors != own) & (self.dynamics.probabilities > 0)).any(axis=-1)
            joint = ~(leaves & joint_legal(self)).any(axis=tuple(range(dims, leaves.ndim)))
        return frozen(joint)

    def __repr__(self) -> str:
        states = "x".join(str(n) for n in self.state_shape)
        actions = "x".join(str(a) for a in self.action_counts)
        agents = ", ".join(self.agents)
        what = f"agents {agents}; states {states}; actions {actions}"
        return f"<MarkovGame {self.name or 'unnamed'}: {what}>"


def joint_legal(game: MarkovGame) -> np.ndarray:
    """Which joint actions are legal: booleans (*states or 1, A_1, ..., A_M)."""
    agents, dims = game.number_of_agents, len(game.state_shape)
    joint = np.ones((1,) * (dims + agents), dtype=bool)
    for i, mask in enumerate(game.legal):
        shape = mask.shape[:-1] + tuple(mask.shape[-1] if j == i else 1 for j in range(agents))
        joint = joint & mask.reshape(shape)
    return joint


# ---------------------------------------------------------------------- normalising, then checking


def _default_agents(number: int) -> tuple[str, ...]:
    return tuple(f"agent{i + 1}" for i in range(number))


def _default_actions(counts: Sequence[int]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(str(a) for a in range(n)) for n in counts)


def _against(table: np.ndarray, axis: int, dims: int) -> np.ndarray:
    """Lay an own-coordinate table (n_j, ...) along the joint state axes: (1.., n_j, ..1, ...)."""
    return table.reshape((1,) * axis + table.shape[:1] + (1,) * (dims - axis - 1) + table.shape[1:])


def frozen(array: np.ndarray) -> np.ndarray:
    """Make an array read-only, in place."""
    array.setflags(write=False)
    return array


def first(bad: np.ndarray | np.bool_) -> tuple[int, ...]:
    """Index of the first true cell."""
    bad = np.asarray(bad)
    return tuple(int(k) for k in np.unravel_index(int(bad.argmax()), bad.shape))


def numbers(array: ArrayLike, what: str) -> np.ndarray:
    """Copy to float64, read-only."""
    if getattr(getattr(array, "dtype", None), "kind", "") == "c":
        raise GameError(f"{what}: expected real numbers: got complex ones. Take the real part")
    try:
        return frozen(np.array(array, dtype=np.float64, order="C"))
    except (TypeError, ValueError) as error:
        raise GameError(
            f"{what}: expected an array of numbers: got {type(array).__name__} ({error}). "
            "Make every row the same length and every entry a number"
        ) from error


def _each_numbers(arrays: Sequence[ArrayLike], what: str) -> tuple[np.ndarray, ...]:
    return tuple(numbers(array, f"{what}[{i}]") for i, array in enumerate(arrays))


def booleans(array: ArrayLike, what: str) -> np.ndarray:
    """Copy to booleans, read-only; 0 and 1 are understood."""
    if isinstance(array, np.ndarray) and array.dtype == bool:
        return frozen(array.copy(order="C"))
    found = numbers(array, what)
    odd = (found != 0) & (found != 1)
    if odd.any():
        index = first(odd)
        raise GameError(
            f"{what}: expected booleans (or 0 and 1): got {found[index]} at index {index}. "
            "Compare first, for example mask > 0"
        )
    return frozen(found.astype(bool))


def listed(given: Any, what: str, expected: str) -> list[Any]:
    """What is given, as a list; a number or None is none."""
    try:
        return list(given)
    except TypeError as error:
        raise GameError(f"{what}: expected {expected}: got {given!r}. Make it a list") from error


def labels_of(names: Sequence[object], what: str) -> tuple[str, ...]:
    """Names as text; one string is not a sequence of names."""
    if isinstance(names, str):
        raise GameError(f"{what}: expected a sequence of names: got the string {names!r}. Make it a list")
    return tuple(str(name) for name in listed(names, what, "a sequence of names"))


def _each(lists: Sequence[Sequence[object]], what: str) -> tuple[tuple[str, ...], ...]:
    if isinstance(lists, str):
        raise GameError(f"{what}: expected one list of names each: got the string {lists!r}. Make it a list of lists")
    lists = listed(lists, what, "one list of names each")
    return tuple(labels_of(names, f"{what}[{i}]") for i, names in enumerate(lists))


def _lengths(shape: Sequence[Any]) -> tuple[int, ...]:
    try:
        lengths = tuple(operator.index(n) for n in shape)
    except TypeError as error:
        raise GameError(
            f"state_shape: expected whole numbers, one per state axis, for example (9, 9): got {shape!r}"
        ) from error
    if not lengths or min(lengths) < 1:
        raise GameError(
            f"state_shape: expected at least one axis, each of length >= 1: got {lengths}. "
            "A game without states to tell apart has state_shape=(1,)"
        )
    if 8 * math.prod(lengths) > sys.maxsize:
        raise TooLargeError(
            f"state_shape {lengths} has {math.prod(lengths):.3g} joint states: expected at most "
            f"{sys.maxsize / 8:.3g}, what an array can index. Use fewer agents or fewer states"
        )
    return lengths


def _check_names(game: MarkovGame) -> None:
    agents = game.number_of_agents
    if agents == 0:
        raise GameError("agents: expected at least one: got none. Name them, for example ('row',)")
    for what, given in (
        ("actions", len(game.actions)),
        ("rewards", len(game.rewards)),
        ("final_rewards", len(game.final_rewards)),
        ("legal", len(game.legal)),
    ):
        if given != agents:
            raise GameError(
                f"{what}: expected {agents} entries, one per agent ({', '.join(game.agents)}): "
                f"got {given}. Give one entry for each agent, in this order"
            )
    axes = len(game.state_shape)
    if len(game.state_labels) != axes:
        raise GameError(
            f"state_labels: expected {axes} lists, one per state axis: got "
            f"{len(game.state_labels)}. Give one list per axis, or leave them out"
        )
    check_distinct("agents", game.agents)
    for agent, names in zip(game.agents, game.actions, strict=True):
        if not names:
            raise GameError(
                f"actions of agent {agent}: expected at least one: got none. "
                "An agent that has nothing to choose has one action, for example 'stay'"
            )
        check_distinct(f"actions of agent {agent}", names)
    for axis, names in enumerate(game.state_labels):
        if len(names) != game.state_shape[axis]:
            raise GameError(
                f"state_labels[{axis}]: expected {game.state_shape[axis]} labels, one per state: "
                f"got {len(names)}. Give each state one, or leave them out"
            )
        check_distinct(f"state_labels[{axis}]", names)
    expected = [(n, 2) for n in game.state_shape]
    found = [c.shape for c in game.coordinates]
    if found and found != expected:
        raise GameError(
            f"coordinates: expected shapes {expected}, one (x, y) per state of each axis: got "
            f"{found}. Give every axis its positions, or leave them out"
        )
    for axis, positions in enumerate(game.coordinates):
        if not np.isfinite(positions).all():
            index = first(~np.isfinite(positions))
            raise GameError(
                f"coordinates[{axis}]: state {game.state_labels[axis][index[0]]}: got "
                f"{positions[index]}: expected a finite number. Give it a position"
            )


def check_distinct(what: str, names: tuple[str, ...]) -> None:
    """`GameError` names what occurs twice."""
    if len(set(names)) != len(names):
        twice = sorted(name for name, times in Counter(names).items() if times > 1)
        raise GameError(
            f"{what}: expected names that differ: got {', '.join(map(repr, twice))} more than once. Rename one"
        )


def _fits(shape: tuple[int, ...], full: tuple[int, ...]) -> bool:
    return len(shape) == len(full) and all(n in (1, m) for n, m in zip(shape, full, strict=True))


def _check_legal(game: MarkovGame) -> None:
    for i, mask in enumerate(game.legal):
        full = (*game.state_shape, game.action_counts[i])
        if not _fits(mask.shape, full) or mask.shape[-1] != full[-1]:
            raise GameError(
                f"legal[{i}]: agent {game.agents[i]}: expected shape {full} over (*states, own "
                f"actions): got {mask.shape}. State axes, not the action axis, may have length 1"
            )
        none = ~mask.any(axis=-1)
        if none.any():
            raise GameError(
                f"legal[{i}]: agent {game.agents[i]} has no legal action at state "
                f"{game.state_name(first(none))}: expected at least one of "
                f"{', '.join(game.actions[i])}. Allow one there, for example one that stays"
            )


def _place(game: MarkovGame, index: Sequence[int]) -> str:
    """Name the state and joint action of an index over (*states, A_1..A_M)."""
    dims = len(game.state_shape)
    played = (f"{game.agents[j]}={game.actions[j][a]}" for j, a in enumerate(index[dims:]))
    return f"state {game.state_name(index[:dims])}, joint action ({', '.join(played)})"


def _checked_rewards(game: MarkovGame) -> tuple[np.ndarray, ...]:
    full = game.state_shape + game.action_counts
    cleaned: list[np.ndarray] = []
    for i, reward in enumerate(game.rewards):
        if not _fits(reward.shape, full):
            named = ", ".join(
                f"{agent} {', '.join(names)}" for agent, names in zip(game.agents, game.actions, strict=True)
            )
            raise GameError(
                f"rewards[{i}]: agent {game.agents[i]}: expected shape {full} over (*states, "
                f"*actions): got {reward.shape}. An axis on which the reward does not depend may "
                f"have length 1. The actions that were named: {named}"
            )
        played = _somewhere_legal(game, reward.shape)
        bad = ~np.isfinite(reward) & played
        if bad.any():
            index = first(bad)
            raise GameError(
                f"rewards[{i}]: agent {game.agents[i]}, {_place(game, index)}: got "
                f"{reward[index]}: expected a finite number. To forbid an action use legal=, not "
                "an infinite reward"
            )
        # What is never played must neither poison sums (0 * NaN) nor enter the norms of Theorems 1
        # and 2.
        cleaned.append(reward if played.all() else frozen(np.where(played, reward, 0.0)))
    return tuple(cleaned)


def _check_final_rewards(game: MarkovGame) -> None:
    for i, reward in enumerate(game.final_rewards):
        if not _fits(reward.shape, game.state_shape):
            raise GameError(
                f"final_rewards[{i}]: agent {game.agents[i]}: expected shape {game.state_shape}: "
                f"got {reward.shape}. They depend on the state only; axes may have length 1"
            )
        bad = ~np.isfinite(reward)
        if bad.any():
            index = first(bad)
            raise GameError(
                f"final_rewards[{i}]: agent {game.agents[i]}, state {game.state_name(index)}: "
                f"got {reward[index]}: expected a finite number. Use 0 where nothing is paid"
            )


def _somewhere_legal(game: MarkovGame, shape: tuple[int, ...]) -> np.ndarray:
    """Whether a cell of an array with length-1 axes stands for any legal joint action."""
    dims = len(game.state_shape)
    legal = np.ones((1,) * len(shape), dtype=bool)
    for i, mask in enumerate(game.legal):
        # On an action axis of length 1 some action is legal everywhere; a full mask changes
        # nothing.
        if shape[dims + i] > 1 and not mask.all():
            own = tuple(mask.shape[-1] if j == i else 1 for j in range(game.number_of_agents))
            legal = legal & mask.reshape(mask.shape[:-1] + own)
    collapsed = tuple(k for k, n in enumerate(shape) if n == 1 and legal.shape[k] > 1)
    return np.broadcast_to(legal.any(axis=collapsed, keepdims=True), shape)


def _check_start(game: MarkovGame) -> None:
    start = game.start
    if start.shape != game.state_shape:
        raise GameError(
            f"start: expected a distribution over the states, shape {game.state_shape}: got "
            f"{start.shape}. Leave it out to start anywhere"
        )
    bad = ~np.isfinite(start) | (start < 0)
    if bad.any():
        index = first(bad)
        raise GameError(
            f"start: state {game.state_name(index)}: got {start[index]}: expected a probability >= "
            "0. Use 0 where play cannot start"
        )
    total = float(start.sum())
    if abs(total - 1) > PROBABILITY_TOLERANCE:
        raise GameError(f"start: the probabilities sum to {total!r}: expected 1. Divide by the sum")


def _checked_dynamics(game: MarkovGame) -> Dynamics:
    if isinstance(game.dynamics, Independent):
        return _checked_independent(game, game.dynamics)
    if isinstance(game.dynamics, Coupled):
        return _checked_coupled(game, game.dynamics)
    raise GameError(
        f"dynamics: expected Independent or Coupled: got {type(game.dynamics).__name__}. "
        "For an array of transition probabilities call MarkovGame.from_arrays"
    )


_ROW_REMEDY = "Correct the row, or forbid the action with legal="


def _checked_coupled(game: MarkovGame, dynamics: Coupled) -> Coupled:
    full = game.state_shape + game.action_counts
    successors, probabilities = dynamics.successors, dynamics.probabilities
    if successors.shape[:-1] != full or probabilities.shape != successors.shape:
        raise GameError(
            f"dynamics: expected successors and probabilities of shape (*states, *actions, B) = "
            f"{_open_shape(full)}: got {successors.shape} and {probabilities.shape}. Every joint "
            "action needs a row; pad short rows with probability 0"
        )
    matters = joint_legal(game)
    check_rows(
        successors,
        probabilities,
        game.number_of_states,
        matters,
        "dynamics",
        lambda row: f"dynamics at {_place(game, row)}",
        _ROW_REMEDY,
    )
    own = np.arange(game.number_of_states).reshape(game.state_shape + (1,) * (game.number_of_agents + 1))
    return Coupled(*_harmless(successors, probabilities, matters, own))


def _checked_independent(game: MarkovGame, dynamics: Independent) -> Independent:
    agents = game.number_of_agents
    tables = (len(dynamics.successors), len(dynamics.probabilities))
    if tables != (agents, agents):
        raise GameError(
            f"dynamics: expected one table per agent ({agents}): got {tables[0]} of successors and "
            f"{tables[1]} of probabilities. Give every agent its own moves"
        )
    if len(game.state_shape) != agents:
        raise GameError(
            f"dynamics: Independent moves need one state axis per agent ({agents}): got "
            f"{len(game.state_shape)}, state_shape {game.state_shape}. Use Coupled for a general "
            "state"
        )
    harmless: list[tuple[np.ndarray, np.ndarray]] = []
    pairs = zip(dynamics.successors, dynamics.probabilities, strict=True)
    for j, (successors, probabilities) in enumerate(pairs):
        expected = (game.state_shape[j], game.action_counts[j])
        what = f"dynamics of agent {game.agents[j]}"
        if successors.shape[:-1] != expected or probabilities.shape != successors.shape:
            raise GameError(
                f"{what}: expected successors and probabilities of shape (own states, own actions, "
                f"B) = {_open_shape(expected)}: got {successors.shape} and {probabilities.shape}. "
                "Every action needs a row; pad short rows with probability 0"
            )

        def where(row: tuple[int, ...], j: int = j, what: str = what) -> str:
            return f"{what} from {game.state_labels[j][row[0]]} with {game.actions[j][row[1]]}"

        elsewhere = tuple(k for k in range(agents) if k != j)
        matters = np.broadcast_to(game.legal[j].any(axis=elsewhere), expected)
        check_rows(successors, probabilities, expected[0], matters, what, where, _ROW_REMEDY)
        own = np.arange(expected[0])[:, None, None]
        harmless.append(_harmless(successors, probabilities, matters, own))
    return Independent(tuple(s for s, _ in harmless), tuple(p for _, p in harmless))


def _open_shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))}, B)"


def _harmless(
    successors: np.ndarray,
    probabilities: np.ndarray,
    matters: np.ndarray,
    own: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Copy; make rows that are never played stay where they are (NaN would survive a weight of 0)."""
    keep = np.broadcast_to(matters, successors.shape[:-1])[..., None]
    kind = np.int32 if own.size < 2**31 else np.int64
    certain = np.arange(successors.shape[-1]) == 0
    return (
        frozen(np.where(keep, successors.astype(kind, copy=False), own.astype(kind))),
        frozen(np.where(keep, probabilities, certain)),
    )


def _checked_dense(transitions: ArrayLike, legal: tuple[np.ndarray, ...], agents: Sequence[str] | None) -> np.ndarray:
    """Check P(x' | x, a) as one array: what packing into successor lists would hide."""
    table = numbers(transitions, "transitions")
    if table.ndim < 3 or table.shape[0] != table.shape[-1]:
        raise GameError(
            "transitions: expected an array (S, A_1, ..., A_M, S), states first and last: got "
            f"shape {table.shape}. Bring the axes into this order, for example with np.moveaxis"
        )
    bad = ~np.isfinite(table)
    if bad.any():
        names = _default_agents(table.ndim - 2) if agents is None else tuple(agents)
        for i, mask in enumerate(legal[: table.ndim - 2]):
            own = tuple(mask.shape[-1] if j == i else 1 for j in range(table.ndim - 2))
            if _fits((*mask.shape[:1], *own), table.shape[:-1]):  # else a better message comes later
                bad = bad & mask.reshape((*mask.shape[:1], *own, 1))
        if bad.any():
            index = first(bad)
            played = ", ".join(f"{n}={a}" for n, a in zip(names, index[1:-1], strict=False))
            raise GameError(
                f"transitions at state {index[0]}, joint action ({played}), successor {index[-1]}: "
                f"got {table[index]}: expected a probability. {_ROW_REMEDY}"
            )
    return table
