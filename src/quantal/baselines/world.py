"""A game as one lane of a compiled loop sees it: look-ups of the next state and the rewards of a joint action."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from quantal import memory
from quantal.dynamics import Independent
from quantal.game import MarkovGame, joint_legal


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class World:
    """Tables of a game; states are numbered in C order over the state axes.

    Holds no labels, so that games that differ in names share compiled programs.
    """

    rewards: tuple[Float[Array, "_"], ...]
    legal: tuple[Bool[Array, "S _"], ...]
    terminal: Bool[Array, "S"]
    """States that are never left and pay nothing: an episode ends there."""
    start: Float[Array, "S"]
    """Cumulative distribution of the first state."""
    successors: tuple[Int[Array, "_ _"], ...]
    """Independent moves: per agent [n_j A_j, B_j]; coupled ones: one table [S A_1..A_M, B]."""
    chances: tuple[Float[Array, "_ _"], ...]
    """Cumulative, shaped alike."""
    discount: Float[Array, "M"]
    strides: tuple[tuple[int, ...], ...] = field(metadata={"static": True})
    """Of the reward tables, over (*states, A_1, ..., A_M); 0 where a reward does not depend."""
    state_shape: tuple[int, ...] = field(metadata={"static": True})
    product: bool = field(metadata={"static": True})

    @property
    def agents(self) -> int:
        """M."""
        return len(self.rewards)

    @property
    def states(self) -> int:
        """Joint states."""
        return math.prod(self.state_shape)

    @property
    def counts(self) -> tuple[int, ...]:
        """A_i per agent."""
        return tuple(mask.shape[1] for mask in self.legal)

    @property
    def draws(self) -> int:
        """Random numbers that one move takes: the successors, and a new start."""
        return len(self.successors) + 1

    def reward(self, state: Int[Array, ""], actions: Sequence[Array]) -> Float[Array, "M"]:
        """R_i(x, a) of every agent."""
        place = (*jnp.unravel_index(state, self.state_shape), *actions)
        return jnp.stack(
            [
                table[sum((k * stride for k, stride in zip(place, strides, strict=True) if stride), jnp.zeros((), int))]
                for table, strides in zip(self.rewards, self.strides, strict=True)
            ]
        )

    def move(self, state: Int[Array, ""], actions: Sequence[Array], numbers: Float[Array, "n"]) -> Int[Array, ""]:
        """Draw the next state from as many uniform numbers as there are tables."""
        if not self.product:
            row = state
            for a, count in zip(actions, self.counts, strict=True):
                row = row * count + a
            return self._drawn(0, row, numbers)
        place = jnp.unravel_index(state, self.state_shape)
        after = jnp.zeros((), int)
        for j, (x, a) in enumerate(zip(place, actions, strict=True)):
            after = after * self.state_shape[j] + self._drawn(j, x * self.counts[j] + a, numbers)
        return after

    def _drawn(self, j: int, row: Int[Array, ""], numbers: Float[Array, "n"]) -> Int[Array, ""]:
        table = self.successors[j]
        if table.shape[1] == 1:
            return table[row, 0]
        return table[row, drawn(self.chances[j][row], numbers[j])]

    def begin(self, number: Float[Array, ""]) -> Int[Array, ""]:
        """Draw a first state."""
        return (
            drawn(self.start, number)
            if self.states <= 64
            else jnp.searchsorted(self.start, number * self.start[-1], side="right").astype(int)
        )


def drawn(cumulative: Float[Array, "n"], number: Float[Array, ""]) -> Int[Array, ""]:
    """The index whose share of a cumulative distribution a uniform number falls into; never one of probability 0."""
    return (cumulative[:-1] <= number * cumulative[-1]).sum()


def chosen(policy: Float[Array, "A"], number: Float[Array, ""]) -> Int[Array, ""]:
    """Draw an action."""
    return drawn(jnp.cumsum(policy), number)


def world_of(game: MarkovGame, discount: np.ndarray) -> World:
    """Lay a game out (float64; call inside `double_precision`)."""
    full = game.state_shape + game.action_counts
    dynamics = game.dynamics
    if isinstance(dynamics, Independent):
        tables, chances = dynamics.successors, dynamics.probabilities
    else:
        tables, chances = (dynamics.successors,), (dynamics.probabilities,)
    states = game.number_of_states
    memory.require(8 * states * sum(game.action_counts), "laying out the game", "Coarsen the map, or use fewer agents")
    return World(
        rewards=tuple(jnp.asarray(r.reshape(-1)) for r in game.rewards),
        legal=tuple(
            jnp.asarray(np.broadcast_to(m, (*game.state_shape, m.shape[-1])).reshape(states, -1)) for m in game.legal
        ),
        terminal=jnp.asarray(terminal(game).reshape(-1)),
        start=jnp.asarray(np.cumsum(game.start)),
        successors=tuple(jnp.asarray(t.reshape(-1, t.shape[-1]).astype(np.int64)) for t in tables),
        chances=tuple(jnp.asarray(np.cumsum(p.reshape(-1, p.shape[-1]), axis=-1)) for p in chances),
        discount=jnp.asarray(discount),
        strides=tuple(_strides(r.shape, full) for r in game.rewards),
        state_shape=game.state_shape,
        product=game.product,
    )


def terminal(game: MarkovGame) -> np.ndarray:
    """States (*states) that are never left and in which no legal play pays anything."""
    axes = tuple(range(len(game.state_shape), len(game.state_shape) + game.number_of_agents))
    ends, legal = game.absorbing, joint_legal(game)
    for reward in game.rewards:
        ends = ends & ~((reward != 0) & legal).any(axis=axes)
    return ends


def _strides(shape: tuple[int, ...], full: tuple[int, ...]) -> tuple[int, ...]:
    strides, stride = [], 1
    for k in reversed(range(len(full))):
        strides.append(stride if shape[k] > 1 else 0)
        stride *= shape[k]
    return tuple(reversed(strides))
