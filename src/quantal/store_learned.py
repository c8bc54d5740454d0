"""What learners learned, in arrays and plain facts: what `quantal.store` writes, and makes records of again.

The settings of a learner are written as the names of their classes and the values of their fields; only the classes of
`quantal.baselines` are made again, so that a file runs no code.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from quantal.baselines.correlated_q import Correlated
from quantal.baselines.fictitious_play import FictitiousPlay
from quantal.baselines.fmq import FMQ
from quantal.baselines.friend_or_foe import Foe, Friend
from quantal.baselines.joint_q import JointQ
from quantal.baselines.learned import Course, Learned, Progress
from quantal.baselines.model_based import ModelBased
from quantal.baselines.modelling import Counts, Modeller, Recency
from quantal.baselines.nash_q import Nash
from quantal.baselines.q_learning import QLearning
from quantal.baselines.schedules import Boltzmann, Constant, Cooling, Decay, Greedy, PerVisit, Uniform
from quantal.errors import ParameterError
from quantal.game import MarkovGame
from quantal.solution import PerAgent
from quantal.trajectories import state_axes

SETTINGS = {
    kind.__name__: kind
    for kind in (
        *(QLearning, JointQ, FMQ, Modeller, FictitiousPlay, ModelBased),
        *(Correlated, Nash, Friend, Foe, Counts, Recency),
        *(Constant, Decay, Cooling, PerVisit, Greedy, Boltzmann, Uniform),
    )
}
"""What a learner of ours is made of, by name."""


def to_xarray(learned: Learned) -> Any:
    """Give what was learned as an `xarray.Dataset` with labelled axes: see `quantal.to_xarray`."""
    import xarray as xr  # late: it takes longer to load than a small game to learn

    game = learned.game
    axes = state_axes(game)
    coords: dict[str, Any] = {axis: list(labels) for axis, labels in zip(axes, game.state_labels, strict=True)}
    every = tuple(f"action_{agent}" for agent in game.agents)
    variables: dict[str, Any] = {"visited": (axes, learned.visited)}
    for i, agent in enumerate(game.agents):
        coords[every[i]] = list(game.actions[i])
        own = (*axes, every[i])
        variables[f"policy_{agent}"] = (own, learned.policy[i])
        variables[f"q_{agent}"] = (own if learned.q[i].ndim == len(own) else (*axes, *every), learned.q[i])
        variables[f"value_{agent}"] = (axes, learned.value[i])
        if learned.models is not None:
            variables[f"model_{agent}"] = (own, learned.models[i])
        if learned.favourites is not None:
            variables[f"favourite_{agent}"] = ((*axes, *every), learned.favourites[i])
    if learned.joint is not None:
        variables["joint"] = ((*axes, *every), learned.joint)
    attributes = {"title": game.name or "a game", "method": learned.method, "status": str(learned.status)}
    return xr.Dataset(variables, coords, attributes)


def take_apart(learned: Learned) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and plain facts, but for the game and what `to_xarray` has.

    Raises
    ------
    ParameterError
        If the learner is not one of `quantal.baselines`.
    """
    arrays = {
        "curve": learned.curve,
        "curve_steps": np.asarray(learned.curve_steps),
        "curve_episodes": np.asarray(learned.curve_episodes),
    }
    facts: dict[str, Any] = {
        "learned": True,
        "learner": _written(learned.learner),
        "parameters": dataclasses.asdict(learned.parameters),
        "status": learned.status.name,
        "settled": learned.settled,
        "seconds": learned.seconds,
    }
    return arrays, facts


def put_together(
    game: MarkovGame, labelled: dict[str, np.ndarray], arrays: dict[str, np.ndarray], facts: Any
) -> Learned:
    """Make the record again from what `to_xarray` and `take_apart` gave."""

    def per_agent(what: str) -> PerAgent:
        return PerAgent(game.agents, tuple(labelled[f"{what}_{agent}"] for agent in game.agents))

    first = game.agents[0]
    course: dict[str, Any] = {**facts["parameters"], "discount": tuple(facts["parameters"]["discount"])}
    return Learned(
        game=game,
        learner=_read(facts["learner"]),
        policy=per_agent("policy"),
        q=per_agent("q"),
        value=per_agent("value"),
        joint=labelled.get("joint"),
        favourites=per_agent("favourite") if f"favourite_{first}" in labelled else None,
        models=per_agent("model") if f"model_{first}" in labelled else None,
        visited=labelled["visited"].astype(bool),
        curve=arrays["curve"],
        curve_steps=arrays["curve_steps"],
        curve_episodes=arrays["curve_episodes"],
        settled=facts["settled"],
        status=Progress[facts["status"]],
        parameters=Course(**course),
        seconds=facts["seconds"],
    )


def _written(setting: Any) -> Any:
    if isinstance(setting, (str, int, float)):
        return setting
    kind = type(setting).__name__
    if SETTINGS.get(kind) is not type(setting):
        raise ParameterError(
            f"save: a learner made of {setting!r}, which is not of quantal.baselines: expected {', '.join(SETTINGS)}. "
            "Keep its arrays yourself: to_xarray gives them"
        )
    return {"kind": kind, **{f.name: _written(getattr(setting, f.name)) for f in dataclasses.fields(setting)}}


def _read(written: Any) -> Any:
    if not isinstance(written, dict):
        return written
    return SETTINGS[written["kind"]](**{name: _read(x) for name, x in written.items() if name != "kind"})
