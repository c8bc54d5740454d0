"""Correlated-Q learning: stage games are valued at correlated equilibria, selected in one of four ways.

    V_i(x) = sum_a mu_x(a) Q_i(x, a),      mu_x a correlated equilibrium of (Q_1(x, .), ..., Q_M(x, .)):  u, e, r or l

Greenwald & Hall (2003), there off-policy: joint actions are drawn uniformly. Agents that play what they learned follow
a common signal; libertarian agents have an equilibrium each, and play their own part of it, which need not fit the
others'. `quantal.baselines.correlated` says how one of many equilibria is chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array

from quantal.baselines.correlated import check_selection, stage_rule
from quantal.baselines.joint_q import Chosen, JointQ
from quantal.baselines.learned import Learned
from quantal.baselines.schedules import Exploration, Schedule
from quantal.baselines.training import train_one
from quantal.game import MarkovGame


@dataclass(frozen=True)
class Correlated:
    """The rule: a correlated equilibrium, selected by ``"u"``, ``"e"``, ``"r"`` or ``"l"``."""

    selection: str = "u"

    def __post_init__(self) -> None:
        check_selection(self.selection)

    @property
    def name(self) -> str:
        """UCE-Q and its kin."""
        return f"{self.selection}CE-Q"

    def check(self, game: MarkovGame) -> None:
        """Any game will do."""

    def __call__(self, payoffs: Array, legal: tuple[Array, ...], needed: Array) -> Chosen:
        """Select an equilibrium; each agent's policy is its own part of it."""
        found = stage_rule(self.selection)(payoffs, legal, needed)
        agents = payoffs.shape[0]
        policies = []
        for i in range(agents):
            own = found.joint[i if found.joint.shape[0] > 1 else 0]
            policies.append(own.sum(axis=tuple(j for j in range(agents) if j != i)))
        return Chosen(found.values, tuple(policies), found.joint, jnp.asarray(found.done))


def correlated_q(
    game: MarkovGame,
    selection: str = "u",
    *,
    steps: int | None = None,
    episodes: int | None = None,
    seed: int = 0,
    discount: float | Sequence[float] | None = None,
    episode_length: int | None = None,
    rate: Schedule | float = JointQ.rate,
    exploration: Exploration | float = JointQ.exploration,
    initial: float = JointQ.initial,
) -> Learned:
    """Let the agents learn by correlated-Q.

    Parameters
    ----------
    selection
        ``"u"`` utilitarian, ``"e"`` egalitarian, ``"r"`` republican, ``"l"`` libertarian.
    game, steps, episodes, seed, discount, episode_length
        As in `quantal.baselines.train`, which learns with many seeds at once.
    rate, exploration, initial
        As in `quantal.baselines.JointQ`.
    """
    learner = JointQ(Correlated(selection), rate, exploration, initial)
    return train_one(game, learner, steps, episodes, seed, discount, episode_length)
