"""Random games, seeded: stochastic games like sgamesolver's, grids of any size, normal forms."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from quantal import memory
from quantal.dynamics import Coupled, Independent
from quantal.errors import GameError
from quantal.game import MarkovGame
from quantal.maps import ORTHOGONAL, STAY, WALL, Map, on_joint_axis


def stochastic(states: int, agents: int, actions: int | tuple[int, int], seed: int = 0) -> MarkovGame:
    """Draw a stochastic game, bit for bit the one of sgamesolver's ``SGame.random_game``.

    Payoffs are uniform on [0, 1); every row of transition probabilities is uniform on the simplex
    (exponential draws, normalised), so that every state follows every state.

    Parameters
    ----------
    states, agents
        How many.
    actions
        Actions per agent and state; a pair (low, high) draws their number for each state and agent,
        and those beyond it are illegal.
    seed
        Of the one generator that makes every draw.

    Returns
    -------
    MarkovGame
        One general state axis, (states,).

    Raises
    ------
    GameError
        If a number is not a whole number of at least 1.
    TooLargeError
        If the tables would not fit into memory.

    References
    ----------
    sgamesolver 1.0.2 (Eibelshaeuser & Poensgen), ``SGame.random_game``; its discount is 0.95 unless
    given.
    """
    low, high = actions if isinstance(actions, tuple) else (actions, actions)
    for what, number in (("states", states), ("agents", agents), ("actions", low)):
        _check_count(what, number)
    if high < low:
        raise GameError(f"actions: expected (low, high) with low <= high: got {actions}")
    cells = states * high**agents
    memory.require(
        8 * cells * (3 * states + 3 * agents),
        f"A random stochastic game of {states} states and {agents} agents with {high} actions",
        "It has states^2 x actions^agents transition probabilities: use fewer states or actions, "
        "or random.grid, whose moves need no joint table.",
    )
    rng = np.random.default_rng(seed)
    if isinstance(actions, tuple):
        counts = rng.integers(low, high, size=(states, agents), endpoint=True)
    else:
        counts = np.full((states, agents), actions)
    most = int(counts.max())
    size = f"{low}" if low == high else f"{low}-{high}"
    payoffs = np.zeros((agents, states) + (most,) * agents)
    transitions = np.zeros((states,) + (most,) * agents + (states,))
    # All payoffs come before all transitions, and rows are multiplied by the reciprocal of their
    # sum: sgamesolver's order of draws and its last bit.
    here = [tuple(slice(int(n)) for n in counts[s]) for s in range(states)]
    for s in range(states):
        payoffs[(slice(None), s, *here[s])] = rng.random((agents, *counts[s]))
    for s in range(states):
        rows = rng.exponential(size=(*counts[s], states))
        transitions[(s, *here[s])] = rows * (1 / rows.sum(axis=-1, keepdims=True))
    everywhere = np.broadcast_to(np.arange(states, dtype=np.int32), transitions.shape)
    return MarkovGame(
        state_shape=(states,),
        rewards=tuple(payoffs),
        dynamics=Coupled(everywhere, transitions),
        legal=tuple(np.arange(most) < counts[:, [i]] for i in range(agents)),
        actions=(_numbered(most),) * agents,
        agents=_agent_names(agents),
        name=f"random stochastic game {states}x{agents}x{size}, seed {seed}",
        picture=f"{states} states, each followed by all of them.",
    )


def grid(
    width: int,
    height: int,
    agents: int,
    seed: int = 0,
    *,
    obstacles: float = 0.0,
    collision_cost: float = 1.0,
) -> MarkovGame:
    """Draw a grid on which every agent has a goal, and a cost for sharing a cell.

    In every step agent i gets its goal's reward, uniform on [0.5, 1), if it is there, and loses
    `collision_cost` for each other agent in its cell. Agents move to a neighbouring cell or stay,
    at the same time and for certain; a move into a wall is illegal. Goals differ where there are
    cells enough.

    The rewards are the only joint tables, (n, ..., n, 1, ..., 1) for n cells, and without a
    collision cost there are none.

    Parameters
    ----------
    width, height, agents
        Size of the map, number of agents.
    seed
        Of the generator.
    obstacles
        Share of the cells that become walls. What they cut off from the largest open area becomes
        wall too, so that everyone can reach everything.
    collision_cost
        Cost of each encounter.

    Returns
    -------
    MarkovGame
        A product state, one axis of n cells per agent.

    Raises
    ------
    GameError
        If a size or a share makes no sense.
    TooLargeError
        If the rewards would not fit into memory.
    """
    for what, number in (("width", width), ("height", height), ("agents", agents)):
        _check_count(what, number)
    if not 0 <= obstacles < 1:
        raise GameError(f"obstacles: expected a share of the cells, 0 <= share < 1: got {obstacles}")
    if not math.isfinite(collision_cost):
        raise GameError(f"collision_cost: expected a finite number: got {collision_cost}")
    rng = np.random.default_rng(seed)
    plan = _open_area(rng, width, height, obstacles)
    n = len(plan)
    goals = rng.choice(n, size=agents, replace=n < agents)
    gains = rng.uniform(0.5, 1.0, size=agents)
    shape = (n,) * agents
    if collision_cost and agents > 1:
        memory.require(
            8 * n**agents * (2 * agents + 2),
            f"A grid of {n} cells with {agents} agents ({float(n) ** agents:.3g} joint states)",
            "Rewards for collisions depend on where everyone is: use a smaller map or fewer "
            "agents, or collision_cost=0.",
        )
    moves = plan.moves(ORTHOGONAL | STAY)
    rewards: list[np.ndarray] = []
    for i in range(agents):
        own = np.zeros(n)
        own[goals[i]] = gains[i]
        reward = _along(own, i, agents)
        if collision_cost and agents > 1:
            reward = np.broadcast_to(reward, shape).copy()
            for j in range(agents):
                if j != i:
                    reward -= collision_cost * _same_cell(n, i, j, agents)
        rewards.append(reward.reshape(reward.shape + (1,) * agents))
    return MarkovGame(
        state_shape=shape,
        rewards=tuple(rewards),
        dynamics=Independent([moves.successors] * agents),
        legal=tuple(on_joint_axis(moves.legal, j, agents) for j in range(agents)),
        actions=(moves.names,) * agents,
        agents=_agent_names(agents),
        state_labels=(plan.labels,) * agents,
        coordinates=(plan.coordinates,) * agents,
        name=f"random grid {width}x{height}, {agents} agents, seed {seed}",
        picture=_drawn(plan, goals),
    )


def normal_form(actions: Sequence[int], seed: int = 0) -> MarkovGame:
    """Draw a one-shot game with payoffs uniform on [0, 1). Solve it with ``discount=0``.

    Parameters
    ----------
    actions
        Number of actions of each agent.
    seed
        Of the generator.

    Returns
    -------
    MarkovGame
        One state.
    """
    counts = tuple(actions)
    _check_count("agents (the length of actions)", len(counts))
    for i, count in enumerate(counts):
        _check_count(f"actions[{i}]", count)
    payoffs = np.random.default_rng(seed).random((len(counts), *counts))
    size = "x".join(map(str, counts))
    return MarkovGame.normal_form(tuple(payoffs), name=f"random normal form {size}, seed {seed}")


def _check_count(what: str, number: int) -> None:
    if not isinstance(number, (int, np.integer)) or number < 1:
        raise GameError(f"{what}: expected a whole number of at least 1: got {number!r}")


def _numbered(count: int) -> tuple[str, ...]:
    return tuple(str(a) for a in range(count))


def _agent_names(count: int) -> tuple[str, ...]:
    return tuple(f"agent{i + 1}" for i in range(count))


def _open_area(rng: np.random.Generator, width: int, height: int, obstacles: float) -> Map:
    """Scatter walls and keep the largest area that they leave connected."""
    free = rng.random((height, width)) >= obstacles
    if not free.any():
        raise GameError(f"obstacles: {obstacles} of {width} x {height} cells left none free. Use a smaller share")
    from scipy import ndimage  # here, because it takes a fifth of a second to import

    areas = np.zeros(free.shape, dtype=np.int32)
    ndimage.label(free, output=areas)  # joined by edges; 0 is no area
    sizes = np.bincount(areas.ravel())[1:]
    keep = areas == 1 + int(sizes.argmax())
    return Map.parse("\n".join("".join(np.where(row, ".", WALL)) for row in keep))


def _along(own: np.ndarray, axis: int, dims: int) -> np.ndarray:
    """Lay (n,) along one of the joint state axes."""
    return own.reshape(tuple(-1 if k == axis else 1 for k in range(dims)))


def _same_cell(n: int, i: int, j: int, dims: int) -> np.ndarray:
    """Whether agents i and j share a cell, broadcastable to the joint states."""
    return np.eye(n).reshape(tuple(n if k in (i, j) else 1 for k in range(dims)))


def _drawn(plan: Map, goals: np.ndarray) -> str:
    """Draw the map with each agent's goal by its number (the first of those that share one)."""
    rows = [list(row) for row in plan.rows]
    for agent in reversed(range(len(goals))):
        x, y = plan.cells[goals[agent]]
        rows[y][x] = str((agent + 1) % 10)
    return "\n".join("".join(row) for row in rows) + "\nDigits are goals, # is a wall."
