"""The stag hunt's folds, against the scalar equation that its equilibria solve."""

import numpy as np

import quantal as qt


def test_the_branch_folds_where_the_scalar_equation_says():
    # Given p, the cautious hunter's probability of the stag, the eager one's is q = s(beta gain(p)); p must answer q.
    # Counting the roots p of that one equation on a fine grid needs nothing of ours.
    game = qt.games.coordination.stag_hunt()
    (cautious,), (eager,) = game.rewards

    def roots(beta):
        p = np.linspace(1e-6, 1 - 1e-6, 400_001)
        mine = p * (eager[0, 0] - eager[0, 1]) + (1 - p) * (eager[1, 0] - eager[1, 1])
        q = 1 / (1 + np.exp(-beta * mine))
        gain = q * (cautious[0, 0] - cautious[1, 0]) + (1 - q) * (cautious[0, 1] - cautious[1, 1])
        return int((np.diff(np.sign(beta * gain - np.log(p / (1 - p)))) != 0).sum())

    path = qt.solve_path(game, [4.0], discount=0.0)
    high, low = (fold.beta for fold in path.folds)
    assert [roots(b) for b in (low - 1e-3, low + 1e-3, high - 1e-3, high + 1e-3)] == [1, 3, 3, 1]
