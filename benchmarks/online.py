"""How long a step of learning while acting takes, warm: a belief about goals, and rewards learned online.

Run with ``python -m benchmarks.online``. Minimum and median over the steps, in this process, after compiling.
"""

from __future__ import annotations

import statistics
import time

import numpy as np

import quantal as qt
from quantal.precision import compiled


def timed(act, steps):
    """Milliseconds of each call."""
    found = []
    for step in range(steps):
        began = time.perf_counter()
        act(step)
        found.append(1e3 * (time.perf_counter() - began))
    return found


def goal_updates():
    scene = qt.read_scene("junction")
    beliefs = qt.infer.goals(
        scene.crowd(), {"car 3": ["r1c1", "r2c8"], "car 2": ["r2c8", "r1c0"]}, beta=scene.beta, horizon=scene.horizon
    )
    beliefs.observe(("r1c5", "r2c2", "r4c6", "r3c3"))
    return timed(lambda _: beliefs.observe(("r1c5", "r2c2", "r4c6", "r3c3")), scene.horizon)


def online_updates(**terms):
    game = qt.games.pursuit.two_players()
    wants = qt.infer.features
    features = qt.infer.Features.of(game, {"p": [wants.collision(game, "p"), wants.waiting(game, "p")]})
    with compiled():
        learner = qt.infer.online(game, features, agent="h", **terms)
        stay = [names.index("stay") for names in game.actions]

        def act(_):
            learner.observe((0, 4), stay)
            learner.restart()

        return timed(act, 12)[3:]


def main():
    rows = {
        "goals, junction, 4 hypotheses": goal_updates(),
        "online, pursuit, MGE-I, discount 0.8": online_updates(discount=0.8),
        "online, pursuit, MGE-F, horizon 5": online_updates(horizon=5),
    }
    for name, milliseconds in rows.items():
        print(f"{name:40s} {np.min(milliseconds):9.2f} ms  median {statistics.median(milliseconds):9.2f} ms")


if __name__ == "__main__":
    main()
