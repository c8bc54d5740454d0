"""What was found, written down: tables for the screen, rows for CSV, plain objects for JSON.

Records go in (`Solution`, `Path`, `quantal.experiments`), nothing is computed here beyond what is shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from quantal.certify import Certificate
from quantal.errors import GameError
from quantal.experiments import Comparison, PublishedGames, Reproduction
from quantal.game import MarkovGame
from quantal.listing import new_table, number
from quantal.path import Path
from quantal.rollout import Evaluation
from quantal.solution import Parameters, Solution
from quantal.trajectories import Trajectories

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
    """Where to look first: the most probable first state; of equally probable ones, where play is least uniform."""
    game = solution.game
    start = np.asarray(game.start)
    likely = start >= start.max() * (1 - 1e-9)
    if int(likely.sum()) == 1:
        return _index(likely.argmax(), game.state_shape)
    surprise = np.zeros(game.state_shape)
    for i in range(game.number_of_agents):
        play = solution.policy[i] if solution.horizon is None else solution.policy[i][0]
        legal = np.broadcast_to(game.legal[i], play.shape).sum(axis=-1)
        surprise += np.log(legal) + (play * np.log(np.where(play > 0, play, 1.0))).sum(axis=-1)
    return _index(np.where(likely, surprise, -np.inf).argmax(), game.state_shape)


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


def branch_columns(path: Path, state: State) -> list[tuple[int, str]]:
    """(agent, action) of every legal action at a state; for an agent with two, the first says it all."""
    columns: list[tuple[int, str]] = []
    for i in range(path[0].game.number_of_agents):
        names = list(policy_at(path[0], i, state))
        columns += [(i, name) for name in (names[:1] if len(names) == 2 else names) if len(names) > 1]
    return columns


def branch(path: Path, state: State, width: int = 120) -> RenderableType:
    """Show the branch at a state: a row per beta, and one more for every further passage.

    Parameters
    ----------
    path
        From `quantal.solve_path`.
    state
        Where.
    width
        Characters in a line; actions that do not fit are left out, and their number is said.
    """
    game = path[0].game
    fitting = max(1, (width - 24) // 10)
    columns = branch_columns(path, state)
    hidden = max(0, len(columns) - fitting)
    where = "" if game.number_of_states == 1 else f" at {game.state_name(state)}"
    table = new_table(f"Branch of {game.name or 'the game'}{where}")
    table.add_column("beta", justify="right", style="bold", no_wrap=True)
    for i, name in columns[:fitting]:
        table.add_column(f"{game.agents[i]}\n{name}", justify="right", no_wrap=True)
    table.add_column("branch", no_wrap=True)
    for beta, passes in zip(path.betas, path.passes, strict=True):
        for k, solution in enumerate(passes):
            cells = [f"{policy_at(solution, i, state)[name]:.4f}" for i, name in columns[:fitting]]
            label = solution.branch.name.lower() if k == 0 else f"pass {k + 1}"
            failed = "" if solution.converged else f", {solution.status.name.lower()}"
            table.add_row(f"{beta:g}" if k == 0 else "", *cells, label + failed)
    lines: list[RenderableType] = [table]
    if hidden:
        lines.append(Text(f"{hidden} more actions do not fit: see --out, --figure or --json", style="dim"))
    events = [str(e) for e in (*path.folds, *path.bifurcations)]
    lines.append(Text("; ".join(events) if events else _no_events(path)))
    several = sum(len(passes) > 1 for passes in path.passes)
    if path.bifurcations:
        lines.append(Text("other equilibria branch off there: `quantal solve --restarts 20` looks for them"))
    if several:
        lines.append(
            Text(f"the branch passes {several} of these betas more than once: every point is listed, in order")
        )
    lines.append(Text(f"largest residual {max(s.residual for passes in path.passes for s in passes):.0e}"))
    if not path.complete:
        lines.append(Text("the branch could not be followed to the largest beta", style="yellow"))
    return Group(*lines)


def _no_events(path: Path) -> str:
    if path[0].horizon is not None:
        return "every stage game followed its own branch: folds and bifurcations are not counted over a horizon"
    return "no folds, no bifurcations"


def scores(played: Trajectories, exact: Evaluation) -> Table:
    """Mean scores of simulated episodes beside the exact expectations."""
    episodes = len(played)
    table = new_table(f"Scores of {episodes} episodes, {exact.play.replace('_', ' ')} play")
    for column in ("agent", "mean", "standard error", "exact", "difference / standard error"):
        table.add_column(column, justify="left" if column == "agent" else "right")
    for agent, row in score_rows(played, exact).items():
        error, gap = row["standard_error"], row["mean"] - row["exact"]
        ratio = f"{gap / error:+.1f}" if error else "0" if abs(gap) < 1e-9 else "-"
        table.add_row(agent, number(row["mean"]), number(error), number(row["exact"]), ratio)
    return table


def score_rows(played: Trajectories, exact: Evaluation) -> dict[str, dict[str, float]]:
    """Mean, standard error and exact expectation per agent."""
    rows: dict[str, dict[str, float]] = {}
    for agent, drawn in played.score.items():
        count = drawn.size
        error = float(drawn.std(ddof=1) / math.sqrt(count)) if count > 1 else math.nan
        mean = float(drawn.mean()) if count else math.nan
        rows[agent] = {"mean": mean, "standard_error": error, "exact": exact.score[agent]}
    return rows


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


BRANCH_COLUMNS = ("beta", "pass", "agent", "state", "action", "probability", "residual", "branch", "status")


def branch_rows(path: Path, states: Sequence[State]) -> Iterable[tuple[Any, ...]]:
    """One row per beta, passage, agent, state and legal action, under `BRANCH_COLUMNS`; decision 0 over a horizon."""
    game = path[0].game
    for beta, passes in zip(path.betas, path.passes, strict=True):
        for k, solution in enumerate(passes):
            facts = (solution.residual, str(solution.branch), solution.status.name.lower())
            for i, agent in enumerate(game.agents):
                for state in states:
                    for action, p in policy_at(solution, i, state).items():
                        yield (beta, k + 1, agent, state_text(game, state), action, p, *facts)


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
        "policies": [_policies_record(solution, state, time) for state in states],
        "others": [{"policies": [_policies_record(o, s, time) for s in states]} for o in solution.others],
    }
    if prove:
        record["certificate"] = certificate_record(solution.certificate)
    return record


def _policies_record(solution: Solution, state: State, time: int) -> dict[str, Any]:
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


def branch_record(path: Path, states: Sequence[State]) -> dict[str, Any]:
    """Describe a branch; policies at the given states."""
    return {
        "game": path[0].game.name,
        "agents": path[0].game.agents,
        "converged": path.converged,
        "complete": path.complete,
        "folds": [fold.beta for fold in path.folds],
        "bifurcations": [fork.beta for fork in path.bifurcations],
        "points": [
            {
                "beta": beta,
                "passes": [
                    {
                        "converged": s.converged,
                        "status": s.status,
                        "branch": s.branch,
                        "residual": s.residual,
                        "policies": [_policies_record(s, state, 0) for state in states],
                    }
                    for s in passes
                ],
            }
            for beta, passes in zip(path.betas, path.passes, strict=True)
        ],
    }


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
