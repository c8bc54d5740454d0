"""Pages: where a crowd goes, drawn on its map, in one HTML file that opens from disk and reaches for nothing else.

A page holds its numbers (single precision, compressed) and a few hundred lines of JavaScript that draw them: occupancy
over time, policies where one points, expected meetings

    sum_{i<j} sum_x O_i(x) O_j(x)      over cells x that are the goal of neither

(agents are met as if independent, as in Section 5 of Etesami & Straehle, 2020), and the certificate in words. Many
agents are added up by kind: what is drawn then is how many are expected, and what those who are there do,
sum_i O_i(x) pi_i(a | x) / sum_i O_i(x).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Float32
from scipy.spatial import KDTree

from quantal.crowds.game import CrowdGame, Kind
from quantal.crowds.solution import CrowdSolution
from quantal.errors import ParameterError
from quantal.pages import document
from quantal.pages.document import marks_of, packed, power
from quantal.scenes.journeys import fullest
from quantal.scenes.scene import Scene
from quantal.solution import Solution, Status

SINGLES = 9
"""Up to this many members are drawn one by one; more of them as kinds."""
MOST_NUMBERS = 2_000_000
"""Of occupancies and policies together; beyond it only every few steps are kept."""
TONES = ("road", "junction", "zebra", "pavement", "bay", "floor")
"""Grounds that have a colour of their own."""
OTHER_TONES = 4
SETTLED = (Status.CONVERGED, Status.PRECISION)
PRESENT = 1e-9
"""Where fewer of a kind are expected, nothing is said about what those who are there do."""


@dataclass(frozen=True, eq=False)
class _Part:
    """What is drawn in one colour: a member, or a kind of members. F frames, F' of them before the end."""

    name: str
    members: tuple[int, ...]
    kind: int
    presence: Float[np.ndarray, "times n"]
    """How many are expected in each cell."""
    choices: Float32[np.ndarray, "decisions n A"]
    goals: tuple[int, ...]
    starts: tuple[int, ...]
    arrived: Float[np.ndarray, " times"] | None
    """Share that has arrived."""


@dataclass(frozen=True, eq=False)
class _Gathered:
    parts: tuple[_Part, ...]
    met: Float[np.ndarray, "times n"]
    """Expected pairs in each cell."""
    pairs: tuple[tuple[int, int, np.ndarray], ...]
    """Two parts (or one twice), and the pairs of them that are expected at each time."""
    frames: tuple[int, ...]


def write(
    solution: CrowdSolution | Solution,
    path: str | os.PathLike[str],
    *,
    scene: Scene | None = None,
    certificate: bool = True,
    made: str = "",
    progress: Callable[[float], None] | None = None,
) -> None:
    """Write the page of a solution: see `page`.

    Raises
    ------
    ParameterError
        If the solution cannot be drawn.
    FileError
        If the file cannot be written.
    """
    document.write(page(solution, scene=scene, certificate=certificate, made=made, progress=progress), path)


def page(
    solution: CrowdSolution | Solution,
    *,
    scene: Scene | None = None,
    certificate: bool = True,
    made: str = "",
    progress: Callable[[float], None] | None = None,
) -> str:
    """Make the page of a crowd's solution: self-contained HTML.

    Parameters
    ----------
    solution
        What to show.
    scene
        The scene whose crowd it solves, for grounds and lanes. Without one, cells are drawn where `coordinates` of the
        game say.
    certificate
        Whether to work it out and put it into words.
    made
        What the page says it was made by: a program's version, a command.
    progress
        Called with the share done, 0 to 1.

    Raises
    ------
    ParameterError
        If the solution is not one of a crowd, is of another crowd than the scene's, or has neither scene nor
        coordinates.
    """
    if not isinstance(solution, CrowdSolution):
        raise ParameterError(
            f"page: expected a solution of a crowd: got one of a Markov game, {solution.game.name!r}. "
            "Solve scene.crowd()"
        )
    shown = record(solution, scene=scene, certificate=certificate, made=made, progress=progress)
    return document.assemble("crowds", shown["title"], shown)


