"""The engine's view of a game: JAX arrays with the action axis first.

Public arrays have states first and actions last; sums over actions and exponentials are then short minor-axis
reductions, which XLA does slowly on a CPU. Here the action axes come first, so that everything is done on long
contiguous rows of states:

    policy_i, Q_i   [A_i, *states]
    R_i             [A_1|1, ..., A_M|1, *states|1]
    legal_i         [A_i, *states|1]
    V_i             [*states]

`Coupled` games have one flat state axis here, whatever axes they have in public; `Independent` games keep theirs.
A `Model` holds no labels, so games that differ in names only share compiled code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from quantal.dynamics import Independent
from quantal.game import MarkovGame

DENSE_FILL = 0.25
"""From this share of non-zero successors on, a transition matrix is multiplied, not gathered."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class OwnMoves:
    """P = prod_j P_j: each agent's successor table, [A_j, B_j, n_j], and its probabilities (None: B_j = 1, certain)."""

    successors: tuple[Int[Array, "_ _ _"], ...]
    probabilities: tuple[Float[Array, "_ _ _"] | None, ...]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class JointMoves:
    """Padded sparse joint successors, [*A, B, S]."""

    successors: Int[Array, "*AB S"]
    probabilities: Float[Array, "*AB S"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class DenseMoves:
    """The joint kernel as one matrix per joint action, [*A, S, S']."""

    matrix: Float[Array, "*A S S"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, eq=False)
class Model:
    """What the solvers compute with; see the module's docstring for the axes."""

    rewards: tuple[Float[Array, "..."], ...]
    final_rewards: tuple[Float[Array, "..."], ...]
    legal: tuple[Bool[Array, "..."], ...]
    moves: OwnMoves | JointMoves | DenseMoves
    state_shape: tuple[int, ...] = field(metadata={"static": True})

    @property
    def number_of_agents(self) -> int:
        """M."""
        return len(self.legal)

    @property
    def number_of_states(self) -> int:
        """Joint states."""
        return math.prod(self.state_shape)

    @property
    def action_counts(self) -> tuple[int, ...]:
        """A_i per agent."""
        return tuple(mask.shape[0] for mask in self.legal)

    def with_rewards(self, rewards: tuple[Array, ...]) -> Model:
        """The same moves with other rewards."""
        return replace(self, rewards=rewards)

    def without_rewards(self) -> Model:
        """The same moves, nothing to be had on the way."""
        return self.with_rewards(tuple(jnp.zeros((1,) * r.ndim) for r in self.rewards))


def actions_first(array: np.ndarray, dims: int) -> np.ndarray:
    """Move the action axes, which follow `dims` state axes, to the front; contiguous."""
    return np.ascontiguousarray(np.moveaxis(array, range(dims), range(array.ndim - dims, array.ndim)))


def model_of(game: MarkovGame) -> Model:
    """Lay a game out for the engine (float64; call inside `double_precision`)."""
    dims = len(game.state_shape)

    def lay(array: np.ndarray) -> Array:
        """Actions first; a coupled game's state axes are flattened on the way."""
        if game.product:
            return jax.device_put(actions_first(array, dims))
        if array.shape[:dims] != (1,) * dims:
            array = np.broadcast_to(array, game.state_shape + array.shape[dims:])
        return jax.device_put(actions_first(array.reshape((-1, *array.shape[dims:])), 1))

    return Model(
        rewards=tuple(lay(r) for r in game.rewards),
        final_rewards=tuple(lay(r) for r in game.final_rewards),
        legal=tuple(lay(mask) for mask in game.legal),
        moves=_moves(game),
        state_shape=game.state_shape if game.product else (game.number_of_states,),
    )


def _moves(game: MarkovGame) -> OwnMoves | JointMoves | DenseMoves:
    dynamics = game.dynamics
    if isinstance(dynamics, Independent):
        return OwnMoves(
            successors=tuple(jax.device_put(np.moveaxis(s, 0, -1)) for s in dynamics.successors),
            probabilities=tuple(
                None if p.shape[-1] == 1 else jax.device_put(np.moveaxis(p, 0, -1)) for p in dynamics.probabilities
            ),
        )
    states, width = game.number_of_states, dynamics.successors.shape[-1]
    successors = dynamics.successors.reshape(states, *game.action_counts, width)
    probabilities = dynamics.probabilities.reshape(successors.shape)
    if width >= DENSE_FILL * states:
        if width == states and (successors == np.arange(states)).all():  # packed from a full matrix: nothing to scatter
            return DenseMoves(jax.device_put(actions_first(probabilities, 1).swapaxes(-1, -2)))
        dense = np.zeros((*game.action_counts, states, states))
        joint = np.indices((*game.action_counts, states, width), sparse=True)[:-1]
        np.add.at(
            dense,
            (*joint, actions_first(successors, 1).swapaxes(-1, -2)),
            actions_first(probabilities, 1).swapaxes(-1, -2),
        )
        return DenseMoves(jax.device_put(dense))
    return JointMoves(jax.device_put(actions_first(successors, 1)), jax.device_put(actions_first(probabilities, 1)))


def to_public(array: np.ndarray, state_shape: Sequence[int], leading: int = 0) -> np.ndarray:
    """Turn an engine array [leading.., A, *states] into a public one (leading.., *states, A)."""
    moved = np.moveaxis(np.asarray(array), leading, -1)
    return np.ascontiguousarray(moved).reshape(moved.shape[:leading] + tuple(state_shape) + moved.shape[-1:])


def from_public(array: np.ndarray, engine_shape: Sequence[int]) -> np.ndarray:
    """Turn a public array (*states, A) into an engine one [A, *states] over the engine's state axes."""
    flat = np.asarray(array).reshape(-1, array.shape[-1])
    return np.ascontiguousarray(flat.T).reshape(array.shape[-1], *engine_shape)
