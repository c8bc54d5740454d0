"""What was observed, checked against the game: how often everyone chose what, where and when.

Transitions do not depend on what agents want or on how precisely they choose, so the counts of actions per state (and
time, with a horizon) are all that a likelihood needs. Nothing is dropped: what cannot have been play of this game is an
error that names its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from quantal.crowds.game import CrowdGame, legal_of
from quantal.dynamics import Independent
from quantal.errors import ParameterError
from quantal.game import MarkovGame
from quantal.trajectories import Trajectories, first_illegal

Data = Trajectories | Sequence[Any]
"""Trajectories, or one array of counts per agent, (*states, A_i); with a horizon (T, *states, A_i)."""

CHUNK_ROWS = 2**18
"""Decisions whose transitions are looked up at a time."""


@dataclass(frozen=True, eq=False)
class Observed:
    """Counts per agent, (*states, A_i) or, with a horizon, (T, *states, A_i); of a crowd (T, n, A_i)."""

    counts: tuple[np.ndarray, ...]

    @property
    def choices(self) -> float:
        """How many choices were seen, everyone's together."""
        return float(sum(c.sum() for c in self.counts))

    @property
    def frequencies(self) -> tuple[np.ndarray, ...]:
        """Share of each action among an agent's choices in each place; NaN where it was never seen."""
        shares = []
        for counts in self.counts:
            total = counts.sum(axis=-1, keepdims=True)
            shares.append(np.where(total > 0, counts / np.where(total > 0, total, 1.0), np.nan))
        return tuple(shares)


def observed(game: MarkovGame | CrowdGame, data: Data, horizon: int | None, what: str = "data") -> Observed:
    """Check data and count.

    Parameters
    ----------
    game
        What is said to have been played.
    data
        Trajectories, or per agent an array of counts (see `Data`); for a game played once (A_i,) will do.
    horizon
        T, or None for stationary play.
    what
        What to call the data in messages.

    Raises
    ------
    ParameterError
        If the data are empty, of another game, or impossible in this one; names the episode and time, or the agent,
        state and action.
    """
    if isinstance(data, Trajectories):
        counts = _of_trajectories(game, data, horizon, what)
    elif isinstance(data, (list, tuple)):
        counts = _of_counts(game, data, horizon, what)
    else:
        raise ParameterError(
            f"{what}: expected Trajectories, or one array of counts per agent: got {type(data).__name__}"
        )
    if not sum(float(c.sum()) for c in counts) > 0:
        raise ParameterError(f"{what}: expected at least one observed choice: got none")
    return Observed(tuple(_frozen(c) for c in counts))


def _frozen(array: np.ndarray) -> np.ndarray:
    array.setflags(write=False)
    return array


# ---------------------------------------------------------------------- counts


def _of_counts(
    game: MarkovGame | CrowdGame, data: Sequence[Any], horizon: int | None, what: str
) -> tuple[np.ndarray, ...]:
    if len(data) != game.number_of_agents:
        raise ParameterError(
            f"{what}: expected one array of counts for each of {', '.join(game.agents)}: got {len(data)}"
        )
    return tuple(
        _checked_counts(game, i, given, horizon, f"{what} of {game.agents[i]}") for i, given in enumerate(data)
    )


def _checked_counts(game: MarkovGame | CrowdGame, i: int, given: Any, horizon: int | None, what: str) -> np.ndarray:
    try:
        counts = np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{what}: expected an array of counts: got {type(given).__name__} ({error})") from error
    where = (game.number_of_cells,) if isinstance(game, CrowdGame) else game.state_shape
    width = len(game.actions[i])
    lead = () if horizon is None else (horizon,)
    full = (*lead, *where, width)
    if counts.shape == (width,) and int(np.prod(full[:-1])) == 1:
        counts = counts.reshape(full)
    if counts.shape != full:
        axes = ("time, " if lead else "") + ("cells" if isinstance(game, CrowdGame) else "states")
        raise ParameterError(f"{what}: expected shape {full} ({axes}, actions): got {counts.shape}")

    def place(index: np.ndarray) -> str:
        when = f"time {index[0]}, " if lead else ""
        at = tuple(int(k) for k in index[len(lead) : -1])
        state = game.cells[at[0]] if isinstance(game, CrowdGame) else game.state_name(at)
        return f"{what}, {when}state {state}, action {game.actions[i][int(index[-1])]!r}"

    wrong = ~np.isfinite(counts) | (counts < 0)
    if wrong.any():
        index = np.argwhere(wrong)[0]
        raise ParameterError(f"{place(index)}: expected a count, finite and at least 0: got {counts[tuple(index)]}")
    legal = legal_of(game, i) if isinstance(game, CrowdGame) else np.broadcast_to(game.legal[i], (*where, width))
    wrong = (counts > 0) & ~legal
    if wrong.any():
        index = np.argwhere(wrong)[0]
        raise ParameterError(
            f"{place(index)}: this action is illegal there: expected a count of 0: got {counts[tuple(index)]:g}"
        )
    return counts


