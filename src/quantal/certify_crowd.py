r"""What can be said for certain about a crowd's solution (Theorem 3, and how the map answers small changes).

A priori, with L = what one unit of change of everyone's occupancy (in l1) can change Psi, omega >= |R|, |R_F|,
phi >= |Psi| and xi = (T + 1)(omega + phi), plain alternation contracts if

    2 L T <= xi exp(-beta (T + 1) xi)       the paper's Theorem 3, L = sum mu
    2 L T (1 + beta xi)^(T + 1) < xi        what its proof gives
    c < 1                                   ours

where c follows the proof's recursions with the constants that are true of them: probabilities change occupancies by
beta |dQ| (not 2 beta), measures of one mass differ at a point by half their l1 distance, and V changes by at most
1 + beta span(Q) / 2 times what Q does (1 for the soft and greedy rules), span(Q) added up backward from R_F:

    Lambda^t = beta sum_{s < t} Delta^s,    Delta^t <= L Lambda^t + S^{t+1} Delta^{t+1},    c = Delta after / before.

A posteriori: the spectral radius of the map's Jacobian at the solution, and, where it is below 1, a first-order bound
of how far the solution is off.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import numpy as np

from quantal.certify import Bound
from quantal.crowds.game import CrowdGame, felt
from quantal.crowds.layout import CrowdModel
from quantal.crowds.solution import CrowdSolution
from quantal.logit import ValueRule, check_value_rule
from quantal.solvers import forward_backward


@dataclass(frozen=True)
class CrowdCertificate:
    """What is certain about a crowd's solution.

    Attributes
    ----------
    occupancy_residual, payoff_residual
        As in the solution.
    bounds
        The a priori conditions, each said to hold or not.
    unique
        Whether one that holds proves that there is no other solution.
    spectral_radius
        Of the Jacobian of the undamped map T at the solution: below 1 plain alternation stays near it.
    error_bound
        First-order bound of |O - O*|; None where the radius is not below 1.
    """

    occupancy_residual: float
    payoff_residual: float
    bounds: tuple[Bound, ...]
    unique: bool
    spectral_radius: float
    error_bound: float | None

    def __str__(self) -> str:
        lines = [
            f"undamped residuals: occupancy {self.occupancy_residual:.3g}, payoff {self.payoff_residual:.3g}",
            *map(str, self.bounds),
            f"unique: {'proved' if self.unique else 'not proved'}",
            f"local contraction: spectral radius {self.spectral_radius:.4g}",
        ]
        if self.error_bound is None:
            lines.append("error bound: none, the radius is not below 1")
        else:
            lines.append(f"error bound |O - O*| (first order): {self.error_bound:.3g}")
        return "\n".join(lines)


def certify(solution: CrowdSolution, model: CrowdModel, dtype: str) -> CrowdCertificate:
    """Check a solution that lies in the layout of `model`."""
    p, rule = solution.parameters, check_value_rule(solution.parameters.value)
    with jax.enable_x64(dtype == "float64"):
        radius = forward_backward.spectral_radius(model, rule, solution.horizon, solution.state)
        error = forward_backward.error_bound(model, rule, solution.horizon, solution.state, radius)
    found = bounds(solution.game, np.asarray(p.beta), solution.horizon, rule)
    return CrowdCertificate(
        solution.occupancy_residual,
        solution.payoff_residual,
        found,
        any(bound.holds for bound in found),
        radius,
        error,
    )


# ---------------------------------------------------------------------- a priori


def others_weight(game: CrowdGame) -> np.ndarray:
    """Sum of |W_ij| over everyone but i, per member; each of a `count` counts."""
    weights, counts = np.abs(felt(game)), np.array([m.count for m in game.members], dtype=float)
    return weights @ counts - np.diagonal(weights)


def felt_by(game: CrowdGame) -> float:
    """The most that Psi can be, in absolute value; 0 where it is a function of the user's own (nothing is known)."""
    if game.interaction is not None:
        return 0.0
    near = 1.0 if game.nearness is None else float(np.abs(game.nearness[1]).max(initial=0.0))
    return near * float(others_weight(game).max())


