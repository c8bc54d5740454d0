"""What learners learned, written down: tables for the screen, rows for CSV, plain objects for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from quantal.baselines.comparison import Contest, Contestant, Estimate
from quantal.baselines.judgement import Judgement
from quantal.baselines.learned import Learned
from quantal.game import MarkovGame
from quantal.reports.tables import new_table, number

State = tuple[int, ...]
CONTEST_COLUMNS = ("method", "quantity", "agent", "mean", "low", "high")


def start_state(game: MarkovGame) -> State:
    """The likeliest first state."""
    return tuple(int(k) for k in np.unravel_index(int(game.start.argmax()), game.state_shape))


def policy_at(learned: Learned, agent: int, state: State) -> dict[str, float]:
    """Probabilities of the legal actions."""
    game = learned.game
    legal = np.broadcast_to(game.legal[agent], (*game.state_shape, game.action_counts[agent]))[state]
    play = learned.policy[agent][state]
    return {name: float(p) for name, p, ok in zip(game.actions[agent], play, legal, strict=True) if ok}


def summary(learned: Learned, scores: dict[str, float], steps: int) -> RenderableType:
    """Say how learning ended, and what its play is worth."""
    p = learned.parameters
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    table.add_row("game", learned.game.name or "unnamed")
    table.add_row("learner", repr(learned.learner) if learned.method not in repr(learned.learner) else learned.method)
    made = f"{p.steps} steps, {p.episodes} episodes" if p.episodes else f"{p.steps} steps"
    table.add_row("learned", f"{made}, seed {p.seed}, discount {', '.join(f'{d:g}' for d in p.discount)}")
    table.add_row("status", Text(str(learned.status), style="green" if learned.converged else "yellow"))
    if learned.episodes_to_settle is not None:
        table.add_row("settled", f"after {learned.episodes_to_settle} episodes, {learned.steps_to_settle} steps")
    table.add_row("visited", f"{int(learned.visited.sum())} of {learned.game.number_of_states} states")
    table.add_row(f"score, {steps} decisions", ", ".join(f"{a} {number(s)}" for a, s in scores.items()))
    table.add_row("time", f"{learned.seconds:.2f} s")
    return table


def policies(learned: Learned, state: State) -> Table:
    """Everyone's learned policy at a state."""
    game = learned.game
    table = new_table("Policies" + ("" if game.number_of_states == 1 else f" at {game.state_name(state)}"))
    table.add_column("agent", style="bold")
    table.add_column("probabilities")
    table.add_column("value", justify="right")
    for i, agent in enumerate(game.agents):
        play = sorted(policy_at(learned, i, state).items(), key=lambda item: -item[1])
        words = "  ".join(f"{name} {p:.4f}" for name, p in play)
        table.add_row(agent, words, number(float(learned.value[i][state])))
    return table


def judgement_record(proof: Judgement) -> dict[str, Any]:
    """Describe what is certain."""
    return {
        "exploitability": dict(proof.exploitability),
        "correlated_violation": proof.correlated_violation,
        "signal_gain": proof.signal_gain,
    }


def learned_record(
    learned: Learned, scores: dict[str, float], steps: int, states: Sequence[State], seconds: float
) -> dict[str, Any]:
    """Describe what was learned."""
    game, p = learned.game, learned.parameters
    return {
        "game": game.name,
        "agents": game.agents,
        "method": learned.method,
        "learner": repr(learned.learner),
        "converged": learned.converged,
        "status": learned.status,
        "advice": str(learned.status),
        "seed": p.seed,
        "discount": p.discount,
        "steps": p.steps,
        "episodes": p.episodes,
        "episodes_to_settle": learned.episodes_to_settle,
        "visited": int(learned.visited.sum()),
        "scores": scores,
        "decisions": steps,
        "policies": [
            {
                "state": state,
                "policy": {agent: policy_at(learned, i, state) for i, agent in enumerate(game.agents)},
                "value": {agent: float(learned.value[i][state]) for i, agent in enumerate(game.agents)},
            }
            for state in states
        ],
        "seconds": seconds,
    }


# ---------------------------------------------------------------------- contests


def contest(found: Contest) -> Table:
    """One row per method."""
    agents = found.game.agents
    labels = list(found.contestants[0].events)
    table = new_table(f"{found.game.name or 'Learners'}: expected scores of {found.steps} decisions, 95% intervals")
    for column in ("method", *(f"score of {a}" for a in agents), *labels, "exploitability", "settled", "time"):
        table.add_column(column, justify="left" if column == "method" else "right")
    for row in found.contestants:
        cells = [_interval(row.scores[a]) for a in agents] + [_interval(row.events[label]) for label in labels]
        table.add_row(row.method, *cells, _interval(row.exploitability), _settled(row), f"{row.seconds:.1f} s")
        if row.scores_alone is not None:
            alone = [_interval(row.scores_alone[a]) for a in agents]
            table.add_row("  without signal", *alone, *([""] * (len(labels) + 3)), style="dim")
    return table


def _interval(x: Estimate) -> str:
    half = (x.high - x.low) / 2
    return number(x.mean) if half <= 1e-9 * max(1.0, abs(x.mean)) else f"{number(x.mean)} ± {number(half)}"


def _settled(row: Contestant) -> str:
    if row.episodes_to_settle is None:
        return f"{row.settled:.0%}"
    return f"{row.settled:.0%}, {row.episodes_to_settle:.0f} episodes"


def contest_rows(found: Contest) -> list[tuple[Any, ...]]:
    """Rows for CSV: one per method and quantity."""
    rows: list[tuple[Any, ...]] = []
    for row in found.contestants:
        groups = [("score", row.scores)] + ([("score without signal", row.scores_alone)] if row.scores_alone else [])
        for what, scores in groups:
            rows += [(row.method, what, agent, x.mean, x.low, x.high) for agent, x in scores.items()]
        rows += [(row.method, label, None, x.mean, x.low, x.high) for label, x in row.events.items()]
        x = row.exploitability
        rows.append((row.method, "exploitability", None, x.mean, x.low, x.high))
        rows.append((row.method, "episodes to settle", None, row.episodes_to_settle, None, None))
        rows.append((row.method, "share settled", None, row.settled, None, None))
        rows.append((row.method, "seconds", None, row.seconds, None, None))
    return rows


def contest_record(found: Contest) -> dict[str, Any]:
    """Describe a contest."""

    def plain(estimates: Any) -> Any:
        return None if estimates is None else {key: vars(x) for key, x in estimates.items()}

    return {
        "game": found.game.name,
        "agents": found.game.agents,
        "decisions": found.steps,
        "methods": [
            {
                "method": row.method,
                "seeds": [run.parameters.seed for run in row.runs],
                "scores": plain(row.scores),
                "scores_alone": plain(row.scores_alone),
                "events": plain(row.events),
                "exploitability": vars(row.exploitability),
                "episodes_to_settle": row.episodes_to_settle,
                "settled": row.settled,
                "seconds": row.seconds,
            }
            for row in found.contestants
        ],
    }
