"""What may stand in a scene file: names, types and ranges of its keys. docs/scenes.md explains them.

Apart from `quantal.scenes.reading`, which loads this module only when a file is read: pydantic takes longer to load
than a game takes to build.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from quantal.crowds.game import MOST

Finite = Annotated[float, Field(allow_inf_nan=False)]
Precision = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Place = Any
"""A mark of the drawing of places, a label like r2c1, or [row, column]: checked where the map is known."""


class _Table(BaseModel):
    """A table of the file: a key that is not declared is an error, and text is not a number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Ground(_Table):
    """What a letter of the map means."""

    ground: Annotated[str, Field(min_length=1)]
    lane: Annotated[str, Field(pattern=r"^[<>^v]*$")] = ""


class Wishes(_Table):
    """What a kind says for all of its agents, and an agent for itself; None is not said."""

    beta: Precision | None = None
    step: Finite | None = None
    rewards: dict[str, Finite] | None = None
    goal_reward: Finite | None = None
    present_at_goal: bool | None = None
    weight: Finite | None = None
    horizon: Annotated[int, Field(ge=1)] | None = None


class Mover(Wishes):
    """A kind of agents: where it may be, and how it moves."""

    ground: Annotated[list[str], Field(min_length=1)] | None = None
    lanes: bool = False
    diagonal: bool = False
    pace: Annotated[float, Field(gt=0, le=1)] = 1.0


class Agent(Wishes):
    """One agent, or `count` alike."""

    name: Annotated[str, Field(min_length=1)]
    kind: str
    start: Place
    goal: Place = None
    count: Annotated[int, Field(ge=1, le=MOST)] = 1


class Document(_Table):
    """A whole scene file."""

    title: str = ""
    about: str = ""
    horizon: Annotated[int, Field(ge=1)]
    value: Literal["expected", "soft", "greedy"] = "expected"
    map: str
    places: str = ""
    legend: dict[Annotated[str, Field(min_length=1, max_length=1)], Ground] = {}
    nearness: Annotated[list[Finite], Field(min_length=1)] = [1.0]
    final_interaction: bool = False
    weights: Any = None
    """A table of tables, or a matrix: checked where the kinds are known."""
    kinds: Annotated[dict[Annotated[str, Field(min_length=1)], Mover], Field(min_length=1)]
    agents: Annotated[list[Agent], Field(min_length=1)]
