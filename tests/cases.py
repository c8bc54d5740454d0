"""Small random games of every kind, hand-made solutions of them, and what the tests of play loop over."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np

from quantal.dynamics import Coupled, Independent
from quantal.game import MarkovGame
from quantal.layout import model_of
from quantal.solution import Branch, Parameters, PerAgent, Solution, Status

# --------------------------------------------------------------------------- games


def distribution(rng, shape):
    p = rng.random(shape) + 0.05
    return p / p.sum(axis=-1, keepdims=True)


def masks(rng, state_shape, counts):
    """Random masks; one of them does not depend on the state, one action is always legal."""
    legal = []
    for i, count in enumerate(counts):
        shape = (1,) * len(state_shape) if i == 1 else state_shape
        mask = rng.random((*shape, count)) < 0.7
        mask[..., rng.integers(count)] = True
        legal.append(mask)
    return tuple(legal)


def own_game(seed, sizes, counts, widths, reward_shapes):
    rng = np.random.default_rng(seed)
    tables, probabilities = [], []
    for n, a, b in zip(sizes, counts, widths, strict=True):
        tables.append(rng.integers(n, size=(n, a, b)))
        probabilities.append(distribution(rng, (n, a, b)))
    return _game(rng, sizes, counts, Independent(tables, probabilities), reward_shapes)


def coupled_game(seed, states, counts, width, reward_shapes):
    rng = np.random.default_rng(seed)
    successors = rng.integers(states, size=(states, *counts, width))
    if width == states:
        successors = np.broadcast_to(np.arange(states), successors.shape)
    dynamics = Coupled(successors, distribution(rng, successors.shape))
    return _game(rng, (states,), counts, dynamics, reward_shapes)


def _game(rng, state_shape, counts, dynamics, reward_shapes):
    """`reward_shapes[i]`: which axes of R_i are written out, e.g. 's0' = states and the first agent's action."""
    rewards = []
    for axes in reward_shapes:
        shape = tuple(n if "s" in axes else 1 for n in state_shape)
        shape += tuple(n if str(j) in axes else 1 for j, n in enumerate(counts))
        rewards.append(rng.normal(size=shape))
    return MarkovGame(
        state_shape=tuple(state_shape),
        rewards=tuple(rewards),
        dynamics=dynamics,
        actions=tuple(tuple(map(str, range(a))) for a in counts),
        agents=tuple(f"agent{j}" for j in range(len(counts))),
        legal=masks(rng, tuple(state_shape), counts),
    )


GAMES = {
    "one agent": lambda: own_game(0, (5,), (3,), (1,), ["s0"]),
    "one agent, chance": lambda: own_game(1, (5,), (3,), (2,), ["s"]),
    "two agents": lambda: own_game(2, (4, 3), (3, 2), (1, 1), ["s", "s1"]),
    "two agents, one with chance": lambda: own_game(3, (4, 3), (2, 3), (1, 3), ["s01", "0"]),
    "two agents, joint rewards": lambda: own_game(4, (3, 4), (3, 2), (2, 1), ["s1", "01"]),
    "three agents": lambda: own_game(5, (3, 4, 2), (2, 3, 2), (1, 1, 1), ["s", "s02", "s12"]),
    "three agents, chance": lambda: own_game(6, (2, 3, 4), (3, 2, 2), (2, 1, 2), ["s012", "", "s2"]),
    "four agents": lambda: own_game(7, (2, 3, 2, 2), (2, 1, 3, 2), (1,) * 4, ["s", "s3", "s0", "s01"]),
    "five agents": lambda: own_game(8, (2,) * 5, (2, 1, 2, 1, 2), (1, 1, 2, 1, 1), ["s"] * 5),
    "coupled, one agent": lambda: coupled_game(9, 7, (3,), 1, ["s0"]),
    "coupled, two agents": lambda: coupled_game(10, 12, (3, 2), 2, ["s0", "s01"]),
    "coupled, three agents": lambda: coupled_game(11, 13, (2, 3, 2), 3, ["s", "s02", "012"]),
    "dense, two agents": lambda: coupled_game(12, 5, (3, 2), 5, ["s", "s01"]),
    "dense, three agents": lambda: coupled_game(13, 4, (2, 3, 2), 4, ["1", "s02", "s12"]),
}


