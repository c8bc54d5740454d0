"""What a learner ends with: a record that `exploitability`, `evaluate` and `certify` judge like a solution."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from quantal.baselines.judgement import Judgement, judge
from quantal.game import MarkovGame
from quantal.solution import PerAgent

NEAR = 0.01
"""A learning curve has settled where it stays this close to its end, relative to the largest value on it."""
LATE = 0.9
"""A curve that comes there only after this share of its points has not settled: it may well be on its way."""


class Outcome(NamedTuple):
    """What a learner would play, and thinks it is worth: arrays of one lane."""

    policies: tuple[Float[Array, "S _"], ...]
    values: Float[Array, "M S"]
    q: tuple[Float[Array, "..."], ...]
    """Per agent (S, A_i), or (S, A_1, ..., A_M) where joint actions are valued; minus infinity where illegal."""
    joint: Float[Array, "N S *A"] | None = None
    """Distributions of joint actions: one for all agents, or each agent's own; (N, S, A_1, ..., A_M)."""
    models: tuple[Float[Array, "S _"], ...] | None = None
    """How often each agent is believed to choose each of its actions."""


class Progress(enum.Enum):
    """How learning ended, as a sentence with advice."""

    SETTLED = "Settled: the values of the start no longer move by more than 1%."
    MOVING = "Not settled: the values of the start still move. Learn longer, or let the learning rate fall further."
    UNMOVED = (
        "Not settled: the values of the start have never moved, so that nothing is known of where they settle. Learn "
        "longer, or explore more; where the start is worth what was thought at first, judge by the certificate."
    )
    CONVERGED = "Converged: a sweep over all states changes nothing beyond the tolerance."
    UNCONVERGED = (
        "Not converged: the sweep limit was reached first. Such iterations may cycle for ever; raise max_sweeps, or "
        "judge what is there by its certificate."
    )

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, kw_only=True)
class Course:
    """What a learner was asked for.

    Attributes
    ----------
    discount
        Per agent.
    seed
        None for what needs no random numbers.
    steps, episodes
        Made and ended in all; episodes are 0 for sweeps over all states.
    horizon
        None: what is learned is stationary.
    """

    discount: tuple[float, ...]
    seed: int | None
    steps: int
    episodes: int
    horizon: None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class Learned:
    """What a learner ended with.

    Attributes
    ----------
    game
        What was played.
    learner
        The learner, with its settings.
    policy
        pi_i(a | x) per agent, (*states, A_i): what it would play now, without exploring. Where joint actions are drawn
        together (correlated-Q) these are the marginals, which is play without the common signal; `joint` has more.
    q
        Per agent (*states, A_i), or (*states, A_1, ..., A_M) where joint actions are valued; NaN where illegal.
    value
        What each agent thinks that a state is worth, (*states).
    joint
        Distribution of joint actions, (*states, A_1, ..., A_M), if all agents learn one; else None.
    favourites
        Each agent's own distribution of joint actions (libertarian correlated-Q), or None.
    models
        How often each agent is believed to choose each action, (*states, A_i), if the learner models that; else None.
    visited
        States that were visited, (*states).
    curve
        Values of the start at checkpoints, (points, M).
    curve_steps, curve_episodes
        Steps made and episodes ended at these, (points,).
    settled
        Checkpoint from which `curve` stays within 1% of its end; None where it does not, or has never moved.
    status
        How learning ended.
    parameters
        What was asked for.
    seconds
        Of the run; of runs side by side, an equal share.
    """

    game: MarkovGame
    learner: Any
    policy: PerAgent
    q: PerAgent
    value: PerAgent
    joint: np.ndarray | None = field(repr=False)
    favourites: PerAgent | None = field(repr=False)
    models: PerAgent | None = field(repr=False)
    visited: np.ndarray = field(repr=False)
    curve: np.ndarray = field(repr=False)
    curve_steps: np.ndarray = field(repr=False)
    curve_episodes: np.ndarray = field(repr=False)
    settled: int | None
    status: Progress
    parameters: Course
    seconds: float

    @property
    def method(self) -> str:
        """Name of the learner."""
        return self.learner.name

    @property
    def horizon(self) -> None:
        """None: what is learned is stationary."""
        return None

    @property
    def converged(self) -> bool:
        """Whether learning has come to an end."""
        return self.status in (Progress.SETTLED, Progress.CONVERGED)

    @property
    def episodes_to_settle(self) -> int | None:
        """Episodes ended when the values of the start had settled; None if they have not."""
        return None if self.settled is None else int(self.curve_episodes[self.settled])

    @property
    def steps_to_settle(self) -> int | None:
        """The same in steps."""
        return None if self.settled is None else int(self.curve_steps[self.settled])

    @cached_property
    def certificate(self) -> Judgement:
        """What is certain about it, from game and play alone; computed once, when asked for."""
        return judge(self)

    def __repr__(self) -> str:
        p = self.parameters
        seed = "" if p.seed is None else f", seed {p.seed}"
        where = self.game.name or "a game"
        return f"<Learned by {self.method} in {where}: {p.steps} steps{seed}; {self.status.name.lower()}>"


def settled_at(curve: Float[np.ndarray, "points M"]) -> int | None:
    """Return the first checkpoint from which every agent's value stays near its last, if that is early enough.

    None too where no value has ever moved: who has learned nothing has not settled.
    """
    if unmoved(curve):
        return None
    scale = max(float(np.abs(curve).max()), np.finfo(float).tiny)
    away = (np.abs(curve - curve[-1]) > NEAR * scale).any(axis=1)
    first = int(np.flatnonzero(away)[-1]) + 1 if away.any() else 0
    return first if first <= LATE * (len(curve) - 1) else None


def unmoved(curve: Float[np.ndarray, "points M"]) -> bool:
    """Whether nobody's value has changed at all."""
    return bool((curve == curve[0]).all())


def learned_from(
    game: MarkovGame,
    learner: Any,
    outcome: Outcome,
    *,
    discount: tuple[float, ...],
    seed: int | None,
    curve: Float[np.ndarray, "points M"],
    steps: Int[np.ndarray, "points"],
    episodes: Int[np.ndarray, "points"],
    visited: Bool[np.ndarray, "S"],
    settled: int | None,
    seconds: float,
    status: Progress | None = None,
) -> Learned:
    """Make the record of one lane."""
    states, agents = game.state_shape, game.agents

    def per_agent(arrays: Sequence[Any]) -> PerAgent:
        return PerAgent(agents, tuple(np.asarray(x).reshape(*states, *x.shape[1:]) for x in arrays))

    joint = None if outcome.joint is None else np.asarray(outcome.joint)
    single = joint is not None and (joint.shape[0] == 1 or len(agents) == 1)
    if status is None:
        status = Progress.SETTLED if settled is not None else Progress.UNMOVED if unmoved(curve) else Progress.MOVING
    return Learned(
        game=game,
        learner=learner,
        policy=per_agent(outcome.policies),
        q=per_agent(tuple(np.where(np.isneginf(q), np.nan, q) for q in outcome.q)),
        value=per_agent(tuple(np.asarray(outcome.values))),
        joint=joint[0].reshape(*states, *game.action_counts) if joint is not None and single else None,
        favourites=None if joint is None or single else per_agent(tuple(joint)),
        models=None if outcome.models is None else per_agent(outcome.models),
        visited=np.asarray(visited).reshape(states),
        curve=curve,
        curve_steps=steps,
        curve_episodes=episodes,
        settled=settled,
        status=status,
        parameters=Course(discount=discount, seed=seed, steps=int(steps[-1]), episodes=int(episodes[-1])),
        seconds=seconds,
    )
