"""The learners that equilibria are compared with, one a file; docs/learners.md says how to use them.

Each has a function that learns with one seed, `q_learning(game, steps=..., seed=...)`. `train` learns with many seeds
at once, given a learner's settings: `train(game, QLearning(), steps=..., seeds=range(20))`. `model_based` iterates
values on the known game.
"""

from quantal.baselines.comparison import METHODS, Contest, compare
from quantal.baselines.correlated import correlated_equilibrium
from quantal.baselines.correlated_q import Correlated, correlated_q
from quantal.baselines.fictitious_forecast import fictitious_forecast
from quantal.baselines.fictitious_play import fictitious_play
from quantal.baselines.fmq import FMQ, fmq
from quantal.baselines.friend_or_foe import Foe, Friend, friend_or_foe
from quantal.baselines.jal import jal, joint_action_learner
from quantal.baselines.joint_q import JointQ
from quantal.baselines.judgement import (
    Judgement,
    coarse_violation,
    correlated_violation,
    joint_play,
    separated,
    signal_gain,
)
from quantal.baselines.learned import Learned
from quantal.baselines.model_based import model_based
from quantal.baselines.nash_q import Nash, nash_q
from quantal.baselines.nscp import nscp, nscp_learner
from quantal.baselines.q_learning import QLearning, q_learning
from quantal.baselines.schedules import Boltzmann, Constant, Cooling, Decay, Greedy, PerVisit, Uniform
from quantal.baselines.training import train

__all__ = [
    "FMQ",
    "METHODS",
    "Boltzmann",
    "Constant",
    "Contest",
    "Cooling",
    "Correlated",
    "Decay",
    "Foe",
    "Friend",
    "Greedy",
    "JointQ",
    "Judgement",
    "Learned",
    "Nash",
    "PerVisit",
    "QLearning",
    "Uniform",
    "coarse_violation",
    "compare",
    "correlated_equilibrium",
    "correlated_q",
    "correlated_violation",
    "fictitious_forecast",
    "fictitious_play",
    "fmq",
    "friend_or_foe",
    "jal",
    "joint_action_learner",
    "joint_play",
    "model_based",
    "nash_q",
    "nscp",
    "nscp_learner",
    "q_learning",
    "separated",
    "signal_gain",
    "train",
]
