"""Small random crowds of every kind, and MGE-FB in nested loops: slow and readable.

    Q^tau(x, a) = R(x, a) + Psi(O_-i^tau)(x) + sum_x' P(x' | x, a) V^{tau+1}(x'),     V^T = R_F (+ Psi(O^T))
    Psi_i(O_-i)(x) = - sum over persons j other than i of W_ij sum_y nearness(x, y) O_j(y)

Persons, not members: who has a `count` is that many persons. At the goal V is what arriving is worth, and nobody is met
who has left, at the goal or after the last decision of one's own.
"""

import math

import numpy as np

from quantal.crowds.game import CrowdGame, Kind, Member

STEPS = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))


# --------------------------------------------------------------------------- games


def grid_kind(name, rows, columns, walls=(), **options):
    """Stay, up, down, left, right on a grid; nobody enters a wall."""
    n = rows * columns
    successors, legal = np.zeros((n, 5), dtype=int), np.zeros((n, 5), dtype=bool)
    for x in range(n):
        for a, (down, right) in enumerate(STEPS):
            r, c = x // columns + down, x % columns + right
            y = r * columns + c
            inside = 0 <= r < rows and 0 <= c < columns
            legal[x, a] = inside and x not in walls and y not in walls
            successors[x, a] = y if legal[x, a] else x
    return Kind(name, actions=("stay", "up", "down", "left", "right"), successors=successors, legal=legal, **options)


def graph_kind(name, n, actions, width, seed, **options):
    """Any successors, by chance where `width` is above 1; the last action stays, and is legal everywhere."""
    rng = np.random.default_rng(seed)
    successors = rng.integers(n, size=(n, actions, width))
    successors[:, -1] = np.arange(n)[:, None]
    chances = rng.random((n, actions, width)) + 0.05
    chances[:, 0, 0] = 0.0
    if width == 1:
        chances[:] = 1.0
    legal = rng.random((n, actions)) < 0.7
    legal[:, -1] = True
    return Kind(
        name,
        actions=[f"a{k}" for k in range(actions)],
        successors=successors,
        probabilities=chances / chances.sum(axis=-1, keepdims=True),
        legal=legal,
        rewards=rng.normal(size=(n, actions)),
        final_rewards=rng.normal(size=n),
        **options,
    )


def on_grid(horizons=(None,) * 4, **options):
    """Two kinds on a 3 x 4 grid with walls; goals, a count, a start distribution, own rewards, perhaps own horizons."""
    rng = np.random.default_rng(5)
    walker = grid_kind("walker", 3, 4, walls=(5,), rewards=np.full(12, -0.4), final_rewards=rng.normal(size=12))
    car = grid_kind("car", 3, 4, walls=(5, 6), rewards=rng.normal(size=(12, 5)))
    spread = np.array([0.5, 0, 0, 0.25, 0, 0, 0, 0.25, 0, 0, 0, 0])
    y, x = np.divmod(np.arange(12), 4)
    return CrowdGame(
        cells=12,
        kinds=[walker, car],
        members=[
            Member("ann", "walker", 0, goal=11, goal_reward=3.0, weight=0.7, horizon=horizons[0]),
            Member("bob", "walker", spread, weight=1.2, rewards=rng.normal(size=12), horizon=horizons[1]),
            Member(
                "cars",
                "car",
                8,
                count=3,
                weight=0.3,
                goal=3,
                goal_reward=1.0,
                present_at_goal=True,
                horizon=horizons[2],
            ),
            Member("dora", "car", 1, weight=-0.4, final_rewards=rng.normal(size=12), horizon=horizons[3]),
        ],
        **({"coordinates": np.stack([x, y], axis=1)} | options),
    )


def on_graph(width=2, n=6, **options):
    """Three kinds on a graph, two of which move by chance."""
    kinds = [graph_kind("p", n, 3, width, 0), graph_kind("q", n, 2, 1, 1), graph_kind("r", n, 4, width, 2)]
    return CrowdGame(
        cells=[f"c{k}" for k in range(n)],
        kinds=kinds,
        members=[
            Member("p1", "p", 0, weight=0.5),
            Member("p2", "p", 3, weight=0.8, count=2),
            Member("q1", "q", "c2", weight=1.1),
            Member("r1", "r", np.full(n, 1 / n), weight=0.2),
        ],
        **options,
    )


def hub(n=40):
    """Everyone may jump to cell 0 from anywhere: too many predecessors to list."""
    successors = np.stack([np.zeros(n, dtype=int), (np.arange(n) + 1) % n], axis=1)
    kind = Kind("jumper", actions=("hub", "on"), successors=successors, rewards=np.cos(np.arange(n)))
    return CrowdGame(cells=n, kinds=[kind], members=[Member("a", "jumper", 3), Member("b", "jumper", 5, count=4)])


NEAR = np.exp(-np.abs(np.subtract.outer(np.arange(12), np.arange(12))))
NEAR[NEAR < 0.1] = 0.0

GAMES = {
    "grid": on_grid,
    "grid, weights of kinds": lambda: on_grid(kind_weights=[[0.5, 1.0], [-0.3, 0.8]]),
    "grid, weights of members": lambda: on_grid(agent_weights=np.random.default_rng(8).normal(size=(4, 4)) / 2),
    "grid, nearness": lambda: on_grid(nearness=NEAR),
    "grid, the end counts": lambda: on_grid(final_interaction=True),
    "grid without coordinates": lambda: on_grid(coordinates=None),
    "grid, some leave": lambda: on_grid((2, None, 3, 1)),
    "grid, some leave, the end counts": lambda: on_grid((None, 2, 1, 99), final_interaction=True, nearness=NEAR),
    "graph": lambda: on_graph(1),
    "graph, chance": on_graph,
    "graph, chance, nearness": lambda: on_graph(nearness=NEAR[:6, :6], final_interaction=True),
    "hub": hub,
}


