"""Scores of play as tables and records."""

from __future__ import annotations

import math
from collections.abc import Mapping

from rich.table import Table

from quantal.reports.tables import new_table, number
from quantal.trajectories import Trajectories


def scores(played: Trajectories, exact: Mapping[str, float], play: str) -> Table:
    """Mean scores of simulated episodes beside the exact expectations."""
    episodes = len(played)
    table = new_table(f"Scores of {episodes} episodes, {play.replace('_', ' ')} play")
    for column in ("agent", "mean", "standard error", "exact", "difference / standard error"):
        table.add_column(column, justify="left" if column == "agent" else "right")
    for agent, row in score_rows(played, exact).items():
        error, gap = row["standard_error"], row["mean"] - row["exact"]
        ratio = f"{gap / error:+.1f}" if error else "0" if abs(gap) < 1e-9 else "-"
        table.add_row(agent, number(row["mean"]), number(error), number(row["exact"]), ratio)
    return table


def score_rows(played: Trajectories, exact: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Mean, standard error and exact expectation per agent."""
    rows: dict[str, dict[str, float]] = {}
    for agent, drawn in played.score.items():
        count = drawn.size
        error = float(drawn.std(ddof=1) / math.sqrt(count)) if count > 1 else math.nan
        mean = float(drawn.mean()) if count else math.nan
        rows[agent] = {"mean": mean, "standard_error": error, "exact": exact[agent]}
    return rows