def record(
    solution: CrowdSolution,
    *,
    scene: Scene | None = None,
    certificate: bool = True,
    made: str = "",
    progress: Callable[[float], None] | None = None,
) -> dict[str, Any]:
    """Gather what a page shows, in plain objects; parameters as in `page`. Arrays are `document.packed`."""
    game = solution.game
    where = _map(game, scene)
    found = _gather(solution, progress or (lambda share: None))
    step = found.frames[1] - found.frames[0] if len(found.frames) > 1 else 1
    together = len(game.members) > SINGLES
    counted = together or any(m.count > 1 for m in game.members)
    names = [part.name for part in found.parts]
    marks = marks_of(names)
    decisions = [f for f in found.frames if f < solution.horizon]
    title = (scene.title or scene.name) if scene is not None else game.name or "A crowd"
    return {
        "name": scene.name if scene is not None else "crowd",
        "title": title,
        "about": " ".join(scene.about.split()) if scene is not None else "",
        "played": _played(solution),
        "parameters": {
            "beta": dict(zip(game.agents, solution.parameters.beta, strict=True)) if not together else None,
            "horizon": solution.horizon,
            "value": solution.parameters.value,
            "method": solution.parameters.method,
            "damping": solution.parameters.damping,
            "tol": solution.parameters.tol,
        },
        "status": solution.status,
        "converged": solution.converged,
        "horizon": solution.horizon,
        "frames": found.frames,
        **where,
        "kinds": [
            {"name": kind.name, "actions": kind.actions, "successors": packed(_likeliest(kind))} for kind in game.kinds
        ],
        "counted": counted,
        "fullest": _fullest(found) if counted else 1.0,
        "parts": [
            {
                "name": part.name,
                "label": _label(solution, part),
                "mark": mark,
                "colour": i % SINGLES,
                "kind": part.kind,
                "together": together,
                "many": together or game.members[part.members[0]].count > 1,
                "starts": part.starts,
                "goals": part.goals,
                "arrived": None if part.arrived is None else np.round(part.arrived, 6),
                "presence": packed(part.presence[list(found.frames)].astype(np.float32)),
                "policy": packed(part.choices) if decisions else None,
            }
            for i, (part, mark) in enumerate(zip(found.parts, marks, strict=True))
        ],
        "meetings": packed(found.met[list(found.frames)].astype(np.float32)),
        "together": [float(f"{x:.6g}") for x in found.met.sum(axis=1)],
        "pairs": [
            {"names": [names[a], names[b]], "steps": [float(f"{x:.6g}") for x in steps]} for a, b, steps in found.pairs
        ],
        "certificate": in_words(solution) if certificate else _ending(solution),
        "notes": _notes(game, names, together, step),
        "made": made,
    }


# ---------------------------------------------------------------------- the map


def _map(game: CrowdGame, scene: Scene | None) -> dict[str, Any]:
    n = game.number_of_cells
    if scene is not None:
        if scene.map.labels != game.cells:
            raise ParameterError(
                f"page: expected a solution of scene.crowd(), {len(scene.map)} cells: got one of {game!r}"
            )
        positions, width, height = scene.map.coordinates, len(scene.drawing[0]), len(scene.drawing)
        grounds, lanes = list(scene.ground), list(scene.lanes)
    else:
        if game.coordinates is None:
            raise ParameterError(
                "page: expected to know where cells are: got neither scene= nor coordinates. Give the game coordinates="
            )
        positions = game.coordinates - game.coordinates.min(axis=0)
        if n > 1:
            apart = KDTree(positions).query(positions, k=2)[0][:, 1]
            positions = positions / max(float(apart.min()), 1e-9)
        width, height = (int(np.ceil(x)) + 1 for x in positions.max(axis=0))
        grounds, lanes = ["floor"] * n, [""] * n
    names = list(dict.fromkeys(grounds))
    others = [name for name in names if name not in TONES]
    tones = [name if name in TONES else f"other{others.index(name) % OTHER_TONES}" for name in names]
    return {
        "width": width,
        "height": height,
        "cells": {
            "labels": game.cells,
            "x": [round(float(x), 4) for x in positions[:, 0]],
            "y": [round(float(y), 4) for y in positions[:, 1]],
            "grounds": names,
            "tones": tones,
            "ground": [names.index(ground) for ground in grounds],
            "lanes": lanes,
        },
    }