# --------------------------------------------------------------------------- loops


def persons(game):
    """The member of everyone."""
    return [i for i, member in enumerate(game.members) for _ in range(member.count)]


def weight_between(game, i, j):
    """W_ij: what member i feels of member j."""
    if game.agent_weights is not None:
        return game.agent_weights[i, j]
    k, l = game.kind_numbers[i], game.kind_numbers[j]  # noqa: E741
    return game.kind_weights[k, l] * game.members[j].weight


def near_at(game, x, y):
    if game.nearness is None:
        return float(x == y)
    cells, weights = game.nearness
    return sum(w for c, w in zip(cells[x], weights[x], strict=True) if c == y)


def decisions(game, i, horizon):
    own = game.members[i].horizon
    return horizon if own is None else min(own, horizon)


def psi(game, occupancy, i, x, time=0):
    """Psi_i at x, given everyone's occupancy (n,) at one time, by member."""
    everyone = persons(game)
    me = everyone.index(i)
    total = 0.0
    for p, j in enumerate(everyone):
        if p == me or (game.members[j].horizon is not None and time > game.members[j].horizon):
            continue
        for y in range(game.number_of_cells):
            if y == game.goals[j] and not game.members[j].present_at_goal:
                continue
            total -= weight_between(game, i, j) * near_at(game, x, y) * occupancy[j][y]
    return total


def actions_at(game, i, x):
    """Legal actions; at the goal the one that stays."""
    kind = game.kind_of(i)
    allowed = [a for a in range(len(kind.actions)) if kind.legal[x, a]]
    if x == game.goals[i]:
        staying = [a for a in allowed if (kind.successors[x, a] == x).all()]
        allowed = staying[:1] or allowed[:1]
    return allowed


def backward(game, i, beta, rule, horizon, occupancy):
    """Q (T, n, A), policy (T, n, A) and value (T + 1, n) of member i, given occupancies (T + 1, n) by member."""
    kind, n, goal = game.kind_of(i), game.number_of_cells, game.goals[i]
    count = len(kind.actions)
    q, policy = np.full((horizon, n, count), np.nan), np.zeros((horizon, n, count))
    value = np.full((horizon + 1, n), np.nan)
    cells = [x for x in range(n) if not kind.walls[x]]
    last = decisions(game, i, horizon)
    for time in reversed(range(last + 1)):
        now = [o[time] for o in occupancy]
        for x in cells:
            if time == last:
                value[time:, x] = game.final_rewards[i][x]
                if game.final_interaction:
                    value[time:, x] += psi(game, now, i, x, time)
            else:
                felt = psi(game, now, i, x, time)
                for a in actions_at(game, i, x):
                    row = zip(kind.successors[x, a], kind.probabilities[x, a], strict=True)
                    reward = game.rewards[i][x, a if game.rewards[i].shape[1] > 1 else 0]
                    q[time, x, a] = reward + felt + sum(p * value[time + 1, y] for y, p in row if p > 0)
                    if x == goal:
                        q[time, x, a] = game.members[i].goal_reward
                here = {a: q[time, x, a] for a in actions_at(game, i, x)}
                top = max(here.values())
                weights = {a: math.exp(beta * (v - top)) for a, v in here.items()}
                total = sum(weights.values())
                for a, w in weights.items():
                    policy[time, x, a] = w / total
                if rule == "expected":
                    value[time, x] = sum(policy[time, x, a] * v for a, v in here.items())
                elif rule == "soft":
                    value[time, x] = top + math.log(total) / beta
                else:
                    value[time, x] = top
            if x == goal:
                value[time if time < last else slice(time, None), x] = game.members[i].goal_reward
    for x in cells:
        legal = [a for a in range(count) if kind.legal[x, a]]
        stays = [
            a
            for a in legal
            if all(y == x or p == 0 for y, p in zip(kind.successors[x, a], kind.probabilities[x, a], strict=True))
        ]
        rests = (stays or legal)[0]
        policy[last:, x, rests], q[last:, x, rests] = 1.0, value[last, x]
    return q, policy, value


def forward(game, i, policy):
    """Occupancies (T + 1, n) of member i under its policy."""
    kind, goal = game.kind_of(i), game.goals[i]
    result = [game.start(i)]
    for time, now in enumerate(policy):
        if time >= decisions(game, i, len(policy)):
            result.append(result[-1])
            continue
        after = np.zeros(game.number_of_cells)
        for x in range(game.number_of_cells):
            if x == goal:
                after[x] += result[-1][x]
                continue
            for a in range(len(kind.actions)):
                for y, p in zip(kind.successors[x, a], kind.probabilities[x, a], strict=True):
                    after[y] += result[-1][x] * now[x, a] * p
        result.append(after)
    return np.array(result)


def respond(game, beta, rule, horizon, occupancy):
    """T(O), and the Q on the way."""
    found = [backward(game, i, beta[i], rule, horizon, occupancy) for i in range(len(game.members))]
    return [forward(game, i, policy) for i, (_, policy, _) in enumerate(found)], [q for q, _, _ in found]
