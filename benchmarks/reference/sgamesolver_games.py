"""The random games of sgamesolver, drawn without it.

A game has payoffs u[s, p, a_1..a_M], transitions phi[s, a_1..a_M, s'] and discounts delta[p]:

    Q_p(s, a_p) = E_{pi_-p(.|s)} [ u[s, p, a] + delta[p] * sum_s' phi[s, a, s'] V_p(s') ].

One numpy generator, `default_rng(seed)`, makes every draw, in this order:

1. only if `actions` is a pair (low, high): the action counts, uniform on low..high, shape (S, M);
2. the payoffs, state by state: uniform on [0, 1), shape (M, A_1..A_M) of that state;
3. the transitions, state by state: standard exponentials, shape (A_1..A_M, S) of that state. Each
   row is then multiplied by the reciprocal of its sum (not divided by it: the last bit differs).

Agrees bit for bit with `SGame.random_game` of sgamesolver 1.0.2 (`make_sgamesolver.py` asserts it).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class RandomSGame(NamedTuple):
    """S states, M players, at most A actions each; zeros stand beyond a state's `counts`."""

    payoffs: NDArray[np.float64]  # (S, M, A_1..A_M), every A_j = A
    transitions: NDArray[np.float64]  # (S, A_1..A_M, S)
    discount: NDArray[np.float64]  # (M,)
    counts: NDArray[np.int64]  # (S, M), the number of actions that player p has in state s


def random_sgame(
    states: int,
    players: int,
    actions: int | Sequence[int],
    delta: float | Sequence[float] = 0.95,
    seed: int = 0,
) -> RandomSGame:
    """Draw the game that `SGame.random_game(states, players, actions, delta, seed)` draws.

    `delta` is one number or one per player. (sgamesolver takes a *list of two numbers* for a range
    to draw from, even with two players; hand it an array to say one per player.)
    """
    rng = np.random.default_rng(seed)
    if isinstance(actions, int):
        counts = np.full((states, players), actions)
    else:
        counts = rng.integers(*actions, size=(states, players), endpoint=True)
    largest = int(counts.max())
    payoffs = np.zeros((states, players) + (largest,) * players)
    transitions = np.zeros((states,) + (largest,) * players + (states,))
    for s in range(states):
        here = tuple(slice(n) for n in counts[s])
        payoffs[(s, slice(None), *here)] = rng.random((players, *counts[s]))
    for s in range(states):
        here = tuple(slice(n) for n in counts[s])
        rows = rng.exponential(size=(*counts[s], states))
        transitions[(s, *here)] = rows * (1 / rows.sum(axis=-1, keepdims=True))
    discount = np.broadcast_to(np.asarray(delta, dtype=float), (players,)).copy()
    return RandomSGame(payoffs, transitions, discount, counts)
