"""The paper's experiments, done again, as tables and records."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
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
    for claim in found.claims:
        table.add_row(claim.what, claim.play, "", claim.ours, claim.paper, "agrees" if claim.holds else "differs", "")
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


# ---------------------------------------------------------------------- the whole paper


RESULT_COLUMNS = ("experiment", "quantity", "paper", "ours", "difference", "layout", "play", "note")
DIGITS = 6
"""Significant digits in files: beyond them is rounding, which differs between machines."""


def result_rows(found: Reproduction) -> list[tuple[Any, ...]]:
    """One row per claim and number, under `RESULT_COLUMNS`; of a claim the difference is in words."""
    rows: list[tuple[Any, ...]] = [
        (found.name, c.what, c.paper, c.ours, "agrees" if c.holds else "differs", found.layout, c.play, c.note)
        for c in found.claims
    ]
    for row in found.comparisons:
        rule = f" ({row.value} rule)" if row.value else ""
        for label, ours, theirs in zip(row.labels, row.ours, row.paper, strict=True):
            apart = None if ours is None or theirs is None or row.misprint else abs(ours - theirs)
            numbers = (_rounded(theirs), _rounded(ours), _rounded(apart))
            note = row.note or found.explanation
            rows.append((found.name, f"{row.what}: {label}{rule}", *numbers, found.layout, row.play, note))
    return rows


def _rounded(x: float | None) -> float | None:
    return None if x is None else float(f"{x:.{DIGITS}g}")


def cells(row: Comparison) -> list[tuple[str, str, str, str]]:
    """Label, paper, ours and difference of each number, as they are shown to people."""
    lines: list[tuple[str, str, str, str]] = []
    for label, ours, theirs in zip(row.labels, row.ours, row.paper, strict=True):
        shown = _number(ours, row.style)
        if row.misprint:
            apart = "misprint"
        else:
            apart = "" if ours is None or theirs is None else _number(abs(ours - theirs), _gap_style(row))
        lines.append((label, "–" if theirs is None else _number(theirs, ".4g"), shown, apart))
    return lines


def _number(x: float | None, style: str) -> str:
    return "–" if x is None else f"{x:{style}}".replace("-", "\N{MINUS SIGN}")


def how(row: Comparison) -> str:
    """Value rule and way of playing, in words."""
    rule = f"{row.value} rule" if row.value else ""
    play = "" if row.play == "policy" else row.play if row.play in ("own play", "common signal") else f"{row.play} play"
    return ", ".join(part for part in (rule, play) if part)


def in_short(found: Sequence[Reproduction]) -> str:
    """Say in two sentences how everything came out."""
    count = Counter(r.verdict for r in found)
    words = {v: w if count[v] > 1 else w.replace("agree", "agrees", 1) for v, w in _VERDICTS.items()}
    parts = [f"{count[v]} {w}" for v, w in words.items() if count[v]]
    drawn = sum(r.layout == "reconstructed" for r in found)
    whole = "experiment" if len(found) == 1 else "experiments"
    rest = f"{drawn} {'rests' if drawn == 1 else 'rest'} on layouts that had to be reconstructed."
    return f"Of {len(found)} {whole}, {_listed(parts)}. {rest}"


_VERDICTS = {
    "agrees": "agree with the paper",
    "agrees in part": "agree in part",
    "disagrees": "disagree",
}


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def markdown(
    found: Sequence[Reproduction],
    figures: Mapping[str, Sequence[tuple[str, str]]],
    *,
    command: str,
    versions: Mapping[str, str],
) -> str:
    """Write the report as Markdown.

    Parameters
    ----------
    found
        What to report, in order.
    figures
        Per name of a reproduction, files (SVG, beside the report) and captions.
    command, versions
        What made it.
    """
    lines = [
        "# Non-cooperative multi-agent systems with exploring agents, done again",
        "",
        "J. Etesami and C.-N. Straehle, 2020, arXiv 2005.12360: every experiment and theorem, ours beside theirs.",
        "",
        in_short(found),
        "",
        *_grid(
            ("experiment", "outcome", "layout", "why"),
            [(f"[{r.title}](#{_anchor(r.title)})", r.verdict, r.layout, r.explanation) for r in found],
        ),
    ]
    number = 0
    for r in found:
        lines += ["", f"## {r.title}", "", f"**{r.verdict}**, layout {r.layout}. {r.explanation}"]
        for file, caption in figures.get(r.name, ()):
            number += 1
            lines += ["", f"![Figure {number}]({file})", "", f"*Figure {number}. {_escaped(caption)}*"]
        if r.claims:
            rows = [(c.what, c.paper, c.ours, "agrees" if c.holds else "differs", c.note) for c in r.claims]
            lines += ["", *_grid(("claim", "paper", "ours", "", "note"), rows)]
        if r.comparisons:
            notes = list(dict.fromkeys(row.note for row in r.comparisons if row.note))
            numbers = [
                (
                    f"{row.what}: {label}" + (f" [{notes.index(row.note) + 1}]" if row.note else ""),
                    how(row),
                    theirs,
                    ours,
                    apart,
                )
                for row in r.comparisons
                for label, theirs, ours, apart in cells(row)
            ]
            lines += ["", *_grid(("quantity", "how", "paper", "ours", "difference"), numbers, right=3)]
            lines += ["", *(f"- [{k + 1}] {_escaped(note)}" for k, note in enumerate(notes))]
        lines += ["", "What came out:", "", *(f"- {_escaped(x)}" for x in r.findings)]
        lines += ["", "What must be known:", "", *(f"- {_escaped(x)}" for x in r.notes)]
    made = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines += ["", "## How this was made", "", "```sh", command, "```", "", made, ""]
    return "\n".join(lines)


def _grid(columns: Sequence[str], rows: Sequence[Sequence[str]], right: int = 0) -> list[str]:
    """Lay out a table, the last `right` columns to the right."""
    marks = ["---"] * (len(columns) - right) + ["---:"] * right
    return [f"| {' | '.join(map(_escaped, cells_))} |" for cells_ in (columns, marks, *rows)]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*")


def _anchor(title: str) -> str:
    """As GitHub names headings."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


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
        "claims": [vars(claim) for claim in found.claims],
        "layout": found.layout,
        "verdict": found.verdict,
        "explanation": found.explanation,
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
