r"""The exact Markov game that a crowd approximates: the same agents on joint positions.

    R_i(x, a) = R_i(x_i, a_i) - sum_{j != i} W_ij nearness(x_i, x_j)                     where neither has arrived

Agents see where the others are, not only where they may be, so a policy depends on the joint position, and the game
grows as the product of the agents' cells: only cells that an agent can reach are counted. With one agent, or where
nobody minds anybody, both games have one solution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantal import memory
from quantal.crowds.game import CrowdGame, felt, legal_of, reachable
from quantal.dynamics import Independent
from quantal.errors import ParameterError
from quantal.game import MarkovGame
from quantal.maps import on_joint_axis

MANY = 10**18
"""Nobody counts joint positions beyond this."""


@dataclass(frozen=True)
class _Person:
    """One agent of the exact game."""

    name: str
    member: int
    cells: np.ndarray
    """Numbers of the cells that it can reach."""
    actions: np.ndarray
    """Numbers of the actions that are legal somewhere there."""


def exact(game: CrowdGame) -> MarkovGame:
    """Make the exact game; a member of which there are several becomes several agents, ``name 1``, ``name 2``.

    Parameters
    ----------
    game
        Its interaction must be given by weights and nearness.

    Returns
    -------
    MarkovGame
        State axis i numbers the cells that agent i can reach from its start, labelled like the crowd's cells. What
        arriving is worth is a final reward, so solve it with a horizon and without discount.

    Raises
    ------
    ParameterError
        If the interaction is a function of the user's own, which is about occupancy, not about positions; or if
        anyone has a horizon of its own.
    TooLargeError
        If the rewards would not fit into memory.
    """
    if game.interaction is not None:
        raise ParameterError(
            "interaction: expected weights and nearness, which say what meeting is worth: got a function of occupancy. "
            "Write the MarkovGame yourself"
        )
    for member in game.members:
        if member.horizon is not None:
            raise ParameterError(
                f"member {member.name!r}: horizon: who leaves before the end has no exact Markov game, whose rewards "
                "do not depend on time: expected none. Play it as a crowd (MGE-FB), or leave horizon out"
            )
    positions = _product([cells.size for cells, _ in _each(game)], game)
    memory.require(
        8 * positions * (game.population + 3),
        f"the exact game of this crowd ({game.population:,} agents, {_readable(positions)} joint positions)",
        "Play it as a crowd (MGE-FB), or use fewer agents",
    )
    people = _people(game)
    shape = tuple(person.cells.size for person in people)
    moves = [_moves(game, person) for person in people]
    meeting = [_meeting(game, people, i) for i in range(len(people))]
    return MarkovGame(
        state_shape=shape,
        agents=[person.name for person in people],
        actions=[[game.actions[p.member][a] for a in p.actions] for p in people],
        rewards=[_rewards(game, people, i) + meeting[i][(...,) + (None,) * len(people)] for i in range(len(people))],
        final_rewards=[
            on_joint_axis(_final(game, person)[:, None], i, len(people))[..., 0]
            + (meeting[i] if game.final_interaction else 0.0)
            for i, person in enumerate(people)
        ],
        dynamics=Independent([table for table, _, _ in moves], [chances for _, chances, _ in moves]),
        legal=[on_joint_axis(legal, i, len(people)) for i, (_, _, legal) in enumerate(moves)],
        start=_start(game, people),
        state_labels=[[game.cells[x] for x in person.cells] for person in people],
        coordinates=() if game.coordinates is None else [game.coordinates[person.cells] for person in people],
        name=game.name,
        picture=game.picture,
    )


def entries(game: CrowdGame) -> int:
    """Joint positions times joint actions of the exact game; of more than `MANY`, some number above it."""
    return _product([cells.size * actions.size for cells, actions in _each(game)], game)


def _product(sizes: Sequence[int], game: CrowdGame) -> int:
    """Multiply what each member has, once for each of its count, until it is more than `MANY`."""
    total = 1
    for size, member in zip(sizes, game.members, strict=True):
        for _ in range(member.count if size > 1 else 0):
            total *= size
            if total > MANY:
                return total
    return total


def _readable(number: int) -> str:
    return f"{number:,}" if number <= MANY else f"over 10^{len(str(MANY)) - 1}"


def _each(game: CrowdGame) -> list[tuple[np.ndarray, np.ndarray]]:
    """Per member, the cells that it can reach, and the actions that are legal somewhere there."""
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for i in range(len(game.members)):
        cells = reachable(game.kind_of(i), game.starts[i][0], game.goals[i])
        found.append((cells, np.flatnonzero(legal_of(game, i)[cells].any(axis=0))))
    return found


def _people(game: CrowdGame) -> list[_Person]:
    people: list[_Person] = []
    for i, (member, (cells, actions)) in enumerate(zip(game.members, _each(game), strict=True)):
        names = [member.name] if member.count == 1 else [f"{member.name} {k + 1}" for k in range(member.count)]
        people += [_Person(name, i, cells, actions) for name in names]
    return people


def _moves(game: CrowdGame, person: _Person) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Successors and probabilities (cells, A, B), and legal actions (cells, A), in the person's own numbers."""
    kind, goal = game.kind_of(person.member), game.goals[person.member]
    number = np.zeros(game.number_of_cells, dtype=np.int32)
    number[person.cells] = np.arange(person.cells.size)
    here = np.ix_(person.cells, person.actions)
    legal = legal_of(game, person.member)[here]
    matters = legal[..., None] & (kind.probabilities[here] > 0)
    if goal is not None:
        matters &= (person.cells != goal)[:, None, None]
    own = np.arange(person.cells.size, dtype=np.int32)[:, None, None]
    chances = kind.probabilities[here]
    certain = np.broadcast_to(np.arange(chances.shape[-1]) == 0, chances.shape)
    still = ~matters.any(axis=-1, keepdims=True)
    return np.where(matters, number[kind.successors[here]], own), np.where(still, certain, chances), legal


