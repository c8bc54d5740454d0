"""Records as they show themselves in a notebook: small tables that take the notebook's own colours."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

import numpy as np

from quantal.crowds.solution import CrowdSolution
from quantal.game import MarkovGame
from quantal.reports.solutions import policy_at, setting, start_values, telling_state, value_at
from quantal.reports.tables import number
from quantal.solution import Solution

MOST_ROWS = 12
"""Agents that are listed one by one."""
_BAR = "background:linear-gradient(rgba(0,114,178,.35) 0 0) left/{share:.1f}% 100% no-repeat"
_CELL = "padding:.1em .6em;text-align:left;background:transparent"


def solution_html(solution: Solution) -> str:
    """Show a solution: how it ended, what it is worth, and what everyone does where it is most telling to look."""
    game = solution.game
    worth = ", ".join(f"{agent} {number(v)}" for agent, v in start_values(solution).items())
    facts = [
        ("setting", setting(solution.parameters)),
        ("status", str(solution.status)),
        ("branch", str(solution.branch)),
        ("residual", f"{solution.residual:.1e}"),
        ("value at start", worth),
    ]
    if solution.horizon == 0:
        return _record(f"Solution of {game.name or 'a game'}", facts)
    state = telling_state(solution)
    where = "" if game.number_of_states == 1 else f" at {game.state_name(state)}"
    when = "" if solution.horizon is None else ", first decision"
    head = ("agent", "value", f"play{where}{when}")
    rows = [
        (_text(agent), _text(number(value_at(solution, i, state))), _bars(policy_at(solution, i, state).items()))
        for i, agent in enumerate(game.agents[:MOST_ROWS])
    ]
    return _record(f"Solution of {game.name or 'a game'}", facts, head, rows)


def game_html(game: MarkovGame) -> str:
    """Show a game: who plays, on how many states, with which actions; and its map, if it has one."""
    facts = [
        ("states", " × ".join(map(str, game.state_shape)) + f" = {game.number_of_states:,}"),
        ("moves", "each agent by itself" if game.product else "jointly"),
    ]
    rows = [
        (_text(a), _text(", ".join(own))) for a, own in list(zip(game.agents, game.actions, strict=True))[:MOST_ROWS]
    ]
    drawing = f'<pre style="{_CELL};line-height:1.15">{html.escape(game.picture)}</pre>' if game.picture else ""
    return _record(game.name or "Markov game", facts, ("agent", "actions"), rows, drawing)


def crowd_html(solution: CrowdSolution) -> str:
    """Show a crowd's solution: how it ended, and where each is likeliest to be at the end."""
    game, p = solution.game, solution.parameters
    betas = sorted(set(p.beta))
    span = f"{betas[0]:g}" if len(betas) == 1 else f"{betas[0]:g} to {betas[-1]:g}"
    facts = [
        ("setting", f"beta {span}, {p.horizon} steps, value rule {p.value}, method {p.method}"),
        ("status", str(solution.status)),
        ("residual", f"{solution.residual:.1e}"),
        ("agents", f"{game.population:,} on {game.number_of_cells:,} cells"),
    ]
    rows = []
    for i, agent in enumerate(game.agents[:MOST_ROWS]):
        last = np.asarray(solution.occupancy[i][-1])
        likely = np.argsort(-last, kind="stable")[:3]
        rows.append((_text(agent), _bars((game.cells[int(x)], float(last[x])) for x in likely)))
    return _record(game.name or "A crowd", facts, ("agent", "where it is at the end"), rows)


def _text(text: str) -> str:
    return html.escape(text)


def _bars(shares: Iterable[tuple[str, float]]) -> str:
    return " ".join(
        f'<span style="padding:0 .35em;{_BAR.format(share=100 * p)}">{html.escape(name)}&nbsp;{p:.3f}</span>'
        for name, p in shares
    )


def _record(
    title: str,
    facts: Sequence[tuple[str, str]],
    head: Sequence[str] = (),
    rows: Sequence[Sequence[str]] = (),
    more: str = "",
) -> str:
    """Lay out a record; the cells of `rows` are HTML, all else is text."""
    said = "".join(
        f'<tr><th style="{_CELL};opacity:.75">{_text(name)}</th><td style="{_CELL}">{_text(text)}</td></tr>'
        for name, text in facts
    )
    listed = "".join(f'<tr>{"".join(f"""<td style="{_CELL}">{cell}</td>""" for cell in row)}</tr>' for row in rows)
    heads = "".join(f'<th style="{_CELL};opacity:.75">{_text(name)}</th>' for name in head)
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{listed}</tbody></table>" if rows else ""
    return (
        f'<div class="quantal" style="color:inherit"><strong>{_text(title)}</strong>'
        f"<table><tbody>{said}</tbody></table>{more}{table}</div>"
    )
