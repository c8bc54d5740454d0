r"""Features, as they were seen and as they are expected: per-step averages over the same lengths from the same starts.

    observed  = sum_e sum_{t < L_e} F(x_t, a_t) / sum_e L_e
    expected  = sum_e sum_{t < L_e} E_pi[ F(x_t, a_t) | x_0 = where episode e began ] / sum_e L_e

F~ in Algorithm 4 is a sum over a history and F-bar an expectation; only so are they alike. Of a crowd's member that has
arrived nothing counts any more: there it chooses nothing, and is paid for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from quantal.bellman import marginal
from quantal.crowds.game import CrowdGame
from quantal.crowds.solution import CrowdSolution
from quantal.errors import ParameterError
from quantal.game import MarkovGame
from quantal.infer.data import numbered, observed
from quantal.infer.features import Features
from quantal.layout import Model, from_public, model_of
from quantal.occupancy import push
from quantal.precision import double_precision, quick_jit
from quantal.solution import Played
from quantal.trajectories import Trajectories

LENGTHS, STEPS = 4, 16
"""What programs are made for at least: different lengths of episodes, and steps of stationary play."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What was observed, and on which occasions.

    Attributes
    ----------
    totals
        Sum of features of every episode, (episodes, K), in the order of `Features.labels`.
    decisions
        Decisions of every episode, (episodes,).
    lengths
        The lengths that occur.
    starts
        How many episodes of each length began where, (lengths, *states); of a crowd, which always starts as its game
        says, (lengths,).
    places
        Of every episode, its length's number and its first state, (episodes, 1 + axes); of a crowd without the state.
    """

    totals: Float[np.ndarray, "episodes K"]
    decisions: Int[np.ndarray, " episodes"]
    lengths: Int[np.ndarray, " n"]
    starts: Float[np.ndarray, "n *states"]
    places: Int[np.ndarray, "episodes _"]

    @property
    def mean(self) -> Float[np.ndarray, " K"]:
        """Per-step average."""
        return self.totals.sum(axis=0) / self.decisions.sum()


def seen(game: MarkovGame | CrowdGame, features: Features, data: Trajectories) -> Seen:
    """Add up the features of observed play.

    Parameters
    ----------
    game
        What was played. Play of a crowd has one state axis per member, with cells' labels.
    features
        Of this game.
    data
        Episodes.

    Raises
    ------
    ParameterError
        If the data are of another game, empty, or impossible in this one; names the place.
    """
    if not isinstance(data, Trajectories):
        raise ParameterError(f"data: expected Trajectories: got {type(data).__name__}. For averages give observed=")
    observed(game, data, max(1, int(data.lengths.max(initial=0))) if isinstance(game, CrowdGame) else None)
    states, actions = numbered(game, data)
    episodes, steps = actions.shape[:2]
    played = np.arange(steps) < data.lengths[:, None]
    where, chosen = states[:, :-1][played], actions[played]
    totals = np.zeros((episodes, features.number))
    episode = np.nonzero(played)[0]
    column = 0
    for i, array in enumerate(features.arrays):
        if isinstance(game, CrowdGame):
            index = (where[:, i], chosen[:, i])
        else:
            index = (*where.T, *chosen.T)
        for part in array:
            values = part[tuple(np.zeros_like(k) if n == 1 else k for k, n in zip(index, part.shape, strict=True))]
            if isinstance(game, CrowdGame) and game.goals[i] is not None:
                values = np.where(index[0] == game.goals[i], 0.0, values)
            totals[:, column] = np.bincount(episode, values, minlength=episodes)
            column += 1
    decisions = data.lengths.astype(np.int64)
    some = decisions > 0
    lengths, group = np.unique(decisions[some], return_inverse=True)
    if isinstance(game, CrowdGame):
        starts = np.bincount(group).astype(float)
    else:
        starts = np.zeros((lengths.size, *game.state_shape))
        np.add.at(starts, (group, *states[some, 0].T), 1.0)
    first = states[some, 0][:, :0] if isinstance(game, CrowdGame) else states[some, 0]
    return Seen(totals[some], decisions[some], lengths, starts, np.concatenate([group[:, None], first], axis=1))


@double_precision
def covariance(features: Features, played: Played | CrowdSolution, occasions: Seen) -> Float[np.ndarray, "K K"]:
    """Of `Seen.mean`, episodes being independent; NaN for one episode.

    Where episodes began, and how long they were, is given: only what play makes of it is chance.
    """
    episodes, number = occasions.totals.shape
    if episodes < 2:
        return np.full((number, number), np.nan)
    if isinstance(played, CrowdSolution):
        each = [
            _of_crowd(features, played, occasions.lengths[k : k + 1], np.ones(1)) * length
            for k, length in enumerate(occasions.lengths)
        ]
        usual = np.stack(each)[occasions.places[:, 0]]
    else:
        model, arrays, policies, clock = _laid(features, played, int(occasions.lengths.max()))
        starts = jax.device_put(occasions.starts.reshape(len(occasions.lengths), *model.state_shape))
        stationary = played.parameters.horizon is None
        # Totals are linear in where episodes begin: their slopes are what each start leads to.
        slopes = np.asarray(
            _slopes(model, arrays, policies, starts, jax.device_put(occasions.lengths), clock, stationary)
        )
        usual = slopes.reshape(number, *occasions.starts.shape)[:, *occasions.places.T].T
    left = occasions.totals - usual
    return left.T @ left / occasions.decisions.sum() ** 2 * episodes / (episodes - 1)


@double_precision
def expected(features: Features, played: Played | CrowdSolution, occasions: Seen | int) -> Float[np.ndarray, " K"]:
    """Per-step average of features under play, over the lengths and from the starts that were seen.

    Parameters
    ----------
    features
        Of the game that is played.
    played
        Policies.
    occasions
        What was seen, or a number of decisions from the game's own start.

    Raises
    ------
    ParameterError
        If something longer was seen than the horizon that was solved.
    """
    if isinstance(occasions, Seen):
        lengths, counts = occasions.lengths, occasions.starts
    else:
        lengths = np.array([occasions])
        counts = np.ones(1) if isinstance(played, CrowdSolution) else np.asarray(played.game.start)[None]
    horizon = played.parameters.horizon
    if horizon is not None and lengths.max() > horizon:
        raise ParameterError(
            f"data: an episode has {lengths.max()} decisions: expected at most the horizon, {horizon}. Raise horizon="
        )
    if isinstance(played, CrowdSolution):
        return _of_crowd(features, played, lengths, counts)
    decisions = lengths @ counts.reshape(len(lengths), -1).sum(axis=1)
    # Padded with lengths of which there is nothing: programs are used again as more is seen.
    spare = max(LENGTHS, _power_of_two(len(lengths))) - len(lengths)
    lengths = np.concatenate([lengths, np.zeros(spare, dtype=lengths.dtype)])
    counts = np.concatenate([counts, np.zeros((spare, *counts.shape[1:]))])
    model, arrays, policies, clock = _laid(features, played, horizon or max(STEPS, _power_of_two(int(lengths.max()))))
    starts = jax.device_put(counts.reshape(len(lengths), *model.state_shape))
    totals = _pushed(model, arrays, policies, starts, jax.device_put(lengths), clock, horizon is None)
    return np.asarray(totals) / decisions


def _power_of_two(number: int) -> int:
    """The least that is no less."""
    return 1 << (number - 1).bit_length()


def _laid(features: Features, played: Played, steps: int):
    """Model, features, policies [T, A_i, *states] (stationary: [A_i, *states]), and a zero per step."""
    game = played.game
    model = model_of(game)
    policies = tuple(
        jax.device_put(
            from_public(pi, model.state_shape)
            if played.parameters.horizon is None
            else np.stack([from_public(pi[t], model.state_shape) for t in range(steps)])
        )
        for pi in (played.policy[i] for i in range(game.number_of_agents))
    )
    _, arrays = features.laid(game)
    return model, arrays, policies, np.zeros(steps)


def _pushed_plainly(
    model: Model,
    arrays: tuple[Array, ...],
    policies: tuple[Array, ...],
    starts: Float[Array, "n *s"],
    lengths: Int[Array, " n"],
    clock: Float[Array, " T"],
    stationary: bool,
) -> Float[Array, " K"]:
    """Sum over steps and episodes of expected features."""

    def step(carry: tuple[Array, Array], now: Any):
        masses, time = carry
        pi = policies if stationary else now[1]
        going = (time < lengths).reshape(-1, *(1,) * (masses.ndim - 1))
        mass = (masses * going).sum(axis=0)
        totals = []
        for array in arrays:
            totals += [(mass * marginal(part, pi, ())).sum() for part in array]
        found = jnp.stack(totals) if totals else jnp.zeros(0)
        return (jnp.stack([push(model.moves, m, pi) for m in masses]), time + 1), found

    moments = (clock,) if stationary else (clock, policies)
    _, found = lax.scan(step, (starts, jnp.int32(0)), moments)
    return found.sum(axis=0)


_pushed = quick_jit(_pushed_plainly, static_argnames="stationary")


@partial(jax.jit, static_argnames="stationary")
def _slopes(
    model: Model,
    arrays: tuple[Array, ...],
    policies: tuple[Array, ...],
    starts: Float[Array, "n *s"],
    lengths: Int[Array, " n"],
    clock: Float[Array, " T"],
    stationary: bool,
) -> Float[Array, "K n *s"]:
    """D totals / d starts."""
    return jax.jacrev(lambda s: _pushed_plainly(model, arrays, policies, s, lengths, clock, stationary))(starts)


def _of_crowd(
    features: Features, played: CrowdSolution, lengths: np.ndarray, counts: np.ndarray
) -> Float[np.ndarray, " K"]:
    """Occupancy times policy times feature; `counts` episodes of each length."""
    # How many episodes are still going at each time.
    going = np.array([counts[lengths > t].sum() for t in range(int(lengths.max()))])
    totals: list[float] = []
    for i, array in enumerate(features.arrays):
        if not len(array):
            continue
        joint = played.occupancy[i][: len(going), :, None] * played.policy[i][: len(going)]
        visits = np.tensordot(going, joint, axes=1)
        if (goal := played.game.goals[i]) is not None:
            visits[goal] = 0.0
        totals += [float((part * visits).sum()) for part in array]
    return np.array(totals) / going.sum()
