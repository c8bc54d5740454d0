"""The learners that equilibria are compared with, one a file; see docs/learners.md."""
from quantal.baselines.correlated_q import *
from quantal.baselines.joint_q import *
from quantal.baselines.q_learning import QLearning, q_learning
from quantal.baselines.training import train
from quantal.baselines.schedules import *
