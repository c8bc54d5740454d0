r"""Play of a crowd: episodes drawn from its policies, and what they come to, exactly.

    own_i         = sum_t <O_i^t, R_i^pi> + <O_i^T, R_{i,F}>          interaction_i = sum_t <O_i^t, Psi_i(O_-i^t)>

Everyone draws for oneself, so that at each time cells are independent, and the expected cost of those who are met is
what their occupancy costs: scores of episodes have these expectations. What is met in an episode is met there, cell by
cell; only an interaction that is a function of one's own, which is about occupancy, is taken of the expected one.
Arriving is paid with the final reward, as it is worth the same at any time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import jax
import numpy as np

from quantal import memory, request
from quantal.crowds.game import CrowdGame, decisions, felt
from quantal.crowds.solution import CrowdSolution
from quantal.draws import Play, choose, most_probable, successor
from quantal.errors import ParameterError
from quantal.trajectories import Trajectories, smallest

BATCH_BYTES = 2**23
"""Random numbers held at a time."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CrowdEvaluation:
    """What a crowd's play comes to on average, exactly; of a `count`, each.

    Attributes
    ----------
    score
        Expected sum of rewards per member: the next two together.
    own
        Of one's own rewards, final reward and goal's reward included.
    interaction
        What the others are worth.
    play
        How actions were chosen.
    steps
        T.
    """

    score: Mapping[str, float]
    own: Mapping[str, float]
    interaction: Mapping[str, float]
    play: Play
    steps: int


def both(game: object, solution: object) -> tuple[CrowdGame, CrowdSolution]:
    """Return them; `ParameterError` unless they are a crowd and a solution of one."""
    if not isinstance(game, CrowdGame) or not isinstance(solution, CrowdSolution):
        raise ParameterError(
            f"expected a game and then a solution of it: got {type(game).__name__} and {type(solution).__name__}"
        )
    return game, solution


def check(crowd: CrowdGame, solved: CrowdSolution, steps: int | None, unusable: Mapping[str, bool]) -> None:
    """Raise `ParameterError` unless this is a solution of that crowd, asked for what there is."""
    if (solved.game.agents, solved.game.cells, solved.game.actions) != (crowd.agents, crowd.cells, crowd.actions):
        raise ParameterError(
            f"solution: expected one of {crowd!r}: got one of {solved.game!r}. Use the game that was solved "
            "(solution.game)"
        )
    if steps is not None and steps != solved.horizon:
        raise ParameterError(
            f"steps={steps}: this solution is for a horizon of {solved.horizon} decisions. Leave steps out, or solve "
            f"again with horizon={steps}"
        )
    for name, given in unusable.items():
        if given:
            raise ParameterError(f"{name}: not for a crowd. Leave it out")


def persons(game: CrowdGame) -> tuple[tuple[str, int], ...]:
    """Everyone's name and member; who has a `count` becomes ``name 1``, ``name 2``, ..."""
    return tuple(
        (m.name if m.count == 1 else f"{m.name} {k + 1}", i) for i, m in enumerate(game.members) for k in range(m.count)
    )


# ---------------------------------------------------------------------- simulation


