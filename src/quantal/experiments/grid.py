"""The paper's grid games: scores, exact and as sampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantal import games
from quantal.experiments.records import Comparison, Progress, Reproduction
from quantal.rollout import Play, evaluate, simulate
from quantal.solution import Branch, Solution, Status
from quantal.solve import solve


@dataclass(frozen=True, kw_only=True, eq=False)
class GridTable(Reproduction):
    """MGE's column of the table in Figure 5."""

    horizons: tuple[int, ...]
    sampled: tuple[float, ...]
    """Expected score of either agent in game II at each horizon, sampled play."""
    most_probable: tuple[float, ...]
    standard_error: float
    """Of an average over the paper's 1000 plays of game II, most probable play, longest horizon."""


# ---------------------------------------------------------------------- the table of Figure 5


def grid_table(*, horizons: Sequence[int] = (3, 4, 5, 6), seed: int = 0, progress: Progress | None = None) -> GridTable:
    """MGE's scores in grid games I and II.

    Parameters
    ----------
    horizons
        For game II, rising.
    seed
        Of the random restarts that look for further equilibria, and of the simulated plays.
    progress
        Called with the share done.
    """
    comparisons: list[Comparison] = []
    solutions: list[Solution] = []

    def tell() -> None:
        if progress is not None:
            progress(len(solutions) / (5 + len(horizons)))

    for size, horizon, collisions, swaps in (
        ("2x2", 3, "enter", False),
        ("2x2", 3, "bounce", False),
        ("2x2", 3, "bounce", True),
        ("3x3", 8, "enter", False),
        ("3x3", 8, "bounce", False),
    ):
        game = games.grid.game_one(size, collisions, swaps_collide=swaps)
        found = solve(game, beta=1.0, horizon=horizon, restarts=10, seed=seed)
        solutions.append(found)
        rules = f"collisions {collisions}" + (", swapping is one" if swaps else "")
        what = f"game I, {size}, {rules}, T = {horizon}"
        comparisons.append(_grid_row(what, found, (29.6, 29.6), _branch_note(found)))
        best = max(found.others, key=_total, default=None)
        if best is not None and _total(best) > _total(found):
            note = "another equilibrium, from random restarts: the agents have settled who goes first"
            comparisons.append(_grid_row(f"{what}, another equilibrium", best, (29.6, 29.6), note))
        tell()
    two = games.grid.game_two()
    last: Solution | None = None
    scores: dict[Play, list[float]] = {"sampled": [], "most_probable": []}
    for horizon in horizons:
        last = solve(two, beta=1.0, horizon=horizon)
        solutions.append(last)
        for play, kept in scores.items():
            kept.append(evaluate(two, last, play=play).score["A"])
        tell()
    assert last is not None
    for play, kept in scores.items():
        comparisons.append(
            Comparison(
                what="game II, score of A (B alike)",
                labels=tuple(f"T = {t}" for t in horizons),
                ours=tuple(kept),
                paper=(None,) * (len(horizons) - 1) + (1.37,),
                value="expected",
                play=play.replace("_", " "),
                note="the paper does not give T" + ("; 4/3 in the limit" if play == "most_probable" else ""),
                style=".2f",
            )
        )
    plays = simulate(two, last, episodes=20_000, seed=seed, play="most_probable").score["A"]
    error = float(plays.std(ddof=1) / np.sqrt(1_000))
    off = (1.37 - scores["most_probable"][-1]) / error
    return GridTable(
        name="grid-table",
        title="MGE's row of the table in Figure 5: grid games, beta = 1",
        comparisons=tuple(comparisons),
        findings=(
            f"Game I scores {comparisons[0].ours[0]:.2f} on the paper's 2x2 map (29.6), a unique equilibrium.",
            f"Game II scores {scores['most_probable'][-1]:.2f} at T = {horizons[-1]} with most probable play. The "
            f"paper's 1.37 is an average over 1000 plays, with a standard error of {error:.2f}: {off:.1f} of them "
            f"above. Sampled play ({scores['sampled'][-1]:.2f}) does not fit.",
        ),
        notes=(
            "Reconstructed: what happens at collisions, the horizons, and the rules of game II (after Greenwald & Hall "
            "2003); the paper gives neither.",
            "Where several equilibria exist the principal branch is ours; other ones are named as such.",
        ),
        converged=all(s.status in (Status.CONVERGED, Status.PRECISION) for s in solutions),
        horizons=tuple(horizons),
        sampled=tuple(scores["sampled"]),
        most_probable=tuple(scores["most_probable"]),
        standard_error=error,
        layout="reconstructed",
        verdict="agrees in part",
        explanation=(
            "Game I agrees with sampled play where collisions are entered, game II with most probable play within "
            "sampling error; no one way of playing gives both, and the paper gives neither rules nor horizons."
        ),
    )


def _total(solution: Solution) -> float:
    return sum(evaluate(solution.game, solution).score.values())


def _branch_note(solution: Solution) -> str:
    if solution.branch is Branch.UNIQUE:
        return "the only equilibrium (proved)"
    return f"{solution.branch}; {len(solution.others)} others found by random restarts"


def _grid_row(what: str, solution: Solution, paper: tuple[float, float], note: str) -> Comparison:
    score = evaluate(solution.game, solution).score
    return Comparison(
        what=what,
        labels=("A", "B"),
        ours=(score["A"], score["B"]),
        paper=paper,
        value=solution.parameters.value,
        play="sampled",
        note=note,
        style=".2f",
    )
