"""Tables and plain records of solved scenes: when everyone arrives, where they wait, whom they meet."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from quantal.crowds.solution import CrowdSolution
from quantal.reports.solutions import setting
from quantal.reports.tables import new_table, number
from quantal.scenes.journeys import Journey, Journeys

NEVER_MEET = 5e-4
"""Pairs expected to share a cell for fewer steps are left out of the table."""
MOST_AGENTS = 40
"""Rows of a table for people; --json has everyone."""


def summary(record: Journeys, seconds: float) -> RenderableType:
    """Say which game was solved, and how it ended."""
    solution, scene = record.solution, record.scene
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("scene", scene.title or scene.name)
    table.add_row("", Text(" ".join(scene.about.split()), style="dim"))
    table.add_row("played as", played_as(record))
    table.add_row("setting", setting(solution.parameters))
    table.add_row("status", Text(str(solution.status), style="green" if solution.converged else "yellow"))
    table.add_row("residual", f"{solution.residual:.1e} (undamped)")
    table.add_row("time", f"{seconds:.2f} s")
    for note in solution.notes:
        table.add_row("", Text(note, style="dim"))
    return table


def played_as(record: Journeys) -> str:
    """Which of its games."""
    if isinstance(record.solution, CrowdSolution):
        return "a crowd (MGE-FB): agents expect each other's occupancy"
    states = " x ".join(map(str, record.solution.game.state_shape))
    return f"an exact Markov game (MGE-F): agents see joint positions, {states}"


def journeys(record: Journeys) -> Table:
    """When everyone arrives, and where they wait in most probable play."""
    horizon = record.solution.horizon
    table = new_table("Journeys (most probable play; in brackets: expected)")
    table.add_column("agent", style="bold")
    table.add_column("from")
    table.add_column("to")
    table.add_column("arrives", justify="right")
    table.add_column(f"arrived by {horizon}", justify="right")
    table.add_column("moves", justify="right")
    table.add_column("waits")
    labels = record.scene.map.labels
    for journey in record.each[:MOST_AGENTS]:
        goal = "" if journey.goal is None else labels[journey.goal]
        share = "" if journey.arrived is None else f"{journey.arrived[-1]:.3f}"
        moves = (
            str(journey.moves)
            if journey.shortest in (None, journey.moves)
            else f"{journey.moves} (shortest {journey.shortest})"
        )
        table.add_row(
            journey.agent, labels[journey.path[0]], goal, _arrival(journey), share, moves, _waits(record, journey)
        )
    if len(record.each) > MOST_AGENTS:
        table.caption = f"{len(record.each) - MOST_AGENTS} more: see --json"
    return table


def _arrival(journey: Journey) -> str:
    if journey.goal is None:
        return ""
    expected = journey.expected_arrival
    return ("never" if journey.arrival is None else str(journey.arrival)) + (
        "" if expected is None else f" ({expected:.2f})"
    )


def _waits(record: Journeys, journey: Journey) -> str:
    labels = record.scene.map.labels
    return ", ".join(f"{w.steps} step{'s' * (w.steps > 1)} at {labels[w.cell]} from {w.since}" for w in journey.waits)


def meetings(record: Journeys) -> RenderableType:
    """Pairs that share a cell, most often first."""
    pairs = _pairs(record)
    shown = [pair for pair in pairs if pair[2] >= NEVER_MEET][:MOST_AGENTS]
    if not shown:
        return Text("Nobody is expected to share a cell with anybody before arriving.")
    many = ", over all pairs of people" if (_counts(record) > 1).any() else ""
    table = new_table(f"Meetings: expected steps in one cell, before either has arrived{many}")
    table.add_column("agents", style="bold")
    table.add_column("steps", justify="right")
    for a, b, steps in shown:
        table.add_row(f"{a}, {b}" if a != b else f"{a}, among themselves", number(steps))
    table.add_row("all pairs", number(record.together))
    return table


def _counts(record: Journeys) -> np.ndarray:
    """How many each journey stands for; in the exact game everyone has one of its own."""
    if not isinstance(record.solution, CrowdSolution):
        return np.ones(len(record.each), dtype=int)
    return np.array([record.scene.members[j.member].count for j in record.each])


def _pairs(record: Journeys) -> list[tuple[str, str, float]]:
    names = [journey.agent for journey in record.each]
    several = _counts(record) > 1
    above = [(i, j) for i, j in zip(*np.triu_indices(len(names)), strict=True) if i != j or several[i]]
    pairs = [(names[i], names[j], float(record.meetings[i, j])) for i, j in above]
    return sorted(pairs, key=lambda pair: -pair[2])


def scene_record(record: Journeys, seconds: float) -> dict[str, Any]:
    """Describe a solved scene."""
    solution, labels, p = record.solution, record.scene.map.labels, record.solution.parameters
    return {
        "scene": record.scene.record(),
        "played_as": "crowd" if isinstance(solution, CrowdSolution) else "exact",
        "parameters": {
            "beta": p.beta,
            "discount": p.discount,
            "horizon": p.horizon,
            "value": p.value,
            "method": p.method,
            "damping": p.damping,
            "tol": p.tol,
            "max_steps": p.max_steps,
        },
        "converged": solution.converged,
        "status": solution.status,
        "advice": str(solution.status),
        "residual": solution.residual,
        "steps": solution.steps,
        "seconds": seconds,
        "notes": solution.notes,
        "journeys": [
            {
                "agent": j.agent,
                "path": [labels[x] for x in j.path],
                "arrival": j.arrival,
                "expected_arrival": j.expected_arrival,
                "arrived": j.arrived,
                "waits": [{"cell": labels[w.cell], "since": w.since, "steps": w.steps} for w in j.waits],
                "moves": j.moves,
                "shortest": j.shortest,
            }
            for j in record.each
        ],
        "meetings": [{"agents": [a, b], "steps": steps} for a, b, steps in _pairs(record)],
        "together": record.together,
    }
