"""A branch as tables and records."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from quantal.path import Path
from quantal.reports.solutions import State, policies_record, policy_at, state_text
from quantal.reports.tables import new_table


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
                        "policies": [policies_record(s, state, 0) for state in states],
                    }
                    for s in passes
                ],
            }
            for beta, passes in zip(path.betas, path.passes, strict=True)
        ],
    }
