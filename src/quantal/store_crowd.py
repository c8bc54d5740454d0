"""A crowd's solution as plain arrays and facts, for files (`quantal.store`), and with labelled axes.

What everyone expects of everyone (O, before T is applied) is all that a file needs: policies, Q and values follow from
it. It is kept once for agents who are alike, in the public numbering of cells, so that a file does not depend on how
the engine laid the crowd out; and so are rewards that several members share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from quantal import memory
from quantal.crowds.game import CrowdGame, Interaction, Kind, Member
from quantal.crowds.layout import CrowdLayout, crowd_layout
from quantal.crowds.solution import CrowdSolution
from quantal.errors import ParameterError
from quantal.solution import Parameters, Status
from quantal.solve_crowd import record
from quantal.solvers.forward_backward import State, nobody

Arrays = dict[str, np.ndarray]
Facts = dict[str, Any]

KIND_ARRAYS = ("successors", "probabilities", "legal", "rewards", "final_rewards")


# ---------------------------------------------------------------------- labelled arrays


def to_xarray(solution: CrowdSolution) -> Any:
    """Give a crowd's solution as an `xarray.Dataset`; see `quantal.store.to_xarray`.

    Raises
    ------
    TooLargeError
        If everyone's policies, Q, values and occupancies would not fit into memory.
    """
    import xarray as xr  # late: see quantal.store

    game, horizon, n = solution.game, solution.horizon, solution.game.number_of_cells
    memory.require(
        8 * n * sum(2 * horizon * len(actions) + 2 * (horizon + 1) for actions in game.actions),
        f"policies, Q, values and occupancies of {len(game.agents)} agents at once",
        "Ask for one agent's: solution.policy[name], or solution.occupancy[name]",
    )
    coords: dict[str, Any] = {
        "agent": list(game.agents),
        "cell": list(game.cells),
        "time": np.arange(horizon),
        "time_with_end": np.arange(horizon + 1),
        "kind": ("agent", [m.kind for m in game.members]),
        "count": ("agent", [m.count for m in game.members]),
    }
    if game.coordinates is not None:
        coords |= {"x": ("cell", game.coordinates[:, 0]), "y": ("cell", game.coordinates[:, 1])}
    when = ("agent", "time_with_end", "cell")
    # One agent after the other, everything about it, so that its block is worked out once.
    read = [
        (solution.occupancy[i], solution.value[i], solution.policy[i], solution.q[i]) for i in range(len(game.agents))
    ]
    variables: dict[str, Any] = {
        "occupancy": (when, np.stack([r[0] for r in read])),
        "value": (when, np.stack([r[1] for r in read])),
    }
    for k, kind in enumerate(game.kinds):
        mine = [i for i, number in enumerate(game.kind_numbers) if number == k]
        if mine:
            coords |= {f"agent_{kind.name}": [game.agents[i] for i in mine], f"action_{kind.name}": list(kind.actions)}
            axes = (f"agent_{kind.name}", "time", "cell", f"action_{kind.name}")
            variables[f"policy_{kind.name}"] = (axes, np.stack([read[i][2] for i in mine]))
            variables[f"q_{kind.name}"] = (axes, np.stack([read[i][3] for i in mine]))
    attributes = {
        "title": game.name or "a crowd",
        "status": str(solution.status),
        "occupancy_residual": solution.occupancy_residual,
        "payoff_residual": solution.payoff_residual,
    }
    return xr.Dataset(variables, coords, attributes)


# ---------------------------------------------------------------------- games


def take_apart(game: CrowdGame) -> tuple[Arrays, Facts]:
    """Arrays and plain facts of a crowd; its interaction, if it is a function, is only mentioned."""
    arrays: Arrays = {}
    for k, kind in enumerate(game.kinds):
        for name in KIND_ARRAYS:
            array = getattr(kind, name)
            arrays[f"kind{k}_{name}"] = array.astype(np.uint8) if array.dtype == bool else array
    own: dict[str, list[int]] = {}
    for name in ("rewards", "final_rewards"):
        kinds_own = {id(getattr(kind, name)) for kind in game.kinds}
        number: dict[int, int] = dict.fromkeys(kinds_own, -1)
        for array in getattr(game, name):
            if id(array) not in number:
                number[id(array)] = len(number) - len(kinds_own)
                arrays[f"{name}_{number[id(array)]}"] = array
        own[name] = [number[id(array)] for array in getattr(game, name)]
    arrays["start_cells"] = np.concatenate([where for where, _ in game.starts])
    arrays["start_probabilities"] = np.concatenate([chances for _, chances in game.starts])
    arrays["kind_weights"] = game.kind_weights
    if game.agent_weights is not None:
        arrays["agent_weights"] = game.agent_weights
    if game.nearness is not None:
        arrays["nearness_cells"], arrays["nearness_weights"] = game.nearness
    if game.coordinates is not None:
        arrays["coordinates"] = game.coordinates
    facts = {
        "name": game.name,
        "picture": game.picture,
        "source": game.source,
        "cells": game.cells,
        "kinds": [{"name": kind.name, "actions": kind.actions} for kind in game.kinds],
        "members": [
            {
                "name": m.name,
                "kind": m.kind,
                "starts": game.starts[i][0].size,
                "goal": game.goals[i],
                "goal_reward": float(m.goal_reward),
                "present_at_goal": bool(m.present_at_goal),
                "weight": float(m.weight),
                "count": int(m.count),
                "horizon": None if m.horizon is None else int(m.horizon),
                "rewards": own["rewards"][i],
                "final_rewards": own["final_rewards"][i],
            }
            for i, m in enumerate(game.members)
        ],
        "interaction": game.interaction is not None,
        "final_interaction": game.final_interaction,
    }
    return arrays, facts


def put_together(arrays: Mapping[str, np.ndarray], facts: Facts, interaction: Interaction | None) -> CrowdGame:
    """Make the crowd again, checked again."""
    kinds: list[Kind] = []
    for k, kind in enumerate(facts["kinds"]):
        given: dict[str, Any] = {name: arrays[f"kind{k}_{name}"] for name in KIND_ARRAYS}
        given["legal"] = given["legal"].astype(bool)
        kinds.append(Kind(kind["name"], actions=kind["actions"], **given))
    members: list[Member] = []
    first = 0
    for m in facts["members"]:
        part = slice(first, first + m["starts"])
        first = part.stop
        members.append(
            Member(
                m["name"],
                m["kind"],
                _start(arrays["start_cells"][part], arrays["start_probabilities"][part], len(facts["cells"])),
                goal=m["goal"],
                goal_reward=m["goal_reward"],
                present_at_goal=m["present_at_goal"],
                weight=m["weight"],
                count=m["count"],
                horizon=m["horizon"],
                rewards=arrays.get(f"rewards_{m['rewards']}"),
                final_rewards=arrays.get(f"final_rewards_{m['final_rewards']}"),
            )
        )
    weights = arrays["kind_weights"]
    return CrowdGame(
        cells=facts["cells"],
        kinds=kinds,
        members=members,
        kind_weights=None if (weights == 1).all() else weights,
        agent_weights=arrays.get("agent_weights"),
        nearness=(arrays["nearness_cells"], arrays["nearness_weights"]) if "nearness_cells" in arrays else None,
        interaction=interaction,
        final_interaction=facts["final_interaction"],
        coordinates=arrays.get("coordinates"),
        name=facts["name"],
        picture=facts["picture"],
        source=facts["source"],
    )


def _start(cells: np.ndarray, chances: np.ndarray, n: int) -> int | np.ndarray:
    if cells.size == 1 and chances[0] == 1:
        return int(cells[0])
    full = np.zeros(n)
    full[cells] = chances
    return full


# ---------------------------------------------------------------------- solutions


def expected(solution: CrowdSolution) -> tuple[np.ndarray, list[int]]:
    """What is expected of every distinct agent, (distinct, times, n), and which of them each member is."""
    if not solution.state:
        raise ParameterError("save: expected a solution that quantal.solve made: got one without its state")
    layout = _layout(solution.game, solution.parameters, solution.state[0].dtype.name)
    number: dict[tuple[int, int, int], int] = {}
    for seat in layout.seats:
        number.setdefault(seat, len(number))
    state = [np.asarray(part) for part in solution.state]
    rows = [state[which][block, :, row][:, layout.places] for which, block, row in number]
    return np.stack(rows), [number[seat] for seat in layout.seats]


def facts_of(solution: CrowdSolution) -> Facts:
    """Everything about how it was found but the parameters."""
    return {
        "residuals": (solution.occupancy_residual, solution.payoff_residual),
        "status": solution.status.name,
        "steps": solution.steps,
        "notes": solution.notes,
    }


def restored(
    game: CrowdGame, rows: np.ndarray, which: np.ndarray, trace: np.ndarray, parameters: Parameters, facts: Facts
) -> CrowdSolution:
    """Make the solution again from what `expected` and `facts_of` gave."""
    dtype = rows.dtype.name
    assert parameters.horizon is not None
    layout = _layout(game, parameters, dtype)
    occupancy, payoff = facts["residuals"]
    return record(
        game,
        layout,
        _laid_out(layout, parameters.horizon, lambda i: rows[which[i]]),
        parameters,
        dtype,
        status=Status[facts["status"]],
        residuals=(occupancy, payoff),
        trace=trace,
        steps=facts["steps"],
        notes=tuple(facts["notes"]),
    )


def _layout(game: CrowdGame, parameters: Parameters, dtype: str) -> CrowdLayout:
    with jax.enable_x64(dtype == "float64"):
        return crowd_layout(game, parameters.beta, dtype)


def _laid_out(layout: CrowdLayout, horizon: int, row_of: Callable[[int], np.ndarray]) -> State:
    """Occupancies per member, in the engine's layout."""
    state = nobody(layout.model, horizon)
    filled = [0] * len(state)
    for i, (which, block, row) in enumerate(layout.seats):
        state[which][block, :, row, layout.places] = row_of(i).T
        filled[which] = max(filled[which], block * state[which].shape[2] + row + 1)
    for part, used in zip(state, filled, strict=True):
        size = part.shape[2]
        # A block that is not full holds copies of its last agent.
        part[-1, :, (used - 1) % size + 1 :] = part[-1, :, (used - 1) % size, None]
    return state