# ---------------------------------------------------------------------- trajectories


def _of_trajectories(
    game: MarkovGame | CrowdGame, data: Trajectories, horizon: int | None, what: str
) -> tuple[np.ndarray, ...]:
    steps = data.actions.shape[1]
    played = np.arange(steps) < data.lengths[:, None]
    if not played.any():
        raise ParameterError(f"{what}: expected at least one decision: got {len(data)} episodes without any")
    if horizon is not None and (data.lengths > horizon).any():
        episode = int((data.lengths > horizon).argmax())
        raise ParameterError(
            f"{what}: episode {episode} has {data.lengths[episode]} decisions: expected at most horizon={horizon}. "
            "Give the horizon that was played"
        )
    if isinstance(game, CrowdGame):
        return _crowd_counts(game, data, horizon, played, what)
    counts = data.counts(game, by_time=horizon is not None)  # checks agents, states and actions
    _check_play(game, data, played, what)
    found = [c.astype(np.float64) for c in counts]
    if horizon is not None:
        found = [np.concatenate([c, np.zeros((horizon - steps, *c.shape[1:]))])[:horizon] for c in found]
    return tuple(found)


def _check_play(game: MarkovGame, data: Trajectories, played: np.ndarray, what: str) -> None:
    """Every action legal, every transition possible, each checked where it was observed."""
    episodes, times = np.nonzero(played)
    for first in range(0, episodes.size, CHUNK_ROWS):
        episode, time = episodes[first : first + CHUNK_ROWS], times[first : first + CHUNK_ROWS]
        states = data.states[episode, time].astype(np.int64)
        actions = data.actions[episode, time].astype(np.int64)
        after = data.states[episode, time + 1].astype(np.int64)
        bad = first_illegal(game, states, actions)
        if bad is not None:
            row, message = bad
            raise ParameterError(f"{what}: episode {episode[row]}, time {time[row]}: {message}")
        seen = (after >= 0).all(axis=-1)
        possible = np.ones(seen.size, dtype=bool)
        possible[seen] = _possible(game, states[seen], actions[seen], after[seen])
        if not possible.all():
            row = int((~possible).argmax())
            chosen = ", ".join(
                f"{agent} {labels[a]!r}"
                for agent, labels, a in zip(game.agents, game.actions, actions[row], strict=True)
            )
            here, there = (game.state_name(tuple(map(int, x[row]))) for x in (states, after))
            raise ParameterError(
                f"{what}: episode {episode[row]}, time {time[row]}: the state is {here}, the actions are {chosen}: "
                f"expected a successor that has a probability above 0: got {there}"
            )


