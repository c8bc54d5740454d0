"""Pages of exact solutions: put agents where you want, see what everyone does there, and where that leads.

A page holds policies and values at every joint state, and how the state moves, so that it can push mass forward from
the state that is chosen,

    O^{tau+1}(x') = sum_x O^tau(x) sum_a prod_i pi_i^tau(a_i | x) P(x' | x, a),

without asking anyone. Of a path it holds every point that is known, in order, and a second slider runs along it: where
the branch passes a precision more than once, each pass is named.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from quantal.crowds.solution import CrowdSolution
from quantal.dynamics import Independent
from quantal.errors import ParameterError, TooLargeError
from quantal.game import MarkovGame
from quantal.pages import document
from quantal.pages.document import marks_of, packed, power
from quantal.pages.outlines import mapped, outline, rules
from quantal.path import Path, Step
from quantal.reports.solutions import setting, telling_state
from quantal.solution import Branch, PerAgent, Solution, Status

COLOURS = 9
MOST_NUMBERS = 3_000_000
"""Of policies and values together; beyond it only every few steps are kept, and mass is not pushed."""
MOST_TABLE = 1_000_000
"""Of the successors of a game whose agents do not move by themselves."""
STEPS_AHEAD = 20
"""How far mass is pushed where play has no end."""
MOST_PAYOFFS = 64
"""Entries of a payoff table that is still read at a glance."""
SETTLED = (Status.CONVERGED, Status.PRECISION)
ILLEGAL = -1.0
"""In place of the probability of an action that cannot be taken."""


def write(
    solved: Solution | Path | CrowdSolution,
    path: str | os.PathLike[str],
    *,
    certificate: bool = True,
    made: str = "",
    state: tuple[int, ...] | None = None,
) -> None:
    """Write the page of a solution, or of a path: see `page`.

    Raises
    ------
    ParameterError, TooLargeError
        If it cannot be drawn.
    FileError
        If the file cannot be written.
    """
    document.write(page(solved, certificate=certificate, made=made, state=state), path)


def page(
    solved: Solution | Path | CrowdSolution,
    *,
    certificate: bool = True,
    made: str = "",
    state: tuple[int, ...] | None = None,
) -> str:
    """Make the page of an exact solution, or of a path: self-contained HTML.

    Parameters
    ----------
    solved
        From `quantal.solve` or `quantal.solve_path`.
    certificate
        Whether to work it out (of a path: at its largest beta) and put it into words.
    made
        What the page says it was made by: a program's version, a command.
    state
        Where everyone is at first; where the game starts, or a place with much to choose, unless given.

    Raises
    ------
    ParameterError
        If the solution is not one of a Markov game, or there is no such state.
    TooLargeError
        If its policies are too many for a page.
    """
    shown = record(solved, certificate=certificate, made=made, state=state)
    return document.assemble("games", shown["title"], shown)


def record(
    solved: Solution | Path | CrowdSolution,
    *,
    certificate: bool = True,
    made: str = "",
    state: tuple[int, ...] | None = None,
) -> dict[str, Any]:
    """Gather what a page shows, in plain objects; parameters as in `page`. Arrays are packed: `document.unpacked`."""
    if isinstance(solved, CrowdSolution):
        raise ParameterError("page: expected a solution of a Markov game: got one of a CrowdGame. Use pages.crowds")
    solutions = _ordered(solved)
    last = solutions[-1]
    game = last.game
    stops = _stops(solved) if isinstance(solved, Path) else None
    if state is not None and (
        len(state) != len(game.state_shape) or not all(0 <= s < n for s, n in zip(state, game.state_shape, strict=True))
    ):
        raise ParameterError(f"state={state!r}: expected one of shape {game.state_shape}")
    frames, step = _frames(last, len(stops or (last,)))
    shown = [(s.policy, s.value) for s in stops or (last,)]
    ends = last.horizon is not None
    once = not ends and set(last.parameters.discount) == {0.0}
    p = last.parameters
    moves, why_not = _moves(game, step, once)
    title = game.name or "A game"
    return {
        "name": "-".join("".join(c if c.isalnum() else " " for c in title.lower()).split()) or "game",
        "title": title[0].upper() + title[1:],
        "about": rules(game),
        "picture": game.picture,
        "played": _played(solved, last),
        "parameters": {"beta": p.beta, "discount": p.discount, "horizon": p.horizon, "value": p.value, "tol": p.tol},
        "horizon": last.horizon,
        "ahead": 0 if once else last.horizon if ends else STEPS_AHEAD,
        "frames": frames,
        "states": game.state_shape,
        "labels": game.state_labels,
        "mapped": mapped(game),
        **outline(game),
        "agents": [
            {
                "name": name,
                "mark": mark,
                "colour": i % COLOURS,
                "actions": game.actions[i],
                "policy": packed(np.stack([_policy(last, policy, i, frames) for policy, _ in shown])),
                "value": packed(np.stack([_value(last, value, i, frames) for _, value in shown])),
            }
            for i, (name, mark) in enumerate(zip(game.agents, marks_of(game.agents), strict=True))
        ],
        "start": telling_state(last) if state is None else state,
        "moves": moves,
        "why_not": why_not,
        "payoffs": _payoffs(game),
        "stops": _described(stops, solved.trail or stops) if stops and isinstance(solved, Path) else None,
        "standing": [{"converged": s.converged, "branch": str(s.branch), "status": s.status} for s in solutions],
        "folds": [fold.beta for fold in solved.folds] if isinstance(solved, Path) else [],
        "certificate": in_words(last) if certificate else _ending(last),
        "notes": _notes(game, step, stops, solved),
        "made": made,
    }


# ---------------------------------------------------------------------- numbers


def _ordered(solved: Solution | Path) -> list[Solution]:
    if isinstance(solved, Path):
        return [solved[int(k)] for k in np.argsort(solved.betas, kind="stable")]
    return [solved]


def _numbers(game: MarkovGame) -> int:
    """How many a page holds of a game, for one step at one precision."""
    return game.number_of_states * (sum(game.action_counts) + game.number_of_agents)


def _stops(path: Path) -> list[Step]:
    """Where the slider along a branch stops: at every point, or, of a large game, at some of those in between."""
    if not path.trail:
        return [Step(max(s.parameters.beta), s.policy, s.value, "asked", 0, s) for s in _ordered(path)]
    first = next((k for k, step in enumerate(path.trail) if step.kind == "asked"), 0)
    trail = path.trail[first:]
    room = MOST_NUMBERS // _numbers(path[0].game)
    between = [k for k, step in enumerate(trail) if step.kind == "followed"]
    spare = max(0, room - (len(trail) - len(between)))
    kept = set(between if spare >= len(between) else between[:: -(-len(between) // spare)] if spare else ())
    return [step for k, step in enumerate(trail) if step.kind != "followed" or k in kept]


def _described(stops: Sequence[Step], trail: Sequence[Step]) -> list[dict[str, Any]]:
    """Say of each stop which pass of its precision it is: the how many-th stretch of the branch that gets there."""
    ends: dict[int, tuple[float, float]] = {}
    turn = None
    for step in trail:
        low, high = ends.get(step.stretch, (step.beta, step.beta) if turn is None else (turn, turn))
        ends[step.stretch] = (min(low, step.beta), max(high, step.beta))
        turn = step.beta if step.kind == "fold" else turn
    described: list[dict[str, Any]] = []
    for stop in stops:
        there = [k for k, (low, high) in sorted(ends.items()) if low <= stop.beta <= high]
        found: dict[str, Any] = {
            "beta": stop.beta,
            "kind": stop.kind,
            "pass": there.index(stop.stretch) + 1,
            "of": len(there),
        }
        if stop.solution is not None and not stop.solution.converged:
            found["status"] = stop.solution.status
        described.append(found)
    return described


def _frames(last: Solution, stops: int) -> tuple[tuple[int, ...], int]:
    """Decisions that are kept, and every how many-th that is."""
    game, horizon = last.game, last.horizon
    each = _numbers(game) * stops
    length = 1 if horizon is None else horizon + 1
    room = MOST_NUMBERS // each
    if room < min(length, 2):
        raise TooLargeError(
            f"page: {game.name or 'this game'} has {game.number_of_states:,} joint states"
            f"{f' at {stops} betas' if stops > 1 else ''}: {each:,} numbers for one step, and a page "
            f"holds {MOST_NUMBERS:,}. Give fewer betas, draw single states with qt.figures.policy, or keep the "
            "solution with save"
        )
    step = 1 if length <= room else -(-length // (room - 1))
    return tuple(range(0, max(1, length - 1), step)), step


def _policy(last: Solution, policy: PerAgent, agent: int, frames: tuple[int, ...]) -> np.ndarray:
    """(F, S, A), -1 where an action is illegal."""
    game = last.game
    play = policy[agent][None] if last.horizon is None else policy[agent][list(frames)]
    legal = np.broadcast_to(game.legal[agent], play.shape)
    return np.where(legal, play, ILLEGAL).reshape(len(play), game.number_of_states, -1).astype(np.float32)


def _value(last: Solution, value: PerAgent, agent: int, frames: tuple[int, ...]) -> np.ndarray:
    """(F, S), and after the last decision too where play ends."""
    worth = value[agent][None] if last.horizon is None else value[agent][[*frames, -1]]
    return worth.reshape(len(worth), -1).astype(np.float32)


def _moves(game: MarkovGame, step: int, once: bool) -> tuple[dict[str, Any] | None, str]:
    """How the state moves, or why the page does not know."""
    if once:
        return None, ""
    if step > 1:
        return None, "Where play leads is not worked out here, as steps between those that are kept would be missing."
    dynamics = game.dynamics
    if isinstance(dynamics, Independent):
        tables = zip(dynamics.successors, dynamics.probabilities, strict=True)
        return {"own": [{"to": packed(to.astype(np.int32)), "chance": packed(p)} for to, p in tables]}, ""
    if dynamics.successors.size > MOST_TABLE:
        return None, (
            f"Where play leads is not worked out here: the game has {dynamics.successors.size:,} transitions, and a "
            f"page holds {MOST_TABLE:,}."
        )
    shape = (game.number_of_states, int(np.prod(game.action_counts)), dynamics.successors.shape[-1])
    full = (*game.state_shape, *game.action_counts, shape[-1])
    to, chance = (np.broadcast_to(a, full).reshape(shape) for a in (dynamics.successors, dynamics.probabilities))
    return {"joint": {"to": packed(to.astype(np.int32)), "chance": packed(chance)}}, ""


def _payoffs(game: MarkovGame) -> list[Any] | None:
    """Payoffs of a small one-shot game of two: per row and column, one number each."""
    if game.number_of_states > 1 or game.number_of_agents != 2 or int(np.prod(game.action_counts)) > MOST_PAYOFFS:
        return None
    tables = [np.broadcast_to(r, (1, *game.action_counts))[0] for r in game.rewards]
    rows, columns = game.action_counts
    return [[[float(t[a, b]) for t in tables] for b in range(columns)] for a in range(rows)]


# ---------------------------------------------------------------------- words


def _played(solved: Solution | Path, last: Solution) -> str:
    p = last.parameters
    once = p.horizon is None and set(p.discount) == {0.0}
    what = "of a game that is played once" if once else f"on joint states (MGE-{'I' if p.horizon is None else 'F'})"
    text = setting(p).replace("beta ", "precision β ").split(", method")[0].replace(", played once", "")
    if isinstance(solved, Path):
        rest = text.split(", ", 1)[1]
        text = f"{len(solved)} precisions β from {min(solved.betas):g} to {max(solved.betas):g}, {rest}"
    return f"Exact logit equilibrium {what}: {text}."


def _notes(game: MarkovGame, step: int, stops: list[Step] | None, solved: Solution | Path) -> list[str]:
    notes = ["Probabilities and values are kept in single precision (seven digits)."]
    if step > 1:
        notes.insert(0, f"One step in {step} is kept, so that the page stays small.")
    if stops is not None:
        notes.append("What is certain is said of the largest β.")
    if isinstance(solved, Path) and solved.trail and not solved.complete:
        notes.insert(0, f"The branch was lost beyond β = {solved.trail[-1].beta:.4g}: larger ones are not shown.")
    if any(stop.kind == "followed" for stop in stops or ()):
        notes.append("The slider also stops at the points in between that the branch was followed through.")
    if "reconstructed" in game.name or "pursuit" in game.name:
        notes.append("The source's figure of the map is lost: the map is reconstructed.")
    return notes


def _ending(solution: Solution) -> list[dict[str, str]]:
    if solution.status in SETTLED:
        return [
            {
                "sign": "✓",
                "head": "It is an equilibrium, to within its tolerance",
                "words": "If everybody knew these probabilities and worked out again what each action is worth, no "
                f"worth would change {_by_more_than(solution.residual)}{_anywhere(solution)}.",
            }
        ]
    return [
        {
            "sign": "✗",
            "head": "It is not an equilibrium: the search did not settle",
            "words": f"Working out again what actions are worth would change one by {power(solution.residual)}. "
            f"{solution.status}",
        }
    ]


def _by_more_than(residual: float) -> str:
    return f"by more than {power(residual)}" if residual > 0 else "at all"


def _anywhere(solution: Solution) -> str:
    if solution.game.number_of_states == 1 and solution.horizon is None:
        return ""
    return ", at any state and step" if solution.horizon is not None else ", at any state"


def in_words(solution: Solution) -> list[dict[str, str]]:
    """Put the certificate into plain words: a sign, a heading and a sentence for each thing that is to be said."""
    said, proof = _ending(solution), solution.certificate
    if proof is None or solution.status not in SETTLED:
        return said  # what holds near an equilibrium says nothing elsewhere
    proving = next((bound for bound in proof.bounds if bound.holds), None)
    if solution.branch is Branch.UNIQUE or proving is not None:
        why = (
            f"{proving.name}: {proving.quantity} is {power(proving.size)}, and up to {power(proving.constant)} there "
            "is only one."
            if proving is not None
            else "Agents interact too little here, or too much against each other, for there to be a second one."
        )
        said.append({"sign": "✓", "head": "It is the only equilibrium: proved", "words": why})
    elif solution.branch is Branch.PRINCIPAL:
        said.append(
            {
                "sign": "✓",
                "head": "It is the principal one",
                "words": "Followed without a break from uniform play at β = 0, which is where everybody starts who "
                "knows nothing. There may be others.",
            }
        )
    else:
        said.append(
            {
                "sign": "?",
                "head": "There may be other equilibria",
                "words": "Neither is it proved to be the only one, nor was it followed from uniform play.",
            }
        )
    if proof.error_bound is not None:
        said.append(
            {
                "sign": "✓",
                "head": "How exact it is",
                "words": f"What actions are worth is within about {power(proof.error_bound)} of the equilibrium's "
                "(first-order bound).",
            }
        )
    radius = proof.spectral_radius
    if radius is not None and radius >= 1:
        said.append(
            {
                "sign": "!",
                "head": "It is not stable when everyone answers at once",
                "words": f"A small change of what actions are worth grows {radius:.3g}-fold with each round of "
                "answering it (spectral radius): plain iteration would leave it.",
            }
        )
    elif radius is not None:
        said.append(
            {
                "sign": "✓",
                "head": "It is stable",
                "words": f"A small change of what actions are worth shrinks to {100 * radius:.3g} % with each round of "
                "answering it (spectral radius).",
            }
        )
    gains = ", ".join(f"{agent} {power(float(gain))}" for agent, gain in proof.exploitability.items())
    said.append(
        {
            "sign": "i",
            "head": "What exploring costs",
            "words": f"Somebody who never explored, while all others do as here, would gain at most: {gains}. It is "
            "above 0 because agents explore.",
        }
    )
    return said
