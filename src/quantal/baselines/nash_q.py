"""Nash-Q learning: stage games are valued at a Nash equilibrium that both players select alike.

    V_i(x) = sum_a pi_1(a_1) pi_2(a_2) Q_i(x, a),       (pi_1, pi_2) a Nash equilibrium of (Q_1(x, .), Q_2(x, .))

Hu & Wellman (2003), for two players. `quantal.baselines.lemke_howson` says which equilibrium is selected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array

from quantal.baselines.joint_q import Chosen, JointQ
from quantal.baselines.learned import Learned
from quantal.baselines.lemke_howson import nash_one
from quantal.baselines.schedules import Exploration, Schedule
from quantal.baselines.training import train_one
from quantal.errors import ParameterError
from quantal.game import MarkovGame


@dataclass(frozen=True)
class Nash:
    """The rule: a Nash equilibrium."""

    @property
    def name(self) -> str:
        """Of the learner."""
        return "Nash-Q"

    def check(self, game: MarkovGame) -> None:
        """Two players only."""
        if game.number_of_agents != 2:
            raise ParameterError(
                f"Nash-Q: expected a game of two agents: got {game.number_of_agents} ({', '.join(game.agents)}). "
                "Take correlated-Q"
            )

    def __call__(self, payoffs: Array, legal: tuple[Array, ...], needed: Array) -> Chosen:
        """Choose."""
        x, y, done = nash_one(payoffs, *legal, needed)
        return Chosen(jnp.einsum("iab,a,b->i", payoffs, x, y), (x, y), None, done)


def nash_q(
    game: MarkovGame,
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
    """Let two agents learn by Nash-Q.

    Parameters
    ----------
    game, steps, episodes, seed, discount, episode_length
        As in `quantal.baselines.train`, which learns with many seeds at once.
    rate, exploration, initial
        As in `quantal.baselines.JointQ`.

    Raises
    ------
    ParameterError
        If there are not two agents, or a parameter cannot be used.
    """
    return train_one(game, JointQ(Nash(), rate, exploration, initial), steps, episodes, seed, discount, episode_length)