def _possible(game: MarkovGame, states: np.ndarray, actions: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Whether P(after | states, actions) > 0, per row."""
    dynamics = game.dynamics
    if isinstance(dynamics, Independent):
        fine = np.ones(states.shape[0], dtype=bool)
        for j, (table, chances) in enumerate(zip(dynamics.successors, dynamics.probabilities, strict=True)):
            row = states[:, j], actions[:, j]
            fine &= ((table[row] == after[:, j, None]) & (chances[row] > 0)).any(axis=-1)
        return fine
    row = (*states.T, *actions.T)
    flat = np.asarray(np.ravel_multi_index(tuple(after.T), game.state_shape))
    return ((dynamics.successors[row] == flat[:, None]) & (dynamics.probabilities[row] > 0)).any(axis=-1)


def follows(
    game: MarkovGame | CrowdGame, state: Sequence[int], actions: Sequence[int], after: Sequence[int]
) -> tuple[str, ...]:
    """Agents that cannot come from this state to that one with these actions; all of them, where it is joint moves'."""
    lost = []
    if isinstance(game, MarkovGame) and not isinstance(game.dynamics, Independent):
        one = _possible(game, np.array([state]), np.array([actions]), np.array([after]))
        return () if one.all() else game.agents
    for i, (agent, x, a, y) in enumerate(zip(game.agents, state, actions, after, strict=True)):
        if isinstance(game, CrowdGame):
            table, chances, rests = game.kind_of(i).successors, game.kind_of(i).probabilities, x == game.goals[i]
        else:
            assert isinstance(game.dynamics, Independent)
            table, chances, rests = game.dynamics.successors[i], game.dynamics.probabilities[i], False
        reached = y == x if rests else bool(((table[x, a] == y) & (chances[x, a] > 0)).any())
        lost += [] if reached else [agent]
    return tuple(lost)


def numbered(game: MarkovGame | CrowdGame, data: Trajectories, what: str = "data") -> tuple[np.ndarray, np.ndarray]:
    """States and actions by the game's numbers: a crowd's data may list only some cells and actions, by label.

    Raises
    ------
    ParameterError
        If the data are of another game.
    """
    if data.agents != game.agents:
        raise ParameterError(f"{what}: expected play of {', '.join(game.agents)}: got play of {', '.join(data.agents)}")
    if isinstance(game, MarkovGame):
        if data.state_labels != game.state_labels or data.action_labels != game.actions:
            raise ParameterError(f"{what}: expected the states and actions of this game: got those of another one")
        return data.states.astype(np.int64), data.actions.astype(np.int64)
    if len(data.axes) != len(game.agents):
        raise ParameterError(
            f"{what}: expected a state axis for each of {', '.join(game.agents)}: got {', '.join(data.axes)}"
        )
    places = [_translated(labels, game.cells, "cell", what) for labels in data.state_labels]
    moves = [
        _translated(given, own, f"action of {agent}", what)
        for given, own, agent in zip(data.action_labels, game.actions, game.agents, strict=True)
    ]
    states = np.stack([place[data.states[..., i]] for i, place in enumerate(places)], axis=-1)
    actions = np.stack([move[data.actions[..., i]] for i, move in enumerate(moves)], axis=-1)
    return states, actions


def _translated(given: tuple[str, ...], known: tuple[str, ...], kind: str, what: str) -> np.ndarray:
    """Number of each label, and -1 for -1."""
    number = {label: k for k, label in enumerate(known)}
    for label in given:
        if label not in number:
            raise ParameterError(f"{what}: no {kind} {label!r}: expected one of {', '.join(known[:20])}")
    return np.array([*(number[label] for label in given), -1])


def _crowd_counts(
    game: CrowdGame, data: Trajectories, horizon: int | None, played: np.ndarray, what: str
) -> tuple[np.ndarray, ...]:
    """Counts (T, n, A_i); an agent that has arrived chooses nothing: that it stays is checked, and not counted."""
    assert horizon is not None
    states, actions = numbered(game, data, what)
    episode, time = np.nonzero(played)
    found = []
    for i, agent in enumerate(game.agents):
        kind, goal, legal = game.kind_of(i), game.goals[i], legal_of(game, i)
        cell, after, action = states[episode, time, i], states[episode, time + 1, i], actions[episode, time, i]
        free = np.ones(cell.size, dtype=bool) if goal is None else cell != goal
        bad = ~legal[cell, action] & free
        if bad.any():
            row = int(bad.argmax())
            names = ", ".join(np.array(kind.actions)[legal[cell[row]]]) or "none: it is a wall"
            raise ParameterError(
                f"{what}: episode {episode[row]}, time {time[row]}: action of {agent} at {game.cells[cell[row]]}: "
                f"{kind.actions[action[row]]!r} is illegal there: expected one of {names}"
            )
        reached = ((kind.successors[cell, action] == after[:, None]) & (kind.probabilities[cell, action] > 0)).any(-1)
        bad = (after >= 0) & ~np.where(free, reached, after == cell)
        if bad.any():
            row = int(bad.argmax())
            raise ParameterError(
                f"{what}: episode {episode[row]}, time {time[row]}: {agent} is at {game.cells[cell[row]]} and chooses "
                f"{kind.actions[action[row]]!r}: expected a cell that this leads to: got {game.cells[after[row]]}"
            )
        counts = np.zeros((horizon, game.number_of_cells, len(kind.actions)))
        np.add.at(counts, (time[free], cell[free], action[free]), 1.0)
        found.append(counts)
    return tuple(found)
