"""The logit Markov quantal response equilibrium in plain numpy, to hold peers against.

    Q_p(s, a) = E_{pi_-p(.|s)} [ u[s, p, a] + delta[p] * sum_s' phi[s, a, s'] V_p(s') ]    Q = T(Q)
    pi_p(a|s) = exp(lambda Q_p(s, a)) / sum_b exp(lambda Q_p(s, b))
    V_p(s)    = sum_a pi_p(a|s) Q_p(s, a)

`polish` is Newton's method on Q - T(Q) = 0 at a fixed lambda, with the exact Jacobian (complex
step) and, where the platform has it, a residual in extended precision, so that policies are right
to about the last digit. It stops when a step no longer shrinks the residual max|Q - T(Q)|. Shares
no code with the solvers it checks.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sgamesolver_games import RandomSGame


class Point(NamedTuple):
    """A solution at one lambda; axes (S, M, A) and, for `values`, (S, M). Padded with zeros."""

    policy: NDArray[np.float64]
    values: NDArray[np.float64]
    q: NDArray[np.float64]
    residual: float  # max|Q - T(Q)|
    condition: float  # 1 / smallest singular value of I - T'(Q): large next to a fold


def legal(game: RandomSGame) -> NDArray[np.bool_]:
    """Which of the padded actions exist, (S, M, A)."""
    return np.arange(game.transitions.shape[1]) < game.counts[..., None]


def choose(game: RandomSGame, q: NDArray, lam: float) -> NDArray:
    """The logit policy of the action values q, (S, M, A)."""
    mask = legal(game)
    top = np.where(mask, q.real, -np.inf).max(axis=-1, keepdims=True)
    weights = np.where(mask, np.exp(lam * np.where(mask, q - top, 0)), 0)
    return weights / weights.sum(axis=-1, keepdims=True)


def look_ahead(game: RandomSGame, policy: NDArray, values: NDArray) -> NDArray:
    """Action values (S, M, A) from values (S, M) one step ahead, against policy (S, M, A)."""
    players = policy.shape[1]
    future = np.einsum("s...t,tp->ps...", game.transitions, game.discount * values)
    joint = list(range(players + 1))
    q = []
    for p in range(players):
        opponents = [x for j in range(players) if j != p for x in (policy[:, j], [0, j + 1])]
        q.append(np.einsum(game.payoffs[:, p] + future[p], joint, *opponents, [0, p + 1]))
    return np.where(legal(game), np.stack(q, axis=1), 0)


def update(game: RandomSGame, q: NDArray, lam: float) -> NDArray:
    """T(Q)."""
    policy = choose(game, q, lam)
    return look_ahead(game, policy, (policy * q).sum(axis=-1))


def residual(game: RandomSGame, q: NDArray, lam: float) -> float:
    """max|Q - T(Q)|."""
    return float(np.abs(q - update(game, q, lam)).max())


def polish(game: RandomSGame, q: NDArray, lam: float, max_steps: int = 50) -> Point:
    """Newton's method on Q = T(Q) from q."""
    mask, h = legal(game), 1e-30
    q = np.where(mask, q, 0).astype(np.longdouble)
    gap = q - update(game, q, lam)
    for _ in range(max_steps):
        jacobian = np.empty((mask.sum(), mask.sum()))
        for k, index in enumerate(zip(*np.nonzero(mask), strict=True)):
            nudged = q.astype(complex)
            nudged[index] += 1j * h
            jacobian[:, k] = (nudged - update(game, nudged, lam))[mask].imag / h
        trial = q.copy()
        trial[mask] -= np.linalg.solve(jacobian, gap[mask].astype(float))
        new_gap = trial - update(game, trial, lam)
        if not np.abs(new_gap).max() < np.abs(gap).max():
            break
        q, gap = trial, new_gap
    policy = choose(game, q, lam)
    condition = 1 / np.linalg.svd(jacobian, compute_uv=False)[-1]
    value = (policy * q).sum(axis=-1)
    arrays = (np.asarray(x, dtype=float) for x in (policy, value, q))
    return Point(*arrays, float(np.abs(gap).max()), float(condition))
