"""MGE-F (Algorithm 2) for small games in plain numpy: slow, readable, and nothing of the package's engine.

    V_i^T = R_{i,F};   for tau = T-1, ..., 0 solve at every joint state the logit QRE of the stage game
    u_i(a) = R_i(x, a) + sum_x' P(x' | x, a) V_i^{tau+1}(x') by the damped fixed point (14), and set
    V_i^tau = sum_a pi_i(a) Q_i(a)   ("expected")   or   max_a Q_i(a)   ("greedy").

States are flat numbers here, in C order over the state axes.
"""

import itertools

import numpy as np

from quantal.dynamics import Independent


def legal_at(game, state):
    """Legal actions of every agent at a joint state (an index tuple), as lists of numbers."""
    masks = (np.broadcast_to(mask, (*game.state_shape, mask.shape[-1])) for mask in game.legal)
    return [np.flatnonzero(mask[state]) for mask in masks]


def reward_at(game, agent, state, joint):
    reward = np.broadcast_to(game.rewards[agent], game.state_shape + game.action_counts)
    return reward[(*state, *joint)]


def successors_at(game, state, joint):
    """All (probability, next state) of a joint action; next states are index tuples."""
    if isinstance(game.dynamics, Independent):
        own = [
            list(zip(p[x, a], s[x, a], strict=True))
            for x, a, s, p in zip(state, joint, game.dynamics.successors, game.dynamics.probabilities, strict=True)
        ]
        return [(np.prod([p for p, _ in row]), tuple(int(x) for _, x in row)) for row in itertools.product(*own)]
    row = game.dynamics.probabilities[(*state, *joint)], game.dynamics.successors[(*state, *joint)]
    return [
        (p, tuple(int(k) for k in np.unravel_index(s, game.state_shape))) for p, s in zip(*row, strict=True) if p > 0
    ]


class Table:
    """A game as flat arrays, filled by loops: legal (S, A_i), u (S, M, A_1..A_M), P as a list of rows."""

    def __init__(self, game):
        self.game = game
        self.states = list(np.ndindex(*game.state_shape))
        number = {x: k for k, x in enumerate(self.states)}
        counts, agents = game.action_counts, game.number_of_agents
        self.legal = [np.zeros((len(self.states), n), dtype=bool) for n in counts]
        self.rewards = np.zeros((len(self.states), agents, *counts))
        rows = []
        for k, x in enumerate(self.states):
            allowed = legal_at(game, x)
            for i in range(agents):
                self.legal[i][k, allowed[i]] = True
            for joint in itertools.product(*allowed):
                cell = (k, slice(None), *joint)
                self.rewards[cell] = [reward_at(game, i, x, joint) for i in range(agents)]
                for p, after in successors_at(game, x, joint):
                    rows.append(((k, *joint), p, number[after]))
        self.where = tuple(np.array(axis) for axis in zip(*(cell for cell, _, _ in rows), strict=True))
        self.chance = np.array([p for _, p, _ in rows])
        self.after = np.array([s for _, _, s in rows])
        self.final = np.stack([np.broadcast_to(r, game.state_shape).ravel() for r in game.final_rewards], axis=1)

    def payoffs(self, value):
        """R_i + P V_i, (S, M, A_1..A_M), from values (S, M)."""
        total = np.moveaxis(self.rewards, 1, -1).copy()
        np.add.at(total, self.where, self.chance[:, None] * value[self.after])
        return np.moveaxis(total, -1, 1)


def softmax(q, legal, beta):
    scores = np.where(legal, beta * q, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def own_payoffs(u, policies):
    """Q_i(x, a_i): every opponent's action averaged out of u_i."""
    result = []
    for i in range(len(policies)):
        q = u[:, i]
        for j in reversed(range(len(policies))):
            if j != i:
                q = np.moveaxis(q, 1 + j, -1)
                weights = policies[j].reshape(len(q), *(1,) * (q.ndim - 2), -1)
                q = (q * weights).sum(axis=-1)
        result.append(q)
    return result


def stage(u, legal, beta, damping, sweeps, tolerance, nudge):
    """Damped fixed point, state by state; returns Q, policies and the undamped residual (S,)."""
    q = own_payoffs(u, [mask / mask.sum(axis=-1, keepdims=True) for mask in legal])
    rng = np.random.default_rng(0)
    q = [a + nudge * rng.normal(size=a.shape) for a in q]
    residual = np.full(len(u), np.inf)
    for _ in range(sweeps):
        left = np.flatnonzero(residual > tolerance)
        if not left.size:
            break
        masks = [mask[left] for mask in legal]
        now = [a[left] for a in q]
        mapped = own_payoffs(u[left], [softmax(a, m, beta) for a, m in zip(now, masks, strict=True)])
        gaps = [np.abs(b - a) * m for a, b, m in zip(now, mapped, masks, strict=True)]
        residual[left] = np.max([gap.max(axis=-1) for gap in gaps], axis=0)
        for a, old, new in zip(q, now, mapped, strict=True):
            a[left] = damping * new + (1 - damping) * old
    return q, [softmax(a, mask, beta) for a, mask in zip(q, legal, strict=True)], residual


def mge_f(game, horizon, beta=1.0, value="expected", damping=0.3, sweeps=4000, tolerance=1e-11, nudge=0.0):
    """Return [(Q, policies, residual) at tau = 0, ..., T-1], arrays (S, A_i), and V^0, (S, M).

    A `nudge` displaces the start of every stage, to leave equilibria that are not stable.
    """
    table = Table(game)
    v = table.final
    stages = []
    for _ in range(horizon):
        u = table.payoffs(v)
        q, policies, residual = stage(u, table.legal, beta, damping, sweeps, tolerance, nudge)
        columns = [
            (p * a).sum(axis=-1) if value == "expected" else np.where(mask, a, -np.inf).max(axis=-1)
            for p, a, mask in zip(policies, q, table.legal, strict=True)
        ]
        v = np.stack(columns, axis=1)
        stages.insert(0, (q, policies, residual))
    return stages, v


def most_probable(q, legal):
    """Policies that play the best legal actions, ties split evenly."""
    best = np.where(legal, q, -np.inf)
    best = best >= best.max(axis=-1, keepdims=True) - 1e-9
    return best / best.sum(axis=-1, keepdims=True)


def score(game, policies):
    """Exact expected score per agent from the game's start; `policies` is one list (S, A_i) per step."""
    table = Table(game)
    v = table.final
    for now in reversed(policies):
        u = table.payoffs(v)
        v = np.stack([(q * p).sum(axis=-1) for q, p in zip(own_payoffs(u, now), now, strict=True)], axis=1)
    return game.start.ravel() @ v