def _likeliest(kind: Kind) -> np.ndarray:
    """Where each action leads if it leads anywhere else, (n, A): the likeliest such cell."""
    own = np.arange(kind.successors.shape[0])[:, None, None]
    chances = np.where(kind.successors == own, -1.0, kind.probabilities)
    best = chances.argmax(axis=-1)[..., None]
    there = np.take_along_axis(kind.successors, best, axis=-1)[..., 0]
    moves = np.take_along_axis(chances, best, axis=-1)[..., 0] > 0
    return np.where(moves, there, own[..., 0]).astype(np.int32)


# ---------------------------------------------------------------------- who is where


def _gather(solution: CrowdSolution, progress: Callable[[float], None]) -> _Gathered:
    game, horizon = solution.game, solution.horizon
    members = game.members
    if len(members) <= SINGLES:
        teams = [(m.name, (i,)) for i, m in enumerate(members)]
    else:
        teams = [
            (kind.name, own)
            for k, kind in enumerate(game.kinds)
            if (own := tuple(i for i, number in enumerate(game.kind_numbers) if number == k))
        ]
    n = game.number_of_cells
    actions = sum(len(game.actions[own[0]]) for _, own in teams)
    numbers = (horizon + 1) * n * (actions + len(teams) + 1)
    step = max(1, -(-numbers // MOST_NUMBERS))
    frames = (*range(0, horizon, step), horizon)
    decisions = [f for f in frames if f < horizon]
    parts: list[_Part] = []
    roaming: list[np.ndarray] = []  # who can be met: not those who have arrived
    alike = np.zeros((horizon + 1, n))  # pairs of an agent with itself, which are none
    within: list[np.ndarray] = []
    done = 0
    for name, own in teams:
        presence, open_to, self_pairs = (np.zeros((horizon + 1, n)) for _ in range(3))
        weighed = np.zeros((len(decisions), n, len(game.actions[own[0]])))
        weights = np.zeros((len(decisions), n, 1))
        arrived, travellers = np.zeros(horizon + 1), 0
        for i in own:
            occupancy, goal, count = np.asarray(solution.occupancy[i], dtype=float), game.goals[i], members[i].count
            presence += count * occupancy
            active = occupancy.copy()
            if goal is not None:
                active[:, goal] = 0.0
                arrived += count * occupancy[:, goal]
                travellers += count
            open_to += count * active
            self_pairs += count * active**2
            policy = np.asarray(solution.policy[i])[decisions]
            if len(own) == 1:
                weighed, weights = policy, np.ones(())
            else:
                weight = count * active[decisions][..., None]
                weighed += weight * policy
                weights += weight
            done += 1
            progress(done / len(members))
        known = weights > PRESENT
        choices = np.divide(weighed, weights, out=np.zeros_like(weighed), where=np.broadcast_to(known, weighed.shape))
        parts.append(
            _Part(
                name=name,
                members=own,
                kind=game.kind_numbers[own[0]],
                presence=presence,
                choices=choices.astype(np.float32),
                goals=tuple(sorted({goal for i in own if (goal := game.goals[i]) is not None})),
                starts=tuple(sorted({int(x) for i in own for x in game.starts[i][0]})),
                arrived=arrived / travellers if travellers else None,
            )
        )
        roaming.append(open_to)
        within.append(self_pairs)
        alike += self_pairs
    pairs: list[tuple[int, int, np.ndarray]] = []
    for a in range(len(parts)):
        for b in range(a, len(parts)):
            steps = np.einsum("tx,tx->t", roaming[a], roaming[b])
            if a == b:
                steps = (steps - within[a].sum(axis=1)) / 2
                if sum(members[i].count for i in parts[a].members) == 1:
                    continue
            pairs.append((a, b, np.maximum(steps, 0.0)))
    everyone = np.sum(roaming, axis=0)
    met = np.maximum((everyone**2 - alike) / 2, 0.0)
    return _Gathered(tuple(parts), met, tuple(pairs), frames)


def _fullest(found: _Gathered) -> float:
    return fullest([part.presence for part in found.parts], [goal for part in found.parts for goal in part.goals])


def _label(solution: CrowdSolution, part: _Part) -> str:
    members = [solution.game.members[i] for i in part.members]
    count = sum(m.count for m in members)
    betas = sorted({solution.parameters.beta[i] for i in part.members})
    span = f"{betas[0]:g}" if len(betas) == 1 else f"{betas[0]:g} to {betas[-1]:g}"
    return f"{part.name}{f' × {count}' if count > 1 else ''} (β {span})"


# ---------------------------------------------------------------------- words


def _played(solution: CrowdSolution) -> str:
    p = solution.parameters
    betas = sorted(set(p.beta))
    span = f"{betas[0]:g}" if len(betas) == 1 else f"{betas[0]:g} to {betas[-1]:g}"
    rule = "" if p.value == "expected" else f", value rule {p.value}"
    return (
        f"Played as a crowd (MGE-FB): agents expect each other's occupancy and answer it. {p.horizon} steps, precision "
        f"β {span}{rule}."
    )


def _notes(game: CrowdGame, names: Sequence[str], together: bool, step: int) -> list[str]:
    """Say what was left out or added up."""
    notes = ["Probabilities are kept in single precision (seven digits)."]
    if step > 1:
        notes.insert(0, f"One step in {step} is kept, so that the page stays small; the curves have them all.")
    if together:
        notes.insert(
            0,
            f"{game.population} agents are added up by kind: {', '.join(names)}. Policies are of those who are in a "
            "cell at that step, weighed by how likely that is.",
        )
    return notes


def _ending(solution: CrowdSolution) -> list[dict[str, str]]:
    if solution.status in SETTLED:
        return [
            {
                "sign": "✓",
                "head": "It is an equilibrium, to within its tolerance",
                "words": "If everybody knew these probabilities and answered them, no probability would change by more "
                f"than {power(solution.occupancy_residual)} and no expected payoff by more than "
                f"{power(solution.payoff_residual)}.",
            }
        ]
    return [
        {
            "sign": "✗",
            "head": "It is not an equilibrium: the search did not settle",
            "words": f"Answering these probabilities would change one by {solution.occupancy_residual:.2g}. "
            f"{solution.status}",
        }
    ]


def in_words(solution: CrowdSolution) -> list[dict[str, str]]:
    """Put the certificate into plain words: a sign, a heading and a sentence for each thing that is to be said."""
    said, proof = _ending(solution), solution.certificate
    if proof is None:
        return said
    proving = next((bound for bound in proof.bounds if bound.holds), None)
    if proving is not None:
        said.append(
            {
                "sign": "✓",
                "head": "It is the only equilibrium: proved",
                "words": f"{proving.name}: {proving.quantity} is {power(proving.size)}, and up to "
                f"{power(proving.constant)} there is only one.",
            }
        )
    else:
        nearest = proof.bounds[-1]
        why = nearest.applies or (
            f"the mildest of them, {nearest.name}, asks for a {nearest.quantity} of at most "
            f"{power(nearest.constant)}, which here is {power(nearest.size)}"
        )
        said.append(
            {
                "sign": "?",
                "head": "There may be other equilibria",
                "words": f"The conditions under which theory rules them out do not hold: {why}.",
            }
        )
    if solution.status not in SETTLED:
        return said  # what holds near an equilibrium says nothing here
    radius = proof.spectral_radius
    if radius < 1:
        said.append(
            {
                "sign": "✓",
                "head": "It is stable",
                "words": f"A small change of what agents expect of each other shrinks to {100 * radius:.3g} % with "
                "each round of answering it (spectral radius).",
            }
        )
    else:
        said.append(
            {
                "sign": "!",
                "head": "It is not stable when everyone answers at once",
                "words": f"A small change of what agents expect of each other grows {radius:.3g}-fold with each round "
                "(spectral radius): plain alternation would leave it.",
            }
        )
    if proof.error_bound is not None:
        said.append(
            {
                "sign": "✓",
                "head": "How exact the probabilities are",
                "words": f"Each is within about {power(proof.error_bound)} of the equilibrium's (first-order bound).",
            }
        )
    return said
