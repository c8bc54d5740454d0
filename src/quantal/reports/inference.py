"""What was inferred, as tables and records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.table import Table

from quantal.infer import Estimate, Match
from quantal.reports.tables import new_table, number

NORMAL = 1.959964
"""Half the width of a 95% interval, in standard errors."""


class Row(NamedTuple):
    """One parameter, with its 95% interval."""

    name: str
    estimate: float
    standard_error: float
    low: float
    high: float


def estimate_rows(found: Estimate | Match) -> list[Row]:
    """Every parameter with its standard error."""
    if isinstance(found, Match):
        return [
            Row(label, float(x), float(s), float(x - NORMAL * s), float(x + NORMAL * s))
            for label, x, s in zip(found.labels, found.flat, found.standard_error, strict=True)
        ]
    intervals = found.interval(0.95)
    return [
        Row(name, float(x), float(s), *intervals[name])
        for name, x, s in zip(found.names, found.vector, found.standard_errors, strict=True)
    ]


def estimate_record(found: Estimate | Match) -> dict[str, Any]:
    """What was found, for machines."""
    rows = [
        {"name": r.name, "estimate": r.estimate, "standard_error": r.standard_error, "low": r.low, "high": r.high}
        for r in estimate_rows(found)
    ]
    record: dict[str, Any] = {"converged": found.converged, "parameters": rows, "steps": found.steps}
    if isinstance(found, Match):
        averages = zip(found.labels, map(float, found.observed), map(float, found.expected), strict=True)
        return record | {
            "features": [{"name": n, "observed": o, "expected": e} for n, o, e in averages],
            "warnings": list(_warnings(found)),
        }
    return record | {
        "status": found.status.name.lower(),
        "advice": str(found.status),
        "log_likelihood": found.log_likelihood,
        "choices": found.choices,
        "warnings": list(found.warnings),
    }


def estimate_table(found: Estimate | Match, what: str) -> Table:
    """Estimates with standard errors and 95% intervals."""
    table = new_table(f"Estimated {what}")
    for column in ("parameter", "estimate", "standard error", "95% interval"):
        table.add_column(column, justify="left" if column == "parameter" else "right")
    for row in estimate_rows(found):
        interval = f"{number(row.low)} to {number(row.high)}" if row.standard_error < float("inf") else "-"
        table.add_row(row.name, number(row.estimate), number(row.standard_error), interval)
    return table


def estimate_remarks(found: Estimate | Match) -> list[str]:
    """What to know besides, line by line."""
    if isinstance(found, Match):
        return [*_warnings(found), f"Features match after {found.steps} solves."] if found.converged else [
            *_warnings(found),
            f"Not converged: features still differ by {number(float(found.trace[-1]))}. Leave out features, or ask for "
            "likelihood.",
        ]  # fmt: skip
    return [
        *found.warnings,
        f"Log-likelihood {number(found.log_likelihood)}, of {found.choices:g} choices.",
        str(found.status),
    ]


def _warnings(found: Match) -> list[str]:
    lost = [f"not identified: {', '.join(found.unidentified)}"] * bool(found.unidentified)
    return lost + [f"at the bound: {', '.join(found.at_bound)}"] * bool(found.at_bound)


def beliefs_table(odds: Sequence[dict[str, dict[str, float]]]) -> Table:
    """Probability of every agent's candidates, decision by decision."""
    table = new_table("Probability of each goal")
    table.add_column("decisions seen", justify="right")
    for agent, each in odds[0].items():
        for name in each:
            table.add_column(f"{agent}: {name}", justify="right")
    for seen, now in enumerate(odds):
        table.add_row(str(seen), *(f"{p:.4f}" for each in now.values() for p in each.values()))
    return table
