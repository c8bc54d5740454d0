"""Crowds against what they promise: `python -m benchmarks.crowd`.

One forward-backward iteration of many distinct agents on an open 64 x 64 map, T = 128, float32, V = `expected`, weights
mu, against `benchmarks.numba_crowd`, in one process, round about; both sides compute the same numbers, which is
asserted. Seconds are those of the fastest round, ratios the median over rounds of the ratio within the round; seconds
of processor time, which other work on the machine moves less, stand beside them. Then whole fixed points.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter, process_time

import jax
import numpy as np
from numba import set_num_threads

from benchmarks import numba_crowd
from benchmarks.sweep import map_moves, peak_memory
from benchmarks.timing import timed
from quantal.crowds.blockwise import Blockwise
from quantal.crowds.game import CrowdGame, Kind, Member
from quantal.crowds.layout import crowd_layout
from quantal.solvers import forward_backward

FIGURE = Path(__file__).parents[1] / "docs" / "figures" / "crowd-growth.png"
SIDE = 64
HORIZON = 128
BETA = 1.0


def crowd_on_map(agents: int, kinds: int | None = None, *, side: int = SIDE, weight: float = 0.01) -> CrowdGame:
    """Agents who all differ in start and rewards; or, with `kinds`, so many sorts of them, equally many of each."""
    rng = np.random.default_rng(0)
    successors, legal = map_moves(side)
    distinct = agents if kinds is None else kinds
    walker = Kind("walker", actions=("stay", "up", "down", "left", "right"), successors=successors, legal=legal)
    return CrowdGame(
        cells=side * side,
        kinds=[walker],
        members=[
            Member(
                f"agent {i}",
                "walker",
                int(rng.integers(side * side)),
                weight=weight,
                rewards=rng.random(side * side),
                count=agents // distinct,
            )
            for i in range(distinct)
        ],
    )


class Sides:
    """One iteration, by the engine and by Numba."""

    def __init__(self, agents: int, kinds: int | None = None) -> None:
        game = crowd_on_map(agents, kinds)
        self.game, self.agents = game, agents
        self.layout = crowd_layout(game, (BETA,) * len(game.members), "float32")
        model = self.layout.model
        self.work = Blockwise(model, "expected", HORIZON, forward_backward.nobody(model, HORIZON), False)
        start = perf_counter()
        # From what everyone does alone: a state like those that the solver meets.
        self.engine()
        self.first_seconds = perf_counter() - start

    @property
    def state(self) -> np.ndarray:
        """Occupancies (agents, T, n)."""
        (own,) = self.work.state
        return own.swapaxes(1, 2).reshape(-1, HORIZON, SIDE * SIDE)[: self.agents]

    def engine(self) -> float:
        return self.work.sweep(self.work.fields(), 1.0)[0]

    def prepare_numba(self) -> None:
        cells = SIDE * SIDE
        _, legal = map_moves(SIDE)
        own = self.state
        self.own = np.concatenate([own, own[:, -1:]], axis=1)
        self.image = np.empty_like(self.own)
        self.field = np.empty((HORIZON, cells), dtype=np.float32)
        self.rewards = np.stack([r[:, 0] for r in self.game.rewards]).astype(np.float32)
        self.starts = np.array([where[0] for where, _ in self.game.starts])
        self.illegal = np.where(legal.T, 0.0, -1e30).astype(np.float32)
        self.weight = np.array([m.weight for m in self.game.members], dtype=np.float32)
        self.room = numba_crowd.room_for(HORIZON, SIDE)

    def numba(self) -> np.ndarray:
        numba_crowd.total(self.own, self.weight, self.field)
        numba_crowd.iterate(
            SIDE,
            np.float32(BETA),
            self.rewards,
            self.field,
            self.weight,
            self.own,
            self.starts,
            self.illegal,
            self.image,
            self.room,
        )
        return self.image


def against_numba(agents: int = 100, rounds: int = 5) -> None:
    """The ratio; 100 agents give it as well as 1,000 and leave memory for both sides."""
    with jax.enable_x64(False):
        sides = Sides(agents)
        sides.prepare_numba()
        sides.engine()
        np.testing.assert_allclose(sides.state, sides.numba()[:, :HORIZON], atol=2e-5)
        seconds: dict[str, list[tuple[float, float]]] = {"engine": [], "numba": []}
        for _ in range(rounds):
            for name, call in (("engine", sides.engine), ("numba", sides.numba)):
                wall, cpu = perf_counter(), process_time()
                call()
                seconds[name].append((perf_counter() - wall, process_time() - cpu))
    for k, what in enumerate(("wall", "processor")):
        best = {name: 1e3 * min(s[k] for s in both) / agents for name, both in seconds.items()}
        ratio = statistics.median(e[k] / n[k] for e, n in zip(seconds["engine"], seconds["numba"], strict=True))
        print(
            f"one iteration, {agents} agents, 64 x 64, T = 128, float32, {what} ms an agent: engine "
            f"{best['engine']:.2f}, Numba {best['numba']:.2f}, ratio {ratio:.2f} (promised: 2.5)"
        )
    print(f"first iteration, with compiling: {sides.first_seconds:.1f} s")


def iteration_alone(agents: int) -> None:
    """Seconds of one iteration, and the peak memory in MB of a process that then begins a `qt.solve` of that crowd."""
    import quantal as qt

    with jax.enable_x64(False):
        sides = Sides(agents, None if agents <= 1_000 else 10)
        seconds = []
        for _ in range(2 if agents == 1_000 else 4):
            start = perf_counter()
            sides.engine()
            seconds.append(perf_counter() - start)
    game = sides.game
    del sides
    solution = qt.solve(game, beta=BETA, horizon=HORIZON, dtype="float32", max_steps=1)
    assert solution.occupancy["agent 0"].shape == (HORIZON + 1, SIDE * SIDE)
    print(min(seconds), peak_memory())


def growth(largest: int = 10_000) -> None:
    """Time and memory over the number of agents; 10,000 are ten sorts of a thousand. Draws them, too."""
    found: dict[int, tuple[float, float]] = {}
    for agents in (10, 100, 1_000, 10_000):
        if agents > largest:
            break
        command = [sys.executable, "-m", "benchmarks.crowd", "--alone", str(agents)]
        words = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        found[agents] = float(words[0]), float(words[1])
        kinds = " in ten sorts" if agents > 1_000 else ""
        promised = " (promised: 6000 MB)" if agents == 1_000 else ""
        print(
            f"{agents} agents{kinds}: {found[agents][0]:.3f} s an iteration, process peak {found[agents][1]:.0f} MB"
            f"{promised}",
            flush=True,
        )
    draw_growth(found)


def draw_growth(found: dict[int, tuple[float, float]]) -> None:
    """Seconds and megabytes over agents, both axes logarithmic, beside straight proportion."""
    import matplotlib as mpl

    mpl.use("agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
    distinct = [n for n in found if n <= 1_000]
    for k, (ax, what) in enumerate(zip(axes, ("seconds an iteration", "peak memory of the process, MB"), strict=True)):
        ax.loglog(distinct, [found[n][k] for n in distinct], "o-", color="#0072b2", label="all distinct")
        if 10_000 in found:
            ax.loglog([10_000], [found[10_000][k]], "s", color="#d55e00", label="ten sorts of a thousand each")
        base = found[10][k] if k else 0.0  # a process needs something for itself
        share = (found[distinct[-1]][k] - base) / distinct[-1]
        line = np.geomspace(10, distinct[-1])
        ax.loglog(line, base + share * line, ":", color="0.5", label="proportional" if k == 0 else "constant + share")
        ax.set_xlabel("agents")
        ax.set_ylabel(what)
        ax.set_ylim(bottom=min(f[k] for f in found.values()) / 1.5)
        ax.legend(frameon=False, loc="upper left")
        ax.set_ylim(top=ax.get_ylim()[1] * 4)
    figure.savefig(FIGURE, dpi=150)
    plt.close(figure)


def fixed_point(agents: int = 100) -> None:
    """The whole fixed point: at most 15 s on two cores."""
    import quantal as qt

    game = crowd_on_map(agents, weight=0.1)
    for dtype in ("float32", "float64"):
        found = []
        seconds = timed(
            lambda: found.append(qt.solve(game, beta=BETA, horizon=HORIZON, dtype=dtype)),  # noqa: B023
            repeats=2,
        )
        print(
            f"fixed point, {agents} agents, 64 x 64, T = 128, {dtype}: first {seconds.first:.1f} s, warm "
            f"{seconds.fastest:.1f} s, {found[-1]!r} (promised: 15 s)",
            flush=True,
        )


def driving() -> None:
    """The driving scene, solved again: at most 20 ms."""
    import quantal as qt

    scene = qt.read_scene("junction")
    game = scene.crowd()
    seconds = timed(lambda: qt.solve(game, beta=scene.beta, horizon=scene.horizon), repeats=30)
    print(
        f"driving scene: first {seconds.first:.2f} s, solved again {1e3 * seconds.fastest:.1f} ms (median "
        f"{1e3 * seconds.warm:.1f}; promised: 20 ms)"
    )


def main() -> None:
    """Print everything."""
    print(f"threads: {os.cpu_count()}; load before: {os.getloadavg()[0]:.1f}")
    set_num_threads(os.cpu_count() or 1)
    against_numba()
    growth()
    fixed_point()
    driving()
    print(f"load after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    if "--alone" in sys.argv:
        iteration_alone(int(sys.argv[-1]))
    else:
        main()
