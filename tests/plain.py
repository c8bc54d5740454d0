"""The equations that the solvers solve, in nested loops over joint states and joint actions: slow and readable.

    pi_i(a|x) = exp(beta_i Q_i(x,a)) / sum over legal b,     V_i by the value rule,
    T(Q)_i(x, a_i) = sum over a_-i of prod_j pi_j(a_j|x) [ R_i(x, a) + discount_i sum_x' P(x'|x, a) V_i(x') ].

Arrays are public ones: states first, actions last; illegal entries are NaN.
"""

import itertools
import math

import numpy as np
from tests.games.loops import legal_at, reward_at, successors_at


def policy_of(row, allowed, beta):
    """pi(a) at one state, as a dictionary over legal actions."""
    top = max(beta * row[a] for a in allowed)
    weights = {a: math.exp(beta * row[a] - top) for a in allowed}
    total = sum(weights.values())
    return {a: w / total for a, w in weights.items()}


def value_of(rule, row, allowed, beta):
    """V at one state."""
    if rule == "greedy":
        return max(row[a] for a in allowed)
    if rule == "soft":
        top = max(row[a] for a in allowed)
        return top + math.log(sum(math.exp(beta * (row[a] - top)) for a in allowed)) / beta
    return sum(p * row[a] for a, p in policy_of(row, allowed, beta).items())


def policies(game, beta, q):
    """Per agent, {state: {action: probability}}."""
    return [
        {x: policy_of(q[i][x], legal_at(game, x)[i], beta[i]) for x in np.ndindex(*game.state_shape)}
        for i in range(game.number_of_agents)
    ]


def values(game, rule, beta, q):
    """V_i (*states) per agent."""
    result = []
    for i in range(game.number_of_agents):
        v = np.zeros(game.state_shape)
        for x in np.ndindex(*game.state_shape):
            v[x] = value_of(rule, q[i][x], legal_at(game, x)[i], beta[i])
        result.append(v)
    return result


def backup(game, discount, play, ahead):
    """Q_i(x, a_i) against the others' play, with values V_i one step ahead."""
    result = [np.full((*game.state_shape, count), np.nan) for count in game.action_counts]
    for x in np.ndindex(*game.state_shape):
        allowed = legal_at(game, x)
        for i, own in enumerate(allowed):
            result[i][x][own] = 0.0
        for joint in itertools.product(*allowed):
            for i in range(game.number_of_agents):
                chance = math.prod(play[j][x][a] for j, a in enumerate(joint) if j != i)
                future = sum(p * ahead[i][y] for p, y in successors_at(game, x, joint))
                result[i][(*x, joint[i])] += chance * (reward_at(game, i, x, joint) + discount[i] * future)
    return result


def bellman(game, rule, beta, discount, q):
    """T(Q)."""
    return backup(game, discount, policies(game, beta, q), values(game, rule, beta, q))


def gap(q, image):
    """max |Q - T(Q)| over agents, states and legal actions."""
    return max(float(np.nanmax(np.abs(a - b))) for a, b in zip(q, image, strict=True))


def residual(solution):
    """max |Q - T(Q)| of a solution, every decision of a horizon included."""
    game, p = solution.game, solution.parameters
    q = [solution.q[i] for i in range(game.number_of_agents)]
    if p.horizon is None:
        return gap(q, bellman(game, p.value, p.beta, p.discount, q))
    ahead = [np.broadcast_to(f, game.state_shape) for f in game.final_rewards]
    worst = 0.0
    for time in reversed(range(p.horizon)):
        now = [a[time] for a in q]
        worst = max(worst, gap(now, backup(game, p.discount, policies(game, p.beta, now), ahead)))
        ahead = values(game, p.value, p.beta, now)
    return worst