def _rewards(game: CrowdGame, people: Sequence[_Person], i: int) -> np.ndarray:
    """R_i(x_i, a_i) on the joint axes; nothing where it has arrived."""
    person = people[i]
    table = game.rewards[person.member][person.cells]
    if table.shape[1] > 1:
        table = table[:, person.actions]
    goal = game.goals[person.member]
    if goal is not None:
        table = np.where((person.cells == goal)[:, None], 0.0, table)
    states = tuple(p.cells.size if j == i else 1 for j, p in enumerate(people))
    actions = tuple(table.shape[1] if j == i else 1 for j in range(len(people)))
    return table.reshape(states + actions)


def _final(game: CrowdGame, person: _Person) -> np.ndarray:
    member, goal = game.members[person.member], game.goals[person.member]
    final = game.final_rewards[person.member][person.cells]
    # Undiscounted, and with nothing to get after it: whenever one arrives, it is the same at the end.
    return final if goal is None else np.where(person.cells == goal, member.goal_reward, final)


def _meeting(game: CrowdGame, people: Sequence[_Person], i: int) -> np.ndarray:
    """Psi_i as a function of joint positions, (*states)."""
    weights, me = felt(game), people[i]
    counts = _near(game, me.cells)
    mine = np.ones(me.cells.size)
    if (goal := game.goals[me.member]) is not None:
        mine[me.cells == goal] = 0.0
    total = np.zeros(tuple(p.cells.size for p in people))
    for j, other in enumerate(people):
        weight = weights[me.member, other.member]
        if j == i or weight == 0:
            continue
        theirs = np.ones(other.cells.size)
        goal = game.goals[other.member]
        if goal is not None and not game.members[other.member].present_at_goal:
            theirs[other.cells == goal] = 0.0
        pair = weight * mine[:, None] * counts[:, other.cells] * theirs
        lengths = tuple(p.cells.size if k in (i, j) else 1 for k, p in enumerate(people))
        total -= (pair if i < j else pair.T).reshape(lengths)
    return total


def _near(game: CrowdGame, here: np.ndarray) -> np.ndarray:
    """How much presence at each cell counts at these: (here, n)."""
    near = np.zeros((here.size, game.number_of_cells))
    rows = np.arange(here.size)
    if game.nearness is None:
        near[rows, here] = 1.0
        return near
    cells, weights = game.nearness
    np.add.at(near, (rows[:, None], cells[here]), weights[here])
    return near


def _start(game: CrowdGame, people: Sequence[_Person]) -> np.ndarray:
    joint = np.ones(())
    for person in people:
        joint = np.multiply.outer(joint, game.start(person.member)[person.cells])
    return joint
