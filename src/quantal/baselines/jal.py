"""JAL, joint-action learning: values of joint actions, averaged over how often the others chose theirs.

    EV_i(x, a_i) = sum_{a_-i} Q_i(x, a) prod_{j != i} C_j(a_j) / sum C_j

Claus & Boutilier (1998), for repeated games; here the counts are kept per state, and what follows is worth max EV_i.
See `quantal.baselines.modelling`.
"""

from __future__ import annotations

from collections.abc import Sequence

from quantal.baselines.learned import Learned
from quantal.baselines.modelling import Counts, Modeller
from quantal.baselines.schedules import Decay, Exploration, Greedy, Schedule
from quantal.baselines.training import train_one
from quantal.game import MarkovGame

RATE = Decay(1.0, 0.001)
EXPLORATION = Greedy()


def joint_action_learner(
    rate: Schedule | float = RATE, exploration: Exploration | float = EXPLORATION, initial: float = 0.0
) -> Modeller:
    """Make the learner."""
    return Modeller("JAL", Counts(), rate, exploration, initial)


def jal(
    game: MarkovGame,
    *,
    steps: int | None = None,
    episodes: int | None = None,
    seed: int = 0,
    discount: float | Sequence[float] | None = None,
    episode_length: int | None = None,
    rate: Schedule | float = RATE,
    exploration: Exploration | float = EXPLORATION,
    initial: float = 0.0,
) -> Learned:
    """Let the agents learn as joint-action learners.

    Parameters
    ----------
    game, steps, episodes, seed, discount, episode_length
        As in `quantal.baselines.train`, which learns with many seeds at once.
    rate, exploration, initial
        Learning rate, how actions are chosen while learning, and first values of joint actions.
    """
    learner = joint_action_learner(rate, exploration, initial)
    return train_one(game, learner, steps, episodes, seed, discount, episode_length)
