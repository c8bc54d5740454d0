"""What derivatives and estimates cost beside a solve, warm, side by side in this process.

Run with ``python -m benchmarks.inference``. Calls take turns, and the minimum over the rounds is reported, because a
busy machine only ever makes a call slower.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np

import quantal as qt
from quantal.precision import compiled

ROUNDS = 15


def side_by_side(calls, rounds=ROUNDS):
    """Fewest seconds of each call."""
    best = dict.fromkeys(calls, np.inf)
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            began = perf_counter()
            call()
            best[name] = min(best[name], perf_counter() - began)
    return best


def pursuit_features(game):
    """Five weights: three of the hunter, two of the prey."""
    wants = qt.infer.features
    return qt.infer.Features.of(
        game,
        {
            "h": [
                wants.collision(game, "h"),
                wants.waiting(game, "h"),
                wants.indicator(game, "h", at=4, name="middle"),
            ],
            "p": [wants.waiting(game, "p"), wants.indicator(game, "p", at=4, name="middle")],
        },
    )


def posed():
    """(name, likelihood, p) of a game for each solver."""
    game = qt.games.pursuit.two_players()
    wanted, p = pursuit_features(game), np.array([0.4, 0.1, -0.2, 0.2, -0.1])
    played = qt.simulate(game, qt.solve(wanted.game_with(game, p), beta=1.0, horizon=22), episodes=1000)
    counts = [np.asarray(c, dtype=float) for c in played.counts(game)]
    yield "MGE-F, pursuit, T = 22", qt.infer.likelihood(game, played, features=wanted, horizon=22), p
    yield "MGE-I, pursuit, 0.9", qt.infer.likelihood(game, counts, features=wanted, discount=0.9), p
    scene = qt.games.driving.junction()
    betas, horizon = (3.0, 3.0, 3.0, 0.75), 24
    solution = qt.solve(scene, beta=betas, horizon=horizon)
    expected = []
    for i, goal in enumerate(scene.goals):
        own = 100 * solution.occupancy[i][:horizon, :, None] * np.nan_to_num(solution.policy[i])
        own[:, goal] = 0.0
        expected.append(own)
    crowd = qt.infer.likelihood(
        scene, expected, beta=betas, estimate_beta="per_agent", estimate_weights="per_kind", horizon=horizon
    )
    yield "MGE-FB, junction, T = 24", crowd, crowd.start


def main():
    print(f"{'':28s}{'solve':>12s}{'gradient':>12s}{'times':>8s}{'Fisher step':>14s}")
    with compiled():
        for name, likelihood, p in posed():
            solutions = likelihood.solve(p)

            def solve(likelihood=likelihood, p=p):
                return likelihood.problems[0].solve(p)

            def gradient(likelihood=likelihood, p=p, solutions=solutions):
                likelihood.use(p, solutions)
                return likelihood.gradient(p)

            best = side_by_side(
                {
                    "solve": solve,
                    "gradient": gradient,
                    "fisher": lambda likelihood=likelihood, p=p: likelihood.assess(p),
                }
            )
            ratio = best["gradient"] / best["solve"]
            print(
                f"{name:28s}{1e3 * best['solve']:9.2f} ms{1e3 * best['gradient']:9.2f} ms{ratio:8.2f}"
                f"{1e3 * best['fisher']:11.2f} ms"
            )
        game = qt.games.pursuit.two_players()
        wanted, p = pursuit_features(game), np.array([0.4, 0.1, -0.2, 0.2, -0.1])
        played = qt.simulate(game, qt.solve(wanted.game_with(game, p), beta=1.0, horizon=22), episodes=1000)

        def fit():
            return qt.infer.rewards(game, wanted, played, horizon=22)

        print(
            f"\nfive weights from 1,000 episodes (T = 22): {side_by_side({'fit': fit}, 3)['fit']:.2f} s warm; {fit()}"
        )


if __name__ == "__main__":
    main()
