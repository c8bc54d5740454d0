"""One sweep Q -> T(Q) of the engine against a fused parallel Numba loop, in one process, round about.

`python -m benchmarks.sweep` prints a table. Agents on one map with five certain moves (stay and the four neighbours;
walls by masks), rewards of the joint state, beta = 1, discount 0.9, V = `expected`, float64. Both sides compute the
same numbers, which is asserted. A ratio is the median over rounds of the ratio within the round, so that other work on
the machine, which slows both, matters little. GB/s counts the bytes that have to move at the least: Q read and written
and the rewards read, once.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.numba_sweep import Sweeper, triad
from quantal import bellman
from quantal.dynamics import Independent
from quantal.game import MarkovGame
from quantal.layout import Model, model_of

CASES = {
    "two agents, 31 x 31": (31, 2),
    "two agents, 32 x 32": (32, 2),
    "three agents, 10 x 10": (10, 3),
    "four agents, 4 x 4": (4, 4),
}
LARGEST = "two agents, 32 x 32"
MOVES = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
WORK = 1.5
"""Seconds of sweeps per side and round, about."""


def map_moves(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Successors and masks (n, 5) of one agent on an open square map; a move into a wall is illegal."""
    row, column = np.divmod(np.arange(side * side), side)
    successors = np.empty((side * side, len(MOVES)), dtype=np.int32)
    legal = np.empty(successors.shape, dtype=bool)
    for a, (down, right) in enumerate(MOVES):
        r, c = row + down, column + right
        legal[:, a] = (r >= 0) & (r < side) & (c >= 0) & (c < side)
        successors[:, a] = np.where(legal[:, a], r * side + c, row * side + column)
    return successors, legal


def game_on_map(side: int, agents: int) -> MarkovGame:
    """Build the game of a case."""
    successors, legal = map_moves(side)
    shape, rng = (side * side,) * agents, np.random.default_rng(0)
    return MarkovGame(
        state_shape=shape,
        rewards=tuple(rng.random(shape + (1,) * agents) for _ in range(agents)),
        dynamics=Independent((successors,) * agents),
        actions=(("stay", "up", "down", "left", "right"),) * agents,
        agents=tuple(f"agent {j}" for j in range(agents)),
        legal=tuple(legal.reshape((1,) * j + (side * side,) + (1,) * (agents - 1 - j) + (5,)) for j in range(agents)),
    )


def compiled(model: Model, q: tuple[jax.Array, ...]) -> tuple[Callable[[int], tuple[jax.Array, ...]], float]:
    """`count` sweeps in one program, and the seconds to compile it."""
    agents = model.number_of_agents
    beta, discount = jnp.ones(agents), jnp.full(agents, 0.9)

    def sweeps(model: Model, beta, discount, q, count):
        return lax.fori_loop(0, count, lambda _, q: bellman.sweep(model, "expected", beta, discount, q), q)

    start = perf_counter()
    program = jax.jit(sweeps).lower(model, beta, discount, q, 1).compile()
    seconds = perf_counter() - start
    return lambda count: jax.block_until_ready(program(model, beta, discount, q, count)), seconds


def start_of(model: Model) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(1)
    return tuple(rng.random((a, *model.state_shape)) for a in model.action_counts)


def compare(name: str, rounds: int) -> str:
    """One row of the table."""
    side, agents = CASES[name]
    game = game_on_map(side, agents)
    successors, legal = map_moves(side)
    with jax.enable_x64(True):
        model = model_of(game)
        start = start_of(model)
        engine, compile_seconds = compiled(model, tuple(map(jnp.asarray, start)))
        found = engine(1)
        rewards = [r.reshape(model.state_shape) for r in game.rewards]
        loops = {
            kind: Sweeper(successors.T, legal.T, rewards, np.ones(agents), np.full(agents, 0.9), kind)
            for kind in ("vector", "libm")
        }
        q = loops["vector"].pad(np.stack(start))
        out = np.empty_like(q)
        for loop in loops.values():
            loop(q, out)
            for mine, theirs in zip(found, loop.unpad(out), strict=True):
                np.testing.assert_allclose(mine, theirs, rtol=1e-12, atol=1e-12)

        start_time = perf_counter()
        engine(3)
        count = max(3, round(3 * WORK / (perf_counter() - start_time)))
        seconds: dict[str, list[float]] = {"engine": [], "vector": [], "libm": []}
        for _ in range(rounds):
            for side_name, times in seconds.items():
                begin = perf_counter()
                if side_name == "engine":
                    engine(count)
                else:
                    for _ in range(count):
                        loops[side_name](q, out)
                times.append((perf_counter() - begin) / count)

    def ratio(kind: str) -> float:
        return statistics.median(e / n for e, n in zip(seconds["engine"], seconds[kind], strict=True))

    moved = 8 * model.number_of_states * (2 * sum(model.action_counts) + agents)
    milliseconds = {k: 1e3 * statistics.median(t) for k, t in seconds.items()}
    return (
        f"| {name} | {model.number_of_states:,} | {milliseconds['engine']:.1f} | {milliseconds['vector']:.1f} | "
        f"{milliseconds['libm']:.1f} | {ratio('vector'):.2f} | {ratio('libm'):.2f} | "
        f"{1e-6 * moved / milliseconds['engine']:.1f} | {1e-6 * moved / milliseconds['vector']:.1f} | "
        f"{compile_seconds:.1f} |"
    )


def bandwidth(rounds: int) -> float:
    """GB/s of a = b + 2 c on arrays far larger than the caches, 24 bytes an element."""
    a, b, c = (np.ones(20_000_000) for _ in range(3))
    triad(a, b, c)
    seconds = []
    for _ in range(3 * rounds):
        begin = perf_counter()
        triad(a, b, c)
        seconds.append(perf_counter() - begin)
    return 1e-9 * 24 * a.size / statistics.median(seconds)


def peak_memory() -> float:
    """MB. From /proc: getrusage would count the process that started this one, too."""
    status = Path("/proc/self/status")
    if status.exists():
        return next(int(line.split()[1]) / 1e3 for line in status.open() if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def alone(name: str) -> None:
    """Only the engine, a few sweeps; print this process's peak memory in MB."""
    with jax.enable_x64(True):
        model = model_of(game_on_map(*CASES[name]))
        engine, _ = compiled(model, tuple(map(jnp.asarray, start_of(model))))
        engine(3)
    print(peak_memory())


def main(rounds: int = 7) -> None:
    """Print the table."""
    print(f"threads: {os.cpu_count()}; load before: {os.getloadavg()[0]:.1f}; triad: {bandwidth(rounds):.1f} GB/s")
    print("Numba `vector`: with a polynomial exponential that LLVM vectorises; `libm`: with the C library's.\n")
    columns = ("states", "engine ms", "vector ms", "libm ms", "engine/vector", "engine/libm")
    print(f"| agents, map | {' | '.join(columns)} | engine GB/s | vector GB/s | compile s |")
    print("| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |")
    for name in CASES:
        print(compare(name, rounds), flush=True)
    command = [sys.executable, "-m", "benchmarks.sweep", "--alone", LARGEST]
    peak = float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    print(f"\npeak memory of a process that sweeps `{LARGEST}`: {peak:.0f} MB (promised: 1500)")
    print(f"load after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    if "--alone" in sys.argv:
        alone(sys.argv[-1])
    else:
        main()
