"""Where the agents of a scene go: what everyone most probably does, when who arrives, who waits where, who meets whom.

Read off a solution of either game of a scene. *Most probable play* is everyone's likeliest action where likeliest
actions have led so far; of actions that are alike, staying counts. *Meetings* are expected steps in one cell, before
either has arrived: in the crowd's game agents are met as if independent, as Section 5 of Etesami & Straehle (2020)
has it; in the exact game positions are joint. Whoever has a `count` is that many people, and all
pairs of them are added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from quantal.crowds.game import CrowdGame, decisions, steps_to
from quantal.crowds.solution import CrowdSolution
from quantal.errors import ParameterError
from quantal.game import MarkovGame
from quantal.rollout import evaluate
from quantal.scenes.scene import Scene
from quantal.solution import Solution

TIE = 1e-9
"""Probabilities that differ by less are alike."""
CROWDED = 0.98
"""Of the cells where some are expected, so many have less than a full disc."""


@dataclass(frozen=True)
class Wait:
    """Standing still on the way: for `steps` steps from time `since` in a cell."""

    cell: int
    since: int
    steps: int


@dataclass(frozen=True, eq=False)
class Journey:
    """What one agent does.

    Attributes
    ----------
    agent
        Its name.
    member
        Its number in the scene.
    path
        Cells of most probable play, (T + 1,).
    occupancy
        Where it is, as probabilities, (T + 1, n).
    goal
        Its goal's number, if it has one.
    arrival
        When most probable play arrives there; None if it does not.
    arrived
        Probability of having arrived, (T + 1,); None without a goal.
    waits
        Where most probable play stands still before it arrives.
    moves, shortest
        Moves of most probable play, and the fewest that lead from its start to the goal (None without one).
    """

    agent: str
    member: int
    path: np.ndarray
    occupancy: np.ndarray
    goal: int | None
    arrival: int | None
    arrived: np.ndarray | None
    waits: tuple[Wait, ...]
    moves: int
    shortest: int | None

    @property
    def expected_arrival(self) -> float | None:
        """Expected time of arrival, of those who arrive; None if nobody does."""
        if self.arrived is None or self.arrived[-1] <= 0:
            return None
        newly = np.diff(self.arrived, prepend=0.0)
        return float(newly @ np.arange(newly.size) / self.arrived[-1])


@dataclass(frozen=True, eq=False)
class Journeys:
    """What everyone does.

    Attributes
    ----------
    scene, solution
        What it was read off.
    each
        One journey per agent of the solution's game.
    meetings
        Expected steps that two people spend in one cell, over all pairs of one of an agent's `count` and one of
        another's, (M, M); on the diagonal, over the pairs within a count.
    """

    scene: Scene
    solution: Solution | CrowdSolution
    each: tuple[Journey, ...]
    meetings: np.ndarray

    @property
    def together(self) -> float:
        """Expected steps in one cell, over all pairs."""
        return float(np.triu(self.meetings).sum())


def journeys(scene: Scene, solution: Solution | CrowdSolution) -> Journeys:
    """Read off where everyone goes.

    Parameters
    ----------
    scene
        The scene whose game was solved.
    solution
        Of ``scene.crowd()`` or ``scene.exact()``, with a horizon.

    Raises
    ------
    ParameterError
        If the solution is not one of a game of this scene, or has no horizon.
    """
    members = _members(scene, solution.game)
    if isinstance(solution, CrowdSolution):
        occupancy = [np.asarray(solution.occupancy[i]) for i in range(len(members))]
        paths = [_crowd_path(solution, i) for i in range(len(members))]
        pairs = _independent_meetings(scene, members, occupancy)
    elif solution.horizon is None:
        raise ParameterError("journeys: expected a solution with a horizon: got a stationary one. Solve with horizon=T")
    else:
        visits = np.asarray(evaluate(solution.game, solution).visits)
        cells = [np.array([scene.map.labels.index(label) for label in axis]) for axis in solution.game.state_labels]
        occupancy = [_marginal(visits, i, cells[i], len(scene.map)) for i in range(len(members))]
        paths = _exact_paths(solution, cells)
        pairs = _joint_meetings(scene, members, visits, cells)
    each = tuple(
        _journey(scene, name, member, path, where)
        for name, member, path, where in zip(solution.game.agents, members, paths, occupancy, strict=True)
    )
    return Journeys(scene, solution, each, pairs)


def fullest(numbers: Sequence[np.ndarray], goals: Iterable[int]) -> float:
    """How many fill a disc, (times, n) each: few enough that one crowded cell does not make all others invisible."""
    there = np.concatenate([np.delete(number, sorted(set(goals)), axis=1).ravel() for number in numbers])
    there = there[there > 0.01 * there.max(initial=0.0)]
    return float(f"{np.quantile(there, CROWDED):.2g}") if there.size else 1.0


def _members(scene: Scene, game: CrowdGame | MarkovGame) -> list[int]:
    """Per agent of the game, its number in the scene."""
    if isinstance(game, CrowdGame):
        names, members = [m.name for m in scene.members], list(range(len(scene.members)))
    else:
        names, members = [], []
        for i, m in enumerate(scene.members):
            names += [m.name] if m.count == 1 else [f"{m.name} {k + 1}" for k in range(m.count)]
            members += [i] * m.count
    if tuple(names) != tuple(game.agents):
        raise ParameterError(
            f"journeys: expected a game of this scene, with the agents {', '.join(names)}: got {', '.join(game.agents)}"
        )
    return members


def _journey(scene: Scene, name: str, member: int, path: np.ndarray, occupancy: np.ndarray) -> Journey:
    who = scene.members[member]
    goal = None if who.goal is None else int(who.goal)
    there = np.flatnonzero(path == goal) if goal is not None else np.array([], dtype=int)
    arrival = int(there[0]) if there.size else None
    gone = len(path) if who.horizon is None else who.horizon + 1
    on_the_way = path[: gone if arrival is None else arrival + 1]
    stands = np.flatnonzero(on_the_way[1:] == on_the_way[:-1])
    runs = np.split(stands, np.flatnonzero(np.diff(stands) > 1) + 1)
    waits = [Wait(int(path[run[0]]), int(run[0]), int(run.size)) for run in runs if run.size]
    kind = next(k for k in scene.kinds if k.name == who.kind)
    return Journey(
        agent=name,
        member=member,
        path=path,
        occupancy=occupancy,
        goal=goal,
        arrival=arrival,
        arrived=None if goal is None else occupancy[:, goal],
        waits=tuple(waits),
        moves=int((on_the_way[1:] != on_the_way[:-1]).sum()),
        shortest=None if goal is None else int(steps_to(kind, goal)[path[0]]),
    )


def _likeliest(policy: np.ndarray, stays: np.ndarray) -> int:
    """The likeliest action; one that stays where it is as likely as any."""
    alike = policy >= policy.max() - TIE
    return int((alike & stays).argmax() if (alike & stays).any() else alike.argmax())


def _crowd_path(solution: CrowdSolution, i: int) -> np.ndarray:
    game = solution.game
    kind, goal = game.kind_of(i), game.goals[i]
    ahead = np.take_along_axis(kind.successors, kind.probabilities.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    where, chances = game.starts[i]
    path = [int(where[chances.argmax()])]
    last = decisions(game, i, solution.horizon)
    for time, policy in enumerate(np.asarray(solution.policy[i])):
        x = path[-1]
        path.append(x if x == goal or time >= last else int(ahead[x, _likeliest(policy[x], ahead[x] == x)]))
    return np.array(path)


def _exact_paths(solution: Solution, cells: list[np.ndarray]) -> list[np.ndarray]:
    game, dynamics = solution.game, solution.game.dynamics
    ahead = [
        np.take_along_axis(table, chances.argmax(axis=-1)[..., None], axis=-1)[..., 0]
        for table, chances in zip(dynamics.successors, dynamics.probabilities, strict=True)
    ]
    states = [np.unravel_index(int(np.asarray(game.start).argmax()), game.state_shape)]
    for time in range(solution.horizon or 0):
        x = states[-1]
        following = [
            table[x[i], _likeliest(solution.policy[i][(time, *x)], table[x[i]] == x[i])]
            for i, table in enumerate(ahead)
        ]
        states.append(tuple(following))
    return [cells[i][[x[i] for x in states]] for i in range(len(cells))]


def _marginal(visits: np.ndarray, i: int, cells: np.ndarray, n: int) -> np.ndarray:
    """Occupancy (T + 1, n) of one agent, from joint visits (T + 1, *states)."""
    others = tuple(axis for axis in range(1, visits.ndim) if axis != i + 1)
    where = np.zeros((visits.shape[0], n))
    where[:, cells] = visits.sum(axis=others)
    return where


def _open(scene: Scene, member: int) -> np.ndarray:
    """Cells where an agent can be met: all but its goal."""
    met = np.ones(len(scene.map))
    goal = scene.members[member].goal
    if goal is not None:
        met[int(goal)] = 0.0
    return met


def _independent_meetings(scene: Scene, members: list[int], occupancy: list[np.ndarray]) -> np.ndarray:
    met = [where * _open(scene, member) for where, member in zip(occupancy, members, strict=True)]
    for where, member in zip(met, members, strict=True):
        if (own := scene.members[member].horizon) is not None:
            where[own + 1 :] = 0.0
    count = np.array([scene.members[member].count for member in members], dtype=float)
    people = np.outer(count, count)
    np.fill_diagonal(people, count * (count - 1) / 2)
    return people * np.array([[float((a * b).sum()) for b in met] for a in met])


def _joint_meetings(scene: Scene, members: list[int], visits: np.ndarray, cells: list[np.ndarray]) -> np.ndarray:
    agents = len(members)
    pairs = np.zeros((agents, agents))
    total = visits.sum(axis=0)
    for i in range(agents):
        for j in range(i + 1, agents):
            both = total.sum(axis=tuple(axis for axis in range(agents) if axis not in (i, j)))
            met = (cells[i][:, None] == cells[j]) * (_open(scene, members[i]) * _open(scene, members[j]))[cells[i]][
                :, None
            ]
            pairs[i, j] = pairs[j, i] = float((both * met).sum())
    return pairs
