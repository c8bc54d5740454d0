"""A solution and its certificate as tables and records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from quantal.certify import Certificate
from quantal.errors import GameError
from quantal.game import MarkovGame
from quantal.reports.tables import new_table, number
from quantal.solution import Parameters, Solution

State = tuple[int, ...]
WIDE = 8
"""Most actions that get a column each."""
ILLEGAL = "·"


# ---------------------------------------------------------------------- states


def parse_state(game: MarkovGame, text: str) -> State:
    """Read a state as the command line takes it: labels or numbers, one per state axis, with commas between.

    Raises
    ------
    GameError
        If there is no such state.
    """
    parts = [text] if len(game.state_shape) == 1 else [part.strip() for part in text.split(",")]
    if len(parts) != len(game.state_shape):
        example = ",".join(labels[0] for labels in game.state_labels)
        raise GameError(
            f"state {text!r}: expected {len(game.state_shape)} parts with commas between them, like {example}: got "
            f"{len(parts)}"
        )
    known = [
        part if part in labels or not part.isdecimal() else int(part)
        for part, labels in zip(parts, game.state_labels, strict=True)
    ]
    return game.state_index(known)


def state_text(game: MarkovGame, state: State) -> str:
    """Write a state as `parse_state` reads it."""
    return ",".join(labels[k] for labels, k in zip(game.state_labels, state, strict=True))


def telling_state(solution: Solution) -> State:
    """Where to look first: the most probable first state.

    Of equally probable ones, where nobody stands on another's place (if there is a map) and play is least uniform.
    """
    game = solution.game
    start = np.asarray(game.start)
    likely = start >= start.max() * (1 - 1e-9)
    if int(likely.sum()) == 1:
        return _index(likely.argmax(), game.state_shape)
    apart = likely & _apart(game)
    likely = apart if apart.any() else likely
    surprise = np.zeros(game.state_shape)
    for i in range(game.number_of_agents):
        play = solution.policy[i] if solution.horizon is None else solution.policy[i][0]
        legal = np.broadcast_to(game.legal[i], play.shape).sum(axis=-1)
        surprise += np.log(legal) + (play * np.log(np.where(play > 0, play, 1.0))).sum(axis=-1)
    return _index(np.where(likely, surprise, -np.inf).argmax(), game.state_shape)


def _apart(game: MarkovGame) -> np.ndarray:
    """States in which all agents stand on places of their own; all states, where there is no map."""
    free = np.ones(game.state_shape, dtype=bool)
    if len(game.coordinates) == game.number_of_agents == len(game.state_shape):
        for j in range(game.number_of_agents):
            for i in range(j):
                same = (game.coordinates[i][:, None] == game.coordinates[j][None]).all(axis=-1)
                others = [k for k in range(len(game.state_shape)) if k not in (i, j)]
                free &= ~np.expand_dims(same, others)
    return free


def _index(flat: Any, shape: tuple[int, ...]) -> State:
    return tuple(int(k) for k in np.unravel_index(int(flat), shape))


def policy_at(solution: Solution, agent: int, state: State, time: int = 0) -> dict[str, float]:
    """Probabilities of an agent's legal actions at a state (and time), by name."""
    game = solution.game
    play = solution.policy[agent] if solution.horizon is None else solution.policy[agent][time]
    legal = np.broadcast_to(game.legal[agent], play.shape)[state]
    return {name: float(p) for name, p, allowed in zip(game.actions[agent], play[state], legal, strict=True) if allowed}


def value_at(solution: Solution, agent: int, state: State, time: int = 0) -> float:
    """V_i at a state (and time)."""
    value = solution.value[agent] if solution.horizon is None else solution.value[agent][time]
    return float(value[state])


def start_values(solution: Solution) -> dict[str, float]:
    """V_i at the first decision, averaged over the game's start distribution."""
    game = solution.game
    values: dict[str, float] = {}
    for i, agent in enumerate(game.agents):
        value = solution.value[i] if solution.horizon is None else solution.value[i][0]
        values[agent] = float((game.start * value).sum())
    return values


# ---------------------------------------------------------------------- tables


def setting(parameters: Parameters) -> str:
    """Say in a line what was solved for."""
    beta = _one_or_each(parameters.beta)
    if parameters.horizon is None:
        when = f"discount {_one_or_each(parameters.discount)}"
        when = "played once" if set(parameters.discount) == {0.0} else when
    else:
        when = f"horizon {parameters.horizon}"
        whole = set(parameters.discount) == {1.0}
        when += ", undiscounted" if whole else f", discount {_one_or_each(parameters.discount)}"
    how = f", damping {parameters.damping:g}" if parameters.damping != 1 else ""
    return f"beta {beta}, {when}, value rule {parameters.value}, method {parameters.method}{how}"


def _one_or_each(numbers: Sequence[float]) -> str:
    return f"{numbers[0]:g}" if len(set(numbers)) == 1 else "(" + ", ".join(f"{n:g}" for n in numbers) + ")"


