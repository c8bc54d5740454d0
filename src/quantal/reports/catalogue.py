"""What comes with Quantal: games and scenes, as lists and cards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from quantal.game import MarkovGame
from quantal.games import Entry
from quantal.reports.tables import new_table
from quantal.scenes.scene import Scene

# ---------------------------------------------------------------------- games


def catalogue(entries: Mapping[str, Entry]) -> Table:
    """List the games."""
    table = new_table("Games")
    for column in ("name", "what it is", "beta", "horizon or discount"):
        table.add_column(column, no_wrap=column == "name")
    for name, entry in entries.items():
        table.add_row(name, entry.summary, f"{entry.beta:g}", _length(entry))
    return table


def _length(entry: Entry) -> str:
    if entry.horizon is not None:
        return f"T = {entry.horizon}"
    return "played once" if entry.discount == 0 else f"discount {entry.discount:g}"


def game_card(name: str, entry: Entry, game: MarkovGame) -> RenderableType:
    """Show one game: map, agents, states, actions, defaults."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    table.add_row("agents", ", ".join(game.agents))
    table.add_row("states", f"{' x '.join(map(str, game.state_shape))} = {game.number_of_states}: {_states(game)}")
    if len(set(game.actions)) == 1:
        table.add_row("actions", ", ".join(game.actions[0]))
    else:
        for agent, labels in zip(game.agents, game.actions, strict=True):
            table.add_row(f"actions of {agent}", ", ".join(labels))
    starts = np.argwhere(game.start > 0).tolist()
    if game.number_of_states > 1:
        table.add_row("start", game.state_name(starts[0]) if len(starts) == 1 else f"any of {len(starts)} states")
    table.add_row("defaults", f"beta {entry.beta:g}, {_length(entry)}")
    heading = Text.assemble((game.name or name, "bold"), "\n", entry.summary)
    return Group(heading, "", Text(game.picture), "", table)


def _states(game: MarkovGame) -> str:
    return " by ".join(
        ", ".join(labels) if len(labels) <= 10 else f"{labels[0]}, {labels[1]}, ..., {labels[-1]}"
        for labels in dict.fromkeys(game.state_labels)
    )


def scenes(headings: Mapping[str, Mapping[str, Any]]) -> Table:
    """List the scenes that come with Quantal."""
    table = new_table("Scenes (see docs/scenes.md; draw your own, and give the file's name)")
    for column in ("name", "what it is", "agents", "horizon"):
        table.add_column(column, no_wrap=column == "name")
    for name, heading in headings.items():
        table.add_row(name, heading["title"], str(heading["agents"]), f"T = {heading['horizon']}")
    return table


def scenes_record(headings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """List the scenes."""
    return {"scenes": [{"name": name, **heading} for name, heading in headings.items()]}


def scene_card(scene: Scene) -> RenderableType:
    """Show one scene: map, agents, defaults."""
    table = new_table("Agents")
    for column in ("agent", "kind", "from", "to", "beta", "mu"):
        table.add_column(column, justify="right" if column in ("beta", "mu") else "left")
    labels = scene.map.labels
    for i, (member, beta) in enumerate(zip(scene.members, scene.beta, strict=True)):
        name = member.name if member.count == 1 else f"{member.name} (x {member.count})"
        start = ", ".join(labels[k] for k in scene.start_cells(i))
        goal = "" if member.goal is None else labels[int(member.goal)]
        table.add_row(name, member.kind, start, goal, f"{beta:g}", f"{member.weight:g}")
    ground = ", ".join(dict.fromkeys(scene.ground))
    facts = f"{len(scene.map)} cells ({ground}); horizon {scene.horizon}, value rule {scene.value}"
    heading = Text.assemble((scene.title or scene.name, "bold"), "\n", " ".join(scene.about.split()))
    return Group(heading, "", Text("\n".join(scene.drawing)), "", facts, "", table)


def catalogue_record(entries: Mapping[str, Entry]) -> dict[str, Any]:
    """List the games."""
    return {
        "games": [
            {"name": n, "summary": e.summary, "beta": e.beta, "horizon": e.horizon, "discount": e.discount}
            for n, e in entries.items()
        ]
    }


def game_record(name: str, entry: Entry, game: MarkovGame) -> dict[str, Any]:
    """Describe one game."""
    return {
        "name": name,
        "title": game.name,
        "summary": entry.summary,
        "agents": game.agents,
        "actions": dict(zip(game.agents, game.actions, strict=True)),
        "state_shape": game.state_shape,
        "state_labels": game.state_labels,
        "start": "uniform" if not any(np.asarray(game.start).strides) else _starts(game),
        "picture": game.picture,
        "beta": entry.beta,
        "horizon": entry.horizon,
        "discount": entry.discount,
    }


def _starts(game: MarkovGame) -> list[dict[str, Any]]:
    start = np.asarray(game.start)
    return [{"state": [int(k) for k in at], "probability": float(start[tuple(at)])} for at in np.argwhere(start > 0)]
