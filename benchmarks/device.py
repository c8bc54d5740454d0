"""The same programs on the processor and on an accelerator: answers compared, seconds side by side.

`python -m benchmarks.device` prints a table; where JAX finds no accelerator it says so and ends. Every case runs in a
process of its own per device, so that neither holds memory from the other; seconds are the fastest of a few warm calls.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import quantal as qt
from benchmarks import sweep
from benchmarks.crowd import crowd_on_map
from benchmarks.timing import timed
from quantal.layout import model_of

Answer = tuple[np.ndarray, ...]


def policies(solution: qt.Solution | qt.CrowdSolution) -> Answer:
    return tuple(np.asarray(solution.policy[agent]) for agent in list(solution.policy)[:4])


def sweeps(name: str) -> Callable[[], Answer]:
    """Ten sweeps of a case of `benchmarks.sweep`, the game on the device beforehand."""
    with jax.enable_x64(True):
        model = jax.device_put(model_of(sweep.game_on_map(*sweep.CASES[name])))
        engine, _ = sweep.compiled(model, tuple(map(jnp.asarray, sweep.start_of(model))))

        def run() -> Answer:
            return tuple(np.asarray(q) for q in engine(10))

    return run


def random_game() -> Callable[[], Answer]:
    game = qt.games.random.stochastic(128, 2, 4, seed=0)
    return lambda: policies(qt.solve(game, beta=5.0, discount=0.95))


def pursuit_three() -> Callable[[], Answer]:
    game = qt.games.pursuit.three_players()
    return lambda: policies(qt.solve(game, beta=1.0, horizon=3))


def pursuit_two() -> Callable[[], Answer]:
    game = qt.games.pursuit.two_players()
    return lambda: policies(qt.solve(game, beta=1.0, horizon=22))


def junction() -> Callable[[], Answer]:
    scene = qt.read_scene("junction")
    crowd = scene.crowd()
    return lambda: policies(qt.solve(crowd, beta=scene.beta_of(crowd), horizon=scene.horizon))


def crowd(dtype: str, tol: float) -> Callable[[], Answer]:
    game = crowd_on_map(20)
    return lambda: policies(qt.solve(game, beta=1.0, horizon=128, dtype=dtype, tol=tol))


CASES: dict[str, Callable[[], Callable[[], Answer]]] = {
    "pursuit, three players, T = 3": pursuit_three,
    "pursuit, two players, T = 22": pursuit_two,
    "random, 128 x 2 x 4, beta = 5": random_game,
    "driving scene": junction,
    "20 agents, 64 x 64, T = 128, float32": lambda: crowd("float32", 1e-2),
    **{f"10 sweeps: {name}": lambda name=name: sweeps(name) for name in sweep.CASES},
}


def alone(name: str, out: Path) -> None:
    """Run one case on JAX's default device; keep the answer, print first and warm seconds."""
    run = CASES[name]()
    np.savez(out, *run())
    times = timed(run, 3)
    print(f"{jax.devices()[0].device_kind}\t{times.first}\t{times.fastest}")


def ask(name: str, platform: str, out: Path) -> tuple[str, float]:
    """Run a case in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.device", name, str(out)]
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    if platform:
        environment["JAX_PLATFORMS"] = platform
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} on {platform or 'the accelerator'}: {done.stderr.strip()[-600:]}")
    kind, _, warm = done.stdout.strip().splitlines()[-1].split("\t")
    return kind, float(warm)


def main() -> None:
    """Print the table."""
    if jax.default_backend() == "cpu":
        print("no accelerator: nothing to compare")
        return
    print("| what | processor, s | accelerator, s | ratio | largest difference |")
    print("| --- | --: | --: | --: | --: |")
    for name in CASES:
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / f"{k}.npz" for k in range(2)]
            try:
                (_, host), (kind, device) = ask(name, "cpu", files[0]), ask(name, "", files[1])
            except RuntimeError as error:
                print(f"| {name} | failed: {error} |", flush=True)
                continue
            with np.load(files[0]) as a, np.load(files[1]) as b:
                apart = max(float(np.nanmax(np.abs(a[k] - b[k]))) for k in a.files)
        print(f"| {name} | {host:.4f} | {device:.4f} | {host / device:.1f} | {apart:.1e} |", flush=True)
    print(f"\naccelerator: {kind}; processor: {os.cpu_count()} threads")


if __name__ == "__main__":
    if len(sys.argv) == 3:
        alone(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