def summary(solution: Solution, seconds: float) -> RenderableType:
    """Say how a solve ended, and what the game is worth."""
    game = solution.game
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("game", game.name or "unnamed")
    table.add_row("setting", setting(solution.parameters))
    table.add_row("status", Text(str(solution.status), style="green" if solution.converged else "yellow"))
    table.add_row("branch", str(solution.branch))
    table.add_row("residual", f"{solution.residual:.1e} (largest |Q - T(Q)|, undamped, over every state and agent)")
    worth = ", ".join(f"{agent} {number(v)}" for agent, v in start_values(solution).items())
    table.add_row("value at start", worth)
    table.add_row("time", f"{seconds:.2f} s")
    for note in solution.notes:
        table.add_row("", Text(note, style="dim"))
    return table


def policies(solution: Solution, state: State, time: int = 0) -> Table:
    """Everyone's policy at a state: one column per action, or the most probable ones where there are many."""
    game = solution.game
    when = "" if solution.horizon is None else f", time {time} (T = {solution.horizon})"
    where = "" if game.number_of_states == 1 else f" at {game.state_name(state)}{when}"
    table = new_table(f"Policies{where}")
    table.add_column("agent", style="bold")
    names = list(dict.fromkeys(name for labels in game.actions for name in labels))
    shown = [policy_at(solution, i, state, time) for i in range(game.number_of_agents)]
    if len(names) <= WIDE:
        for name in names:
            table.add_column(name, justify="right")
    else:
        table.add_column("most probable actions")
    table.add_column("value", justify="right")
    for i, agent in enumerate(game.agents):
        play = shown[i]
        best = max(play.values())
        if len(names) <= WIDE:
            cells = [_probability(play.get(name), best) for name in names]
        else:
            top = sorted(play.items(), key=lambda item: -item[1])[:WIDE]
            cells = [Text("  ".join(f"{name} {p:.4f}" for name, p in top))]
        table.add_row(agent, *cells, number(value_at(solution, i, state, time)))
    return table


def _probability(p: float | None, best: float) -> Text:
    if p is None:
        return Text(ILLEGAL, style="dim")
    return Text(f"{p:.4f}" if p >= 5e-5 or p == 0 else f"{p:.0e}", style="bold" if p >= best * (1 - 1e-9) else "")


def others(solution: Solution, state: State, time: int = 0) -> list[Table]:
    """Policies of the other equilibria that restarts found, at the same state."""
    tables: list[Table] = []
    for k, other in enumerate(solution.others):
        table = policies(other, state, time)
        table.title = f"Another equilibrium ({k + 1} of {len(solution.others)}): {table.title}"
        tables.append(table)
    return tables


def certificate(proof: Certificate) -> RenderableType:
    """Show what is certain."""
    table = Table(title="Certificate", title_justify="left", title_style="bold", show_header=False, box=None)
    table.add_column()
    for line in str(proof).splitlines():
        table.add_row(Text(line))
    return table


# ---------------------------------------------------------------------- JSON


def solution_record(
    solution: Solution, states: Sequence[State], time: int = 0, *, prove: bool = False, seconds: float | None = None
) -> dict[str, Any]:
    """Describe a solution; policies at the given states (and time)."""
    game, p = solution.game, solution.parameters
    record: dict[str, Any] = {
        "game": game.name,
        "agents": game.agents,
        "parameters": {
            "beta": p.beta,
            "discount": p.discount,
            "horizon": p.horizon,
            "value": p.value,
            "method": p.method,
            "damping": p.damping,
            "tol": p.tol,
            "max_steps": p.max_steps,
            "order": p.order,
        },
        "converged": solution.converged,
        "status": solution.status,
        "advice": str(solution.status),
        "branch": solution.branch,
        "residual": solution.residual,
        "steps": solution.steps,
        "seconds": seconds,
        "notes": solution.notes,
        "values": start_values(solution),
        "policies": [policies_record(solution, state, time) for state in states],
        "others": [{"policies": [policies_record(o, s, time) for s in states]} for o in solution.others],
    }
    if prove:
        record["certificate"] = certificate_record(solution.certificate)
    return record


def policies_record(solution: Solution, state: State, time: int) -> dict[str, Any]:
    """Policies and values at a state, by agent."""
    game = solution.game
    return {
        "state": state,
        "name": state_text(game, state),
        "time": None if solution.horizon is None else time,
        "policy": {agent: policy_at(solution, i, state, time) for i, agent in enumerate(game.agents)},
        "value": {agent: value_at(solution, i, state, time) for i, agent in enumerate(game.agents)},
    }


def certificate_record(proof: Certificate) -> dict[str, Any]:
    """Describe a certificate."""
    return {
        "residual": proof.residual,
        "branch": proof.branch,
        "bounds": [
            {
                "name": b.name,
                "quantity": b.quantity,
                "size": b.size,
                "constant": b.constant,
                "applies": not b.applies,
                "holds": bool(b.holds) and not b.applies,
                "reason": b.applies,
            }
            for b in proof.bounds
        ],
        "contraction_norm": proof.contraction_norm,
        "spectral_radius": proof.spectral_radius,
        "error_bound": proof.error_bound,
        "exploitability": dict(proof.exploitability),
    }