def simulate(
    game: CrowdGame,
    solution: CrowdSolution,
    episodes: int,
    seed: int | np.random.Generator,
    play: Play,
    batch: int | None,
) -> Trajectories:
    """Draw episodes; see `quantal.rollout.simulate`."""
    episodes = request.whole("episodes", episodes, 0, "a whole number >= 0")
    horizon, population = solution.horizon, game.population
    kinds = smallest(game.number_of_cells), smallest(max(map(len, game.actions)))
    memory.require(
        episodes * population * ((horizon + 1) * kinds[0].itemsize + horizon * (kinds[1].itemsize + 8) + 8),
        f"keeping {episodes} episodes of {horizon} decisions of {population:,} agents",
        "Simulate fewer at a time, passing a generator as seed to go on where the last call stopped",
    )
    people = persons(game)
    states = np.empty((episodes, horizon + 1, len(people)), kinds[0])
    actions = np.empty((episodes, horizon, len(people)), kinds[1])
    # Each agent has its own stretch of every episode's random numbers, so batches cannot matter.
    random = request.generator(seed)
    count = len(people) * (1 + 2 * horizon)
    size = batch or max(1, min(episodes, BATCH_BYTES // (8 * count)))
    policies = [_played(solution, i, play) for i in range(len(game.members))]
    for first in range(0, episodes, size):
        part = slice(first, min(first + size, episodes))
        numbers = random.random((part.stop - part.start, count))
        for p, (_, i) in enumerate(people):
            own = numbers[:, p * (1 + 2 * horizon) : (p + 1) * (1 + 2 * horizon)]
            _walk(game, i, policies[i], iter(own.T), states[part, :, p], actions[part, :, p])
    rewards = np.zeros((episodes, horizon, len(people)))
    final = np.zeros((episodes, len(people)))
    for p, (_, i) in enumerate(people):
        _pay(game, i, horizon, states[..., p], actions[..., p], rewards[..., p], final[:, p])
    _meet(game, solution, play, states, rewards, final)
    names = tuple(name for name, _ in people)
    return Trajectories(
        agents=names,
        axes=tuple(f"state_{name}" for name in names),
        state_labels=(game.cells,) * len(people),
        action_labels=tuple(game.actions[i] for _, i in people),
        states=states,
        actions=actions,
        lengths=np.full(episodes, horizon),
        rewards=rewards,
        final_rewards=final,
    )


def _played(solution: CrowdSolution, i: int, play: Play) -> np.ndarray:
    policy = np.asarray(solution.policy[i], dtype=np.float64)
    # At a wall nothing is chosen, and nobody is there.
    policy = np.where(policy.sum(axis=-1, keepdims=True) > 0, policy, 1.0)
    return most_probable(policy) if play == "most_probable" else policy


def _walk(
    game: CrowdGame,
    i: int,
    policy: np.ndarray,
    supply: Iterator[np.ndarray],
    states: np.ndarray,
    actions: np.ndarray,
) -> None:
    """Fill one agent's cells (episodes, T + 1) and actions (episodes, T)."""
    kind, goal, last = game.kind_of(i), game.goals[i], decisions(game, i, len(policy))
    where, chances = game.starts[i]
    cell = where[np.searchsorted(np.cumsum(chances), next(supply) * chances.sum(), side="right")].astype(np.intp)
    states[:, 0] = cell
    for time, table in enumerate(policy):
        chosen = choose(table, cell, next(supply))
        row = cell * len(kind.actions) + chosen
        after = successor(kind.successors, kind.probabilities, row, iter((next(supply),)))
        rests = np.full(cell.shape, time >= last) | (cell == (-1 if goal is None else goal))
        cell = np.where(rests, cell, after)
        actions[:, time], states[:, time + 1] = chosen, cell


def _done(game: CrowdGame, i: int, cells: np.ndarray) -> np.ndarray:
    """Where a member has arrived, (episodes, times)."""
    goal = game.goals[i]
    return np.zeros(cells.shape, dtype=bool) if goal is None else cells == goal


def _met(game: CrowdGame, i: int, cells: np.ndarray) -> np.ndarray:
    """Where others meet a member, (episodes, times)."""
    met = np.ones(cells.shape, dtype=bool)
    if not game.members[i].present_at_goal:
        met &= ~_done(game, i, cells)
    met[:, decisions(game, i, cells.shape[1] - 1) + 1 :] = False
    return met


def _pay(
    game: CrowdGame,
    i: int,
    horizon: int,
    states: np.ndarray,
    actions: np.ndarray,
    rewards: np.ndarray,
    final: np.ndarray,
) -> None:
    """One agent's own rewards (episodes, T) and final ones (episodes,)."""
    table, last = game.rewards[i], decisions(game, i, horizon)
    before, chosen = states[:, :last].astype(np.intp), actions[:, :last].astype(np.intp)
    paid = table[before, chosen if table.shape[1] > 1 else 0]
    rewards[:, :last] = np.where(_done(game, i, before), 0.0, paid)
    end = states[:, last].astype(np.intp)
    final[:] = np.where(_done(game, i, end), game.members[i].goal_reward, game.final_rewards[i][end])


def _meet(
    game: CrowdGame,
    solution: CrowdSolution,
    play: Play,
    states: np.ndarray,
    rewards: np.ndarray,
    final: np.ndarray,
) -> None:
    """Add what the others are worth."""
    people, horizon = persons(game), states.shape[1] - 1
    expected = None if game.interaction is None else list(_worth(game, _occupancies(game, solution, play)))
    weights = felt(game)
    met = None
    if expected is None:
        met = np.stack([_met(game, i, states[..., p]) for p, (_, i) in enumerate(people)], axis=-1)
    for p, (_, i) in enumerate(people):
        last = decisions(game, i, horizon)
        minded = ~_done(game, i, states[..., p])
        minded[:, last + int(game.final_interaction) :] = False
        for time in range(last + int(game.final_interaction)):
            cell = states[:, time, p].astype(np.intp)
            if expected is not None:
                worth = expected[i][time][cell]
            else:
                assert met is not None
                costs = np.array([weights[i, j] for _, j in people])
                costs[p] = 0.0
                worth = -(_near(game, cell, states[:, time]) * met[:, time]) @ costs
            worth = np.where(minded[:, time], worth, 0.0)
            if time < last:
                rewards[:, time, p] += worth
            else:
                final[:, p] += worth


def _near(game: CrowdGame, here: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Nearness of cells (episodes,) to everyone's (episodes, agents)."""
    if game.nearness is None:
        return (there == here[:, None]).astype(float)
    cells, weights = game.nearness
    total = np.zeros(there.shape)
    for k in range(cells.shape[1]):
        total += weights[here, k, None] * (there == cells[here, k, None])
    return total


# ---------------------------------------------------------------------- exact expectation


def evaluate(game: CrowdGame, solution: CrowdSolution, play: Play) -> CrowdEvaluation:
    """Compute expected scores; see `quantal.rollout.evaluate`."""
    occupancy = _occupancies(game, solution, play)
    own: dict[str, float] = {}
    interaction: dict[str, float] = {}
    horizon = solution.horizon
    for i, (name, worth) in enumerate(zip(game.agents, _worth(game, occupancy), strict=True)):
        mass, last = occupancy(i), decisions(game, i, horizon)
        goal, table, policy = game.goals[i], game.rewards[i], _played(solution, i, play)
        minding = mass.copy()
        if goal is not None:
            minding[:, goal] = 0.0
        paid = np.einsum("tn,tna,na->", minding[:last], policy[:last], np.broadcast_to(table, policy.shape[1:]))
        end = float(minding[last] @ game.final_rewards[i])
        if goal is not None:
            end += float(mass[last, goal]) * game.members[i].goal_reward
        own[name] = float(paid) + end
        interaction[name] = float((minding * worth)[: last + int(game.final_interaction)].sum())
    return CrowdEvaluation(
        score={name: own[name] + interaction[name] for name in own},
        own=own,
        interaction=interaction,
        play=play,
        steps=horizon,
    )


def _occupancies(game: CrowdGame, solution: CrowdSolution, play: Play) -> Callable[[int], np.ndarray]:
    """A function that gives a member's occupancy as played, (T + 1, n)."""
    if play == "sampled":
        return lambda i: np.asarray(solution.occupancy[i], dtype=np.float64)

    def forward(i: int) -> np.ndarray:
        kind, goal, policy = game.kind_of(i), game.goals[i], _played(solution, i, play)
        last = decisions(game, i, len(policy))
        result = [game.start(i)]
        for time, table in enumerate(policy):
            mass = result[-1].copy()
            if time >= last:
                result.append(mass)
                continue
            stays = 0.0
            if goal is not None:
                stays, mass[goal] = mass[goal], 0.0
            flow = mass[:, None, None] * table[..., None] * kind.probabilities
            after = np.bincount(kind.successors.reshape(-1), flow.reshape(-1), mass.size)
            if goal is not None:
                after[goal] += stays
            result.append(after)
        return np.stack(result)

    return forward


def _worth(game: CrowdGame, occupancy: Callable[[int], np.ndarray]) -> Iterator[np.ndarray]:
    """Psi_i(O_-i), (T + 1, n), member after member."""
    members, numbers = game.members, np.array(game.kind_numbers)
    weights = felt(game)

    def present(i: int) -> np.ndarray:
        there = occupancy(i).copy()
        if (goal := game.goals[i]) is not None and not members[i].present_at_goal:
            there[:, goal] = 0.0
        there[decisions(game, i, len(there) - 1) + 1 :] = 0.0
        return there

    if game.agent_weights is not None:
        everyone = np.stack([present(i) for i in range(len(members))])
        count = np.array([m.count for m in members])
        for i in range(len(members)):
            share = weights[i] * count
            share[i] -= weights[i, i]
            yield -_smeared(game, np.einsum("j,jtn->tn", share, everyone))
        return
    fields: list[np.ndarray | float] = [0.0] * len(game.kinds)
    for i, m in enumerate(members):
        fields[numbers[i]] = fields[numbers[i]] + m.weight * m.count * present(i)
    shape = occupancy(0).shape
    by_kind = np.stack([np.broadcast_to(field, shape) for field in fields])
    for i, m in enumerate(members):
        others = by_kind.copy()
        others[numbers[i]] -= m.weight * present(i)
        if game.interaction is None:
            yield -_smeared(game, np.einsum("k,ktn->tn", game.kind_weights[numbers[i]], others))
            continue
        with jax.enable_x64(True):
            name = game.kinds[numbers[i]].name
            rows = [
                np.broadcast_to(np.asarray(game.interaction(jax.device_put(others[:, t]), name)), shape[1:])
                for t in range(shape[0])
            ]
        yield np.stack(rows)


def _smeared(game: CrowdGame, field: np.ndarray) -> np.ndarray:
    if game.nearness is None:
        return field
    cells, weights = game.nearness
    return np.einsum("tnk,nk->tn", field[:, cells], weights)
