"""NSCP-style (reconstructed): best answers to recency-weighted models of the others.

    EV_i(x, b) = sum_{a_-i} prod_{j != i} model_j(a_j | x) Q_i(x, b, a_-i)
    Q_i(x, a) <- (1 - rate) Q_i(x, a) + rate [ r_i + discount_i max_b EV_i(x', b) ]
    model_j(. | x) <- (1 - weight) model_j(. | x) + weight [the action that j chose at x]

After the non-stationary converging policies (NSCP) learner of Weinberg & Rosenschein (2004), against which Etesami &
Straehle (2020) play. Its full text was not to be had: this is a reconstruction from descriptions, and the weight, the
rate and epsilon are ours. See `quantal.baselines.modelling`.
"""

from __future__ import annotations

from collections.abc import Sequence

from quantal.baselines.learned import Learned
from quantal.baselines.modelling import Modeller, Recency
from quantal.baselines.schedules import Decay, Exploration, Greedy, Schedule
from quantal.baselines.training import train_one
from quantal.game import MarkovGame

RATE = Decay(1.0, 0.001)
EXPLORATION = Greedy()
WEIGHT = 0.1


def nscp_learner(
    rate: Schedule | float = RATE,
    exploration: Exploration | float = EXPLORATION,
    weight: float = WEIGHT,
    initial: float = 0.0,
) -> Modeller:
    """Make the learner."""
    return Modeller("NSCP-style (reconstructed)", Recency(weight), rate, exploration, initial)


def nscp(
    game: MarkovGame,
    *,
    steps: int | None = None,
    episodes: int | None = None,
    seed: int = 0,
    discount: float | Sequence[float] | None = None,
    episode_length: int | None = None,
    rate: Schedule | float = RATE,
    exploration: Exploration | float = EXPLORATION,
    weight: float = WEIGHT,
    initial: float = 0.0,
) -> Learned:
    """Let the agents learn NSCP-style (reconstructed).

    Parameters
    ----------
    game, steps, episodes, seed, discount, episode_length
        As in `quantal.baselines.train`, which learns with many seeds at once.
    rate, exploration, initial
        Learning rate, how actions are chosen while learning, and first values of joint actions.
    weight
        Of the newest action in the models, 0 to 1.
    """
    learner = nscp_learner(rate, exploration, weight, initial)
    return train_one(game, learner, steps, episodes, seed, discount, episode_length)
