"""The paper's experiments, done again, as tables and records."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from quantal.experiments.published import PublishedGames
from quantal.experiments.records import Comparison, Reproduction
from quantal.reports.tables import new_table


def reproduction(found: Reproduction) -> RenderableType:
    """Show numbers beside the paper's, then what came out, then what must be known."""
    table = new_table(found.title)
    for column in ("what", "value rule, play", "", "ours", "paper", "apart", "note"):
        table.add_column(column, justify="right" if column in ("ours", "paper", "apart", "note") else "left")
    footnotes = list(dict.fromkeys(row.note for row in found.comparisons if row.note))
    for row in found.comparisons:
        ours, paper = _columns(row)
        apart = "misprint" if row.misprint else "" if row.distance is None else f"{row.distance:{_gap_style(row)}}"
        mark = f"[{footnotes.index(row.note) + 1}]" if row.note else ""
        how = ", ".join(part for part in (row.value, "" if row.play == "policy" else row.play) if part)
        what = row.what.replace(" = ", "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}")
        table.add_row(what, how, "\n".join(row.labels), ours, paper, apart, Text(mark), end_section=True)
    lines = Table.grid(padding=(0, 1))
    lines.add_column(justify="right", no_wrap=True)
    lines.add_column()
    for k, note in enumerate(footnotes):
        lines.add_row(Text(f"[{k + 1}]", style="dim"), Text(note, style="dim"))
    for finding in found.findings:
        lines.add_row("=>", Text(finding, style="bold"))
    for note in found.notes:
        lines.add_row("*", Text(note, style="dim"))
    return Group(table, lines)


def _columns(row: Comparison) -> tuple[str, str]:
    ours = "\n".join("-" if x is None else f"{x:{row.style}}" for x in row.ours)
    if all(x is None for x in row.paper):
        return ours, "-"
    return ours, "\n".join("-" if x is None else f"{x:g}" for x in row.paper)


def _gap_style(row: Comparison) -> str:
    return row.style if row.style != ".0f" else "g"


def published(found: PublishedGames) -> RenderableType:
    """Show predicted beside observed frequencies."""
    table = new_table(f"Twelve 2x2 games that people played, beside logit equilibria at beta = {found.beta:g}")
    table.add_column("game")
    for column in ("up\nobserved", "\npredicted", "\nNash", "left\nobserved", "\npredicted", "\nNash"):
        table.add_column(column, justify="right", style="bold" if "predicted" in column else "")
    table.add_column("squared\ndistance", justify="right")
    for game in found.games:
        cells = [f"{source[role]:.3f}" for role in range(2) for source in (game.observed, game.predicted, game.nash)]
        table.add_row(game.name.split()[-1], *cells, f"{game.squared_distance:.4f}")
    mean = Text.assemble(
        "Mean squared distance: logit equilibrium ",
        (f"{found.mean_squared_distance:.5f}", "bold"),
        f", Nash equilibrium {found.nash_mean_squared_distance:.5f}. Data: {found.source}.",
    )
    return Group(table, mean)


# ---------------------------------------------------------------------- CSV


COMPARISON_COLUMNS = ("experiment", "what", "label", "value_rule", "play", "ours", "paper", "misprint", "note")


def comparison_rows(found: Reproduction) -> list[tuple[Any, ...]]:
    """One row per number, under `COMPARISON_COLUMNS`."""
    return [
        (found.name, row.what, label, row.value, row.play, ours, paper, row.misprint, row.note)
        for row in found.comparisons
        for label, ours, paper in zip(row.labels, row.ours, row.paper, strict=True)
    ]


PUBLISHED_COLUMNS = ("game", "role", "action", "observed", "predicted", "nash", "observations")


def published_rows(found: PublishedGames) -> list[tuple[Any, ...]]:
    """One row per game and role, under `PUBLISHED_COLUMNS`."""
    return [
        (k + 1, role, action, game.observed[r], game.predicted[r], game.nash[r], game.observations)
        for k, game in enumerate(found.games)
        for r, (role, action) in enumerate((("row", "up"), ("column", "left")))
    ]


def reproduction_record(found: Reproduction) -> dict[str, Any]:
    """Describe a reproduction."""
    return {
        "name": found.name,
        "title": found.title,
        "converged": found.converged,
        "rows": [
            {
                "what": row.what,
                "labels": row.labels,
                "ours": row.ours,
                "paper": row.paper,
                "distance": row.distance,
                "value": row.value,
                "play": row.play,
                "misprint": row.misprint,
                "note": row.note,
            }
            for row in found.comparisons
        ],
        "findings": found.findings,
        "notes": found.notes,
    }


def published_record(found: PublishedGames) -> dict[str, Any]:
    """Describe predictions of the published games."""
    return {
        "beta": found.beta,
        "converged": found.converged,
        "mean_squared_distance": found.mean_squared_distance,
        "nash_mean_squared_distance": found.nash_mean_squared_distance,
        "source": found.source,
        "games": [dict(zip(PUBLISHED_COLUMNS, row, strict=True)) for row in published_rows(found)],
    }
