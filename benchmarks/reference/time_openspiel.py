"""Time OpenSpiel's tabular multi-agent Q-learners; prints one JSON list. Run by its own interpreter.

    python -m venv env && env/bin/pip install open_spiel && env/bin/python benchmarks/reference/time_openspiel.py

The like game: OpenSpiel has no grid game of Greenwald & Hall. Its `markov_soccer` (4 x 5 cells, two agents, 5 actions,
moves that collide) is the nearest two-agent grid game that it has; a step is one simultaneous move of both.
"""

import importlib.metadata
import json
import time

from open_spiel.python import rl_environment
from open_spiel.python.algorithms import tabular_qlearner

SECONDS = 5.0


def independent() -> float:
    """Steps a second of two independent Q-learners."""
    environment = rl_environment.Environment("markov_soccer")
    actions = environment.action_spec()["num_actions"]
    agents = [tabular_qlearner.QLearner(player_id=i, num_actions=actions) for i in range(2)]
    steps, began = 0, time.perf_counter()
    while time.perf_counter() - began < SECONDS:
        now = environment.reset()
        while not now.last():
            chosen = [agent.step(now).action for agent in agents]
            now = environment.step(chosen)
            steps += 1
        for agent in agents:
            agent.step(now)
    return steps / (time.perf_counter() - began)


def main() -> None:
    """Print what was measured."""
    version = importlib.metadata.version("open_spiel")
    rows = [
        {
            "version": version,
            "game": "markov_soccer",
            "learner": "independent tabular Q-learning",
            "steps_per_second": independent(),
        }
    ]
    print(json.dumps(rows))


if __name__ == "__main__":
    main()