def _reach(game: CrowdGame) -> float:
    """How much nearness can make of two measures of one mass, over their l1 distance."""
    if game.nearness is None:
        return 0.5
    weights = game.nearness[1]
    # Presence may end at a goal, which counts as nearness 0 there.
    return 0.5 * float((weights.max(axis=1, initial=0.0) - weights.min(axis=1, initial=0.0)).max())


def _sizes(game: CrowdGame, i: int) -> tuple[float, float]:
    """|R_i| and |R_{i,F}|, what arriving is worth among the latter."""
    legal = game.kind_of(i).legal
    rewards = game.rewards[i] if game.rewards[i].shape[1] == 1 else game.rewards[i][legal]
    final = np.append(game.final_rewards[i], game.members[i].goal_reward if game.goals[i] is not None else 0.0)
    return float(np.abs(rewards).max()), float(np.abs(final).max())


def payoff_bound(game: CrowdGame, beta: np.ndarray, horizon: int, rule: ValueRule) -> float:
    """A bound of |Q|."""
    largest, psi = 0.0, felt_by(game)
    for i in range(len(game.members)):
        step, final = _sizes(game, i)
        entropy = np.log(len(game.actions[i])) / beta[i] if rule == "soft" else 0.0
        largest = max(largest, (step + psi + entropy) * horizon + final + psi)
    return float(largest)


def bounds(game: CrowdGame, beta: np.ndarray, horizon: int, rule: ValueRule) -> tuple[Bound, ...]:
    """Theorem 3 with the paper's constant, with its proof's, and with ours."""
    names = ("Theorem 3 (paper's constant)", "Theorem 3 (its proof's constant)", "Theorem 3 (ours)")
    if game.interaction is not None:
        why = "Psi is a function of your own, its Lipschitz constant is not known"
        return tuple(Bound(name, "2 L T", np.nan, np.nan, False, why) for name in names)
    near = 1.0 if game.nearness is None else float(np.abs(game.nearness[1]).max(initial=0.0))
    steepest, lipschitz, phi = float(beta.max()), near * float(others_weight(game).max()), felt_by(game)
    omega = max(max(_sizes(game, i)) for i in range(len(game.members)))
    xi = (horizon + 1) * (omega + phi)
    size = 2 * lipschitz * horizon
    paper = xi * np.exp(-steepest * (horizon + 1) * xi)
    power = (horizon + 1) * np.log1p(steepest * xi)
    better = xi * np.exp(-power)
    why = "" if rule == "expected" else f"it is about the expected rule, this is the {rule} rule"
    factor = contraction(game, beta, horizon, rule)
    return (
        Bound(names[0], "2 L T", size, float(paper), bool(not why and size <= paper), why),
        Bound(names[1], "2 L T", size, float(better), bool(not why and (size < better or size == 0)), why),
        Bound(names[2], "contraction factor", factor, 1.0, bool(factor < 1 - 1e-12)),
    )


def contraction(game: CrowdGame, beta: np.ndarray, horizon: int, rule: ValueRule) -> float:
    """C of our version of Theorem 3: how much a round of plain alternation can at most leave of |Q - Q'|."""
    # With Psi(O^T) in the final rewards there is one time more at which Psi is felt.
    times = horizon + game.final_interaction
    steepest = float(beta.max())
    lipschitz = _reach(game) * float(others_weight(game).max())
    # Everyone's Q differs by at most 1 at each of the T decisions, so occupancies at time t by beta t.
    change = lipschitz * steepest * np.arange(times)
    psi = 2 * felt_by(game)
    worst = 0.0
    for i in range(len(game.members)):
        step, final = _sizes(game, i)
        span = 2 * final + (psi if game.final_interaction else 0.0)
        moved = change[-1] if game.final_interaction else 0.0
        for time in reversed(range(horizon)):
            moved = change[time] + moved
            worst = max(worst, moved)
            span += 2 * step + psi
            if rule == "soft":
                span += np.log(len(game.actions[i])) / beta[i]
            # V at this time moves by at most this times Q.
            moved *= 1 + beta[i] * span / 2 if rule == "expected" else 1.0
    return float(worst)
