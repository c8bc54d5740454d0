"""How long a step of learning while acting takes, warm: a belief about goals, and rewards learned online.

Run with ``python -m benchmarks.online``. Minimum, median and maximum over the steps of the second and third episode, in
this process, after compiling.
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


def watching(learner, episodes):
    """Milliseconds of each step of all episodes but the first."""
    found = []
    for k, episode in enumerate(episodes):
        learner.restart()
        found += timed(lambda step, episode=episode: learner.observe(*episode[step]), len(episode)) if k else []
        for step in episode if k == 0 else ():
            learner.observe(*step)
    return found


def pursuit_updates(**terms):
    """The prey's two weights, watched by the hunter."""
    game = qt.games.pursuit.two_players()
    wants = qt.infer.features
    features = qt.infer.Features.of(game, {"p": [wants.collision(game, "p"), wants.waiting(game, "p")]})
    seen = qt.simulate(game, qt.solve(game, beta=1.0, **terms), episodes=3, seed=0, steps=terms.get("horizon", 10))
    episodes = [list(zip(states[:-1].tolist(), actions.tolist(), strict=True)) for states, actions in each(seen)]
    with compiled():
        return watching(qt.infer.online(game, features, agent="h", **terms), episodes)


def each(seen):
    """States and actions of every episode."""
    return zip(seen.states, seen.actions, strict=True)


def driving_updates():
    """What waiting costs car 3, watched by car 1."""
    scene = qt.read_scene("junction")
    crowd = scene.crowd()
    features = qt.infer.Features.of(crowd, {"car 3": [qt.infer.features.waiting(crowd, "car 3")]}, keep=True)
    horizon, agents = scene.horizon, range(len(crowd.agents))
    played = qt.solve(features.game_with(crowd, [0.2]), beta=scene.beta, horizon=horizon)
    rng = np.random.default_rng(0)
    episodes = []
    for _ in range(3):
        places, episode = [int(np.flatnonzero(crowd.start(i))[0]) for i in agents], []
        for now in range(horizon):
            chances = [played.policy[i][now, places[i]] for i in agents]
            actions = [int(rng.choice(pi.size, p=pi)) for pi in chances]
            episode.append((places, actions))
            places = [int(crowd.kind_of(i).successors[places[i], actions[i], 0]) for i in agents]
        episodes.append(episode)
    with compiled():
        return watching(qt.infer.online(crowd, features, agent="car 1", beta=scene.beta, horizon=horizon), episodes)


def main():
    rows = {
        "goals, junction, 4 hypotheses": goal_updates(),
        "online, junction, MGE-FB": driving_updates(),
        "online, pursuit, MGE-I, discount 0.8": pursuit_updates(discount=0.8),
        "online, pursuit, MGE-F, horizon 5": pursuit_updates(horizon=5),
        "online, pursuit, MGE-F, horizon 22": pursuit_updates(horizon=22),
    }
    for name, milliseconds in rows.items():
        print(
            f"{name:40s} {np.min(milliseconds):9.2f} ms  median {statistics.median(milliseconds):9.2f} ms"
            f"  most {np.max(milliseconds):9.2f} ms"
        )


if __name__ == "__main__":
    main()
