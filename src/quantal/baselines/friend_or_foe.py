"""Friend-or-foe Q-learning: everybody is taken for a friend, or for a foe.

    friend   V_i(x) = max over a of Q_i(x, a)                                              (they help)
    foe      V_i(x) = max over pi of min over a_-i of sum_{a_i} pi(a_i) Q_i(x, a)          (they conspire)

Littman (2001). Friend-Q finds the optimum of cooperative games, if agents agree on which; foe-Q (minimax-Q) the value
of zero-sum ones. Both converge in every game, to what may have little to do with how it is played.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from quantal.baselines.joint_q import Chosen, JointQ
from quantal.baselines.learned import Learned
from quantal.baselines.minimax import minimax_one
from quantal.baselines.schedules import Exploration, Schedule
from quantal.baselines.training import train_one
from quantal.errors import ParameterError
from quantal.game import MarkovGame


@dataclass(frozen=True)
class Friend:
    """The rule: the joint action that is best for oneself; one's part of it is played (of several: the first)."""

    @property
    def name(self) -> str:
        """Of the learner."""
        return "friend-Q"

    def check(self, game: MarkovGame) -> None:
        """Any game will do."""

    def __call__(self, payoffs: Array, legal: tuple[Array, ...], needed: Array) -> Chosen:
        """Choose."""
        counts = payoffs.shape[1:]
        playable = jnp.ones(counts, bool)
        for i, mask in enumerate(legal):
            playable &= mask.reshape(tuple(n if j == i else 1 for j, n in enumerate(counts)))
        q = jnp.where(playable, payoffs, -jnp.inf).reshape(payoffs.shape[0], -1)
        best = jnp.argmax(q, axis=1)
        own = [jnp.unravel_index(best[i], counts)[i] for i in range(len(counts))]
        policies = tuple((jnp.arange(n) == a).astype(float) for a, n in zip(own, counts, strict=True))
        return Chosen(q.max(axis=1), policies, None, jnp.asarray(True))


@dataclass(frozen=True)
class Foe:
    """The rule: minimax."""

    @property
    def name(self) -> str:
        """Of the learner."""
        return "foe-Q"

    def check(self, game: MarkovGame) -> None:
        """Any game will do."""

    def __call__(self, payoffs: Array, legal: tuple[Array, ...], needed: Array) -> Chosen:
        """Choose."""
        counts = payoffs.shape[1:]
        values, policies, done = [], [], jnp.asarray(True)
        for i, own in enumerate(legal):
            others = jnp.ones([n for j, n in enumerate(counts) if j != i], bool)
            for k, j in enumerate(j for j in range(len(counts)) if j != i):
                others &= legal[j].reshape(tuple(n if axis == k else 1 for axis, n in enumerate(others.shape)))
            table = jnp.moveaxis(payoffs[i], i, 0).reshape(counts[i], -1)
            policy, value, ok = minimax_one(table, own, others.reshape(int(np.prod(others.shape))), needed)
            values.append(value)
            policies.append(policy)
            done &= ok
        return Chosen(jnp.stack(values), tuple(policies), None, done)


def friend_or_foe(
    game: MarkovGame,
    others: str = "foe",
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
    """Let the agents learn by friend-Q or foe-Q.

    Parameters
    ----------
    others
        What everybody takes everybody else for: ``"friend"`` or ``"foe"``.
    game, steps, episodes, seed, discount, episode_length
        As in `quantal.baselines.train`, which learns with many seeds at once.
    rate, exploration, initial
        As in `quantal.baselines.JointQ`.
    """
    if others not in ("friend", "foe"):
        raise ParameterError(f"others={others!r}: expected 'friend' or 'foe'")
    learner = JointQ(Friend() if others == "friend" else Foe(), rate, exploration, initial)
    return train_one(game, learner, steps, episodes, seed, discount, episode_length)
