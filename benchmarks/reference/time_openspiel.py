"""Time OpenSpiel's tabular multi-agent Q-learners; prints one JSON list. Run by its own interpreter.

    python -m venv env && env/bin/pip install open_spiel nashpy cvxopt cvxpy matplotlib
    env/bin/python benchmarks/reference/time_openspiel.py

The like game is grid game I, 3x3: OpenSpiel's `pathfinding` on the same map (agents that collide stay; a step is
one simultaneous move of both). Its correlated-Q learner uses the coarse equilibrium, whatever `is_cce` says.
"""

import importlib.metadata
import json
import time

from open_spiel.python import rl_environment
from open_spiel.python.algorithms.tabular_multiagent_qlearner import CorrelatedEqSolver, MultiagentQLearner
from open_spiel.python.algorithms.tabular_qlearner import QLearner

SECONDS = 8.0
GRID = "A.B\n...\nb.a"


def steps_per_second(correlated: bool) -> float:
    """Let two agents learn for a while."""
    environment = rl_environment.Environment("pathfinding", grid=GRID, players=2, step_reward=0.0)
    actions = environment.game.num_distinct_actions()
    if correlated:
        agents = [MultiagentQLearner(i, 2, [actions] * 2, CorrelatedEqSolver(is_cce=False)) for i in range(2)]
    else:
        agents = [QLearner(i, actions) for i in range(2)]
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        now, chosen = environment.reset(), [None, None]
        while not now.last() and time.perf_counter() - began < SECONDS:
            if correlated:
                chosen = [agent.step(now, chosen).action for agent in agents]
            else:
                chosen = [agent.step(now).action for agent in agents]
            now = environment.step(chosen)
            steps += 1
        if now.last():  # they learn from the last step, and forget the episode
            for agent in agents:
                agent.step(now, chosen) if correlated else agent.step(now)
    return steps / (time.perf_counter() - began)


def main() -> None:
    """Print what was measured."""
    version = importlib.metadata.version("open_spiel")
    print(
        json.dumps(
            [
                {
                    "version": version,
                    "game": "pathfinding, 3x3, two agents",
                    "learner": name,
                    "steps_per_second": steps_per_second(correlated),
                }
                for name, correlated in (("tabular Q-learning", False), ("tabular correlated-Q", True))
            ]
        )
    )


if __name__ == "__main__":
    main()