class Case:
    """A game, its model, and random play in engine layout."""

    def __init__(self, game):
        rng = np.random.default_rng(99)
        with jax.enable_x64(True):
            self.model = model_of(game)
        self.game, self.counts, self.agents = game, game.action_counts, game.number_of_agents
        self.discount = rng.uniform(0.5, 1, self.agents)
        self.policies = []
        for mask in self.model.legal:
            weights = np.asarray(mask) * (0.1 + rng.random((mask.shape[0], *self.model.state_shape)))
            self.policies.append(weights / weights.sum(axis=0))

    def states(self):
        return list(np.ndindex(*self.model.state_shape))

    def actions(self):
        return list(itertools.product(*map(range, self.counts)))

    def engine(self):
        return tuple(map(jnp.asarray, self.policies))


def successors_at(case, x, a):
    """The pairs (x', P(x' | x, a))."""
    dynamics = case.game.dynamics
    if isinstance(dynamics, Coupled):
        row = (*x, *a)
        yield from zip(((int(s),) for s in dynamics.successors[row]), dynamics.probabilities[row], strict=True)
        return
    tables, chances = dynamics.successors, dynamics.probabilities
    for branch in np.ndindex(*(t.shape[-1] for t in tables)):
        place = [(x[j], a[j], b) for j, b in enumerate(branch)]
        after = tuple(int(t[p]) for t, p in zip(tables, place, strict=True))
        yield after, np.prod([c[p] for c, p in zip(chances, place, strict=True)])


def with_ends(game):
    """The same game with final rewards and a start distribution."""
    rng = np.random.default_rng(34)
    return MarkovGame(
        state_shape=game.state_shape,
        rewards=game.rewards,
        dynamics=game.dynamics,
        actions=game.actions,
        agents=game.agents,
        legal=game.legal,
        final_rewards=tuple(rng.normal(size=game.state_shape) for _ in game.agents),
        start=rng.dirichlet(np.ones(game.number_of_states)).reshape(game.state_shape),
    )


# --------------------------------------------------------------------------- hand-made solutions


def solution_of(game, policies, *, horizon=None, discount=0.0):
    """A `Solution` that plays these policies; nothing else in it is meant to be looked at."""
    nothing = PerAgent(game.agents, tuple(np.zeros(1) for _ in game.agents))
    return Solution(
        game=game,
        policy=PerAgent(game.agents, tuple(np.asarray(p, dtype=float) for p in policies)),
        q=nothing,
        value=nothing,
        residual=np.inf,
        residuals=np.zeros(1),
        status=Status.STEPS,
        branch=Branch.UNLABELLED,
        trace=np.zeros(0),
        steps=0,
        parameters=Parameters(
            beta=(1.0,) * len(game.agents),
            discount=tuple(np.broadcast_to(np.asarray(discount, dtype=float), len(game.agents))),
            horizon=horizon,
            value="expected",
            method="picard",
            damping=1.0,
            tol=1e-12,
            max_steps=1,
        ),
    )


def random_policies(game, rng, horizon=None):
    """Random play of legal actions, public layout."""
    lead = () if horizon is None else (horizon,)
    policies = []
    for i, mask in enumerate(game.legal):
        p = rng.random((*lead, *game.state_shape, game.action_counts[i])) * mask
        policies.append(p / p.sum(axis=-1, keepdims=True))
    return policies


# --------------------------------------------------------------------------- the readable twins


def joint_play(case, policies, x):
    for a in case.actions():
        yield a, np.prod([policies[j][(*x, a[j])] for j in range(case.agents)])


def reward_at(game, i, x, a):
    where = zip((*x, *a), game.rewards[i].shape, strict=True)
    return game.rewards[i][tuple(min(k, n - 1) for k, n in where)]


def chain(case, policies):
    """P^pi as a matrix and r^pi per agent, over flat states."""
    game, states = case.game, case.states()
    number = {x: k for k, x in enumerate(states)}
    matrix = np.zeros((len(states), len(states)))
    rewards = np.zeros((case.agents, len(states)))
    for x in states:
        for a, chance in joint_play(case, policies, x):
            for i in range(case.agents):
                rewards[i, number[x]] += chance * reward_at(game, i, x, a)
            for y, p in successors_at(case, x, a):
                matrix[number[x], number[y]] += chance * p
    return matrix, rewards


def final_at(game, i, x):
    final = game.final_rewards[i]
    return final[tuple(min(k, n - 1) for k, n in zip(x, final.shape, strict=True))]


def looped_values(case, policies, discount, horizon):
    """V_i at time 0 by recursion, everyone playing `policies` (T, *states, A_i)."""
    values = np.array([[final_at(case.game, i, x) for x in case.states()] for i in range(case.agents)])
    for time in reversed(range(horizon)):
        matrix, rewards = chain(case, [p[time] for p in policies])
        values = rewards + np.asarray(discount)[:, None] * (values @ matrix.T)
    return values
