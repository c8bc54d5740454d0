r"""Play: episodes drawn from a solution (`simulate`), and what they come to on average, exactly (`evaluate`).

    score_i  = sum_t discount_i^t <mass_t, r_i^pi> + discount_i^T <mass_T, R_{i,F}>,      mass_{t+1} = mass_t P^pi

with mass_t the distribution of the joint state at time t (equation 12). A stationary solution has no end: its scores
and visits are the discounted sums over all t, or those over the first `steps` decisions if asked for.

Two ways to play: `sampled`, every agent draws from its policy; `most_probable`, every agent takes its most probable
action, and where several are equally probable, one of them at random, evenly. Crowds: `quantal.rollout_crowd`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from quantal import evaluation, memory, request, rollout_crowd
from quantal.crowds.game import CrowdGame
from quantal.crowds.solution import CrowdSolution
from quantal.draws import Play, check_play, choose, most_probable, successor
from quantal.dynamics import PROBABILITY_TOLERANCE, Independent
from quantal.errors import ParameterError
from quantal.evaluation import Policies, check_solution
from quantal.game import MarkovGame
from quantal.layout import Model, from_public, model_of
from quantal.occupancy import push
from quantal.precision import double_precision
from quantal.rollout_crowd import CrowdEvaluation
from quantal.solution import Played
from quantal.trajectories import Trajectories, smallest, state_axes

Start = ArrayLike | Sequence[int | str] | int | None

BATCH_BYTES = 2**23
"""Random numbers held at a time; they fit into a cache, and no array of a batch is much larger."""


# ---------------------------------------------------------------------- simulation


def simulate(
    game: MarkovGame | CrowdGame,
    solution: Played | CrowdSolution,
    episodes: int = 1000,
    seed: int | np.random.Generator = 0,
    *,
    steps: int | None = None,
    play: str = "sampled",
    start: Start = None,
    terminate: bool = False,
    batch: int | None = None,
) -> Trajectories:
    """Draw episodes of play.

    Parameters
    ----------
    game
        The game that was solved. Of a crowd, who has a `count` becomes several agents, ``name 1``, ``name 2``, and
        every agent's own cell is a state axis; `start` and `terminate` are of Markov games.
    solution
        Whose policies to play.
    episodes
        How many.
    seed
        A number, or a generator to go on with. The same seed gives the same episodes, whatever `batch`
        is; the first n episodes are the same whatever `episodes` is.
    steps
        Decisions per episode; needed for a stationary solution. With a horizon there are T, in a game played once 1.
    play
        ``"sampled"`` or ``"most_probable"``; see the module's docstring.
    start
        First state: None for the game's distribution; a state, by numbers or labels; or a distribution,
        an array (*states).
    terminate
        For a stationary solution: let every episode end after each decision with probability
        1 - discount (`steps` at the latest). Scores are then plain sums, with the discounted expectation.
    batch
        Episodes drawn at a time; chosen for speed unless given.

    Raises
    ------
    ParameterError
        If the policies do not fit the game or a parameter cannot be used.
    TooLargeError
        If the trajectories would not fit into memory.
    """
    if isinstance(game, CrowdGame) or isinstance(solution, CrowdSolution):
        crowd, solved = rollout_crowd.both(game, solution)
        rollout_crowd.check(crowd, solved, steps, {"start": start is not None, "terminate": terminate})
        return rollout_crowd.simulate(crowd, solved, episodes, seed, check_play(play), batch)
    check_solution(game, solution)
    horizon = _steps(solution, steps)
    if horizon is None:
        raise ParameterError(
            "steps: this solution is stationary, so its play does not end by itself: expected steps=, the "
            "number of decisions per episode (terminate=True ends them at random before)"
        )
    going_on = _going_on(solution) if terminate else None
    episodes = request.whole("episodes", episodes, 0, "a whole number >= 0")
    if batch is not None and batch < 1:
        raise ParameterError(f"batch={batch}: expected a whole number >= 1")
    draw = _Player(game, solution, horizon, check_play(play), start_distribution(game, start), going_on)
    kinds = (smallest(max(game.state_shape)), smallest(max(game.action_counts)))
    axes, agents = len(game.state_shape), game.number_of_agents
    memory.require(
        episodes
        * ((horizon + 1) * axes * kinds[0].itemsize + horizon * agents * (kinds[1].itemsize + 8) + 8 * agents + 8),
        f"keeping {episodes} episodes of {horizon} decisions",
        "Simulate fewer at a time, passing a generator as seed to go on where the last call stopped",
    )
    states = np.empty((episodes, horizon + 1, axes), kinds[0])
    actions = np.empty((episodes, horizon, agents), kinds[1])
    rewards = np.empty((episodes, horizon, agents))
    final = np.zeros((episodes, agents))
    lengths = np.full(episodes, horizon)
    random = request.generator(seed)
    size = batch or max(1, min(episodes, BATCH_BYTES // (8 * draw.numbers)))
    for first in range(0, episodes, size):
        part = slice(first, min(first + size, episodes))
        # Every episode uses up the same number of random numbers, one after the other: batches cannot matter.
        numbers = random.random((part.stop - part.start, draw.numbers))
        draw(numbers, states[part], actions[part], rewards[part], final[part], lengths[part])
    return Trajectories(
        agents=game.agents,
        axes=state_axes(game),
        state_labels=game.state_labels,
        action_labels=game.actions,
        states=states,
        actions=actions,
        lengths=lengths,
        rewards=rewards,
        final_rewards=final,
        discount=(1.0,) * agents if terminate else solution.parameters.discount,
    )


class _Player:
    """Plays a batch of episodes at once; every table is flat, so that each look-up is one gather."""

    def __init__(
        self,
        game: MarkovGame,
        solution: Played,
        steps: int,
        play: Play,
        start: np.ndarray,
        going_on: float | None,
    ) -> None:
        self.game, self.steps, self.going_on = game, steps, going_on
        self.final = solution.parameters.horizon is not None
        self.begin = np.cumsum(start.reshape(-1))
        dynamics = game.dynamics
        if isinstance(dynamics, Independent):
            self.chances = dynamics.probabilities
            self.successors = dynamics.successors
        else:
            self.chances, self.successors = (dynamics.probabilities,), (dynamics.successors,)
        self.policies = [
            most_probable(solution.policy[i]) if play == "most_probable" else solution.policy[i]
            for i in range(game.number_of_agents)
        ]
        uncertain = sum(table.shape[-1] > 1 for table in self.chances)
        self.numbers = 1 + steps * (game.number_of_agents + uncertain + (going_on is not None))

    def __call__(
        self,
        numbers: np.ndarray,
        states: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        final: np.ndarray,
        lengths: np.ndarray,
    ) -> None:
        """Fill the arrays of a batch from its random numbers (episodes, `self.numbers`)."""
        game = self.game
        supply = iter(np.ascontiguousarray(numbers.T))
        cell = np.searchsorted(self.begin, next(supply) * self.begin[-1], side="right")
        place = np.unravel_index(cell, game.state_shape)
        alive = np.ones(cell.shape, dtype=bool)
        _write(states[:, 0], place, alive)
        for time in range(self.steps):
            chosen = []
            for policy in self.policies:
                table = policy[time] if self.final else policy
                chosen.append(choose(table, cell, next(supply)))
            _write(actions[:, time], chosen, alive)
            for i, reward in enumerate(game.rewards):
                rewards[:, time, i] = np.where(alive, _look_up(reward, (*place, *chosen)), 0.0)
            place, cell = self._move(place, cell, chosen, supply)
            _write(states[:, time + 1], place, alive)
            if self.going_on is not None:
                lengths[alive] = time + 1
                alive = alive & (next(supply) < self.going_on)
        if self.final:
            for i, reward in enumerate(game.final_rewards):
                final[:, i] = _look_up(reward, place)

    def _move(
        self,
        place: tuple[np.ndarray, ...],
        cell: np.ndarray,
        chosen: list[np.ndarray],
        supply: Iterator[np.ndarray],
    ) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
        """Draw the successors; the new place on every axis, and as one number."""
        game = self.game
        if isinstance(game.dynamics, Independent):
            moved: list[np.ndarray] = []
            for x, a, table, chances in zip(place, chosen, self.successors, self.chances, strict=True):
                row = x * chances.shape[1] + a
                moved.append(successor(table, chances, row, supply))
            cell = moved[0]
            for x, length in zip(moved[1:], game.state_shape[1:], strict=True):
                cell = cell * length + x
            return tuple(moved), cell
        row = cell
        for a, count in zip(chosen, game.action_counts, strict=True):
            row = row * count + a
        cell = successor(self.successors[0], self.chances[0], row, supply)
        return np.unravel_index(cell, game.state_shape), cell


def _look_up(array: np.ndarray, index: Sequence[np.ndarray]) -> np.ndarray:
    """array[index], where axes of length 1 do not depend on their index."""
    where, stride = np.zeros_like(index[0]), 1
    for k in reversed(range(array.ndim)):
        if array.shape[k] > 1:
            where = where + stride * index[k]
            stride *= array.shape[k]
    return array.reshape(-1).take(where)


def _write(target: np.ndarray, columns: Sequence[np.ndarray], alive: np.ndarray) -> None:
    for k, column in enumerate(columns):
        target[:, k] = np.where(alive, column, -1)


# ---------------------------------------------------------------------- exact expectation


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation:
    """What play comes to on average, exactly.

    Attributes
    ----------
    score
        Expected discounted sum of rewards per agent, final rewards included.
    visits
        With a horizon (or steps) T: probability of every joint state at every time, (T + 1, *states).
        For endless play: discounted expected visits, (*states), which sum to 1 / (1 - discount); if
        agents discount differently, one for each, (agents, *states).
    play
        How actions were chosen.
    discount
        Per agent.
    steps
        T; None for endless play.
    error
        Scores are exact to this bound; 0.0 with a horizon (rounding alone).
    """

    score: Mapping[str, float]
    visits: np.ndarray = field(repr=False)
    play: Play
    discount: tuple[float, ...]
    steps: int | None
    error: float


@overload
def evaluate(
    game: MarkovGame,
    solution: Played,
    *,
    play: str = ...,
    start: Start = ...,
    steps: int | None = ...,
) -> Evaluation: ...


@overload
def evaluate(
    game: CrowdGame,
    solution: CrowdSolution,
    *,
    play: str = ...,
    start: Start = ...,
    steps: int | None = ...,
) -> CrowdEvaluation: ...


@overload
def evaluate(
    game: MarkovGame | CrowdGame,
    solution: Played | CrowdSolution,
    *,
    play: str = ...,
    start: Start = ...,
    steps: int | None = ...,
) -> Evaluation | CrowdEvaluation: ...


def evaluate(
    game: MarkovGame | CrowdGame,
    solution: Played | CrowdSolution,
    *,
    play: str = "sampled",
    start: Start = None,
    steps: int | None = None,
) -> Evaluation | CrowdEvaluation:
    """Compute expected scores and visits exactly, without drawing a single episode.

    Parameters
    ----------
    game
        The game that was solved. A crowd's scores come with their parts, in a `CrowdEvaluation`; `start` is of
        Markov games.
    solution
        Whose policies to play.
    play
        ``"sampled"`` or ``"most_probable"``; see the module's docstring.
    start
        First state: None for the game's distribution; a state, by numbers or labels; or a distribution,
        an array (*states).
    steps
        For a stationary solution: stop after so many decisions; discounted without end unless given.

    Raises
    ------
    ParameterError
        If the policies do not fit the game or a parameter cannot be used.
    """
    if isinstance(game, CrowdGame) or isinstance(solution, CrowdSolution):
        crowd, solved = rollout_crowd.both(game, solution)
        rollout_crowd.check(crowd, solved, steps, {"start": start is not None})
        return rollout_crowd.evaluate(crowd, solved, check_play(play))
    return _evaluate(game, solution, play, start, steps)


@double_precision
def _evaluate(game: MarkovGame, solution: Played, play: str, start: Start, steps: int | None) -> Evaluation:
    check_solution(game, solution)
    how = check_play(play)
    length = _steps(solution, steps)
    model = model_of(game)
    mass = jax.device_put(start_distribution(game, start).reshape(model.state_shape))
    if length is None:
        score, visits, error = _endless(game, model, solution, how, np.asarray(mass))
    else:
        score, visits, error = *_stepwise(game, model, solution, how, mass, length), 0.0
    return Evaluation(
        score=dict(zip(game.agents, map(float, score), strict=True)),
        visits=visits,
        play=how,
        discount=solution.parameters.discount,
        steps=length,
        error=error,
    )


def _stepwise(
    game: MarkovGame, model: Model, solution: Played, play: Play, mass: Array, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Scores per agent and visits (T + 1, *states)."""
    discount, ends = np.array(solution.parameters.discount), solution.parameters.horizon is not None
    score = np.zeros(len(discount))
    visits = np.empty((steps + 1, *game.state_shape))
    policies = None
    for time in range(steps):
        visits[time] = np.asarray(mass).reshape(game.state_shape)
        if ends or policies is None:
            policies = _policies(model, solution, play, time if ends else None)
        earned, mass = _step(model, mass, policies)
        score += discount**time * np.asarray(earned)
    visits[steps] = np.asarray(mass).reshape(game.state_shape)
    if ends:
        final = [float((visits[steps] * reward).sum()) for reward in game.final_rewards]
        score += discount**steps * np.array(final)
    return score, visits


@jax.jit
def _step(model: Model, mass: Float[Array, "*s"], policies: Policies) -> tuple[Float[Array, "M"], Float[Array, "*s"]]:
    """Expected rewards now, per agent, and the distribution one step later."""
    rewards = evaluation.played_rewards(model, policies)
    return jnp.stack([(mass * r).sum() for r in rewards]), push(model.moves, mass, policies)


def _endless(
    game: MarkovGame, model: Model, solution: Played, play: Play, start: np.ndarray
) -> tuple[list[float], np.ndarray, float]:
    """Scores per agent, discounted visits, and a bound of the scores' error."""
    policies = _policies(model, solution, play, None)
    rewards = [np.asarray(r) for r in evaluation.played_rewards(model, policies)]
    discounts = solution.parameters.discount
    found = {
        discount: evaluation.discounted_visits(model, discount, policies, start) for discount in sorted(set(discounts))
    }
    score = [float((found[d].value * r).sum()) for d, r in zip(discounts, rewards, strict=True)]
    error = max(found[d].error * float(np.abs(r).max()) for d, r in zip(discounts, rewards, strict=True))
    visits = np.stack([found[d].value.reshape(game.state_shape) for d in discounts])
    return score, visits[0] if len(found) == 1 else visits, error


# ---------------------------------------------------------------------- what is asked for


def start_distribution(game: MarkovGame, start: Start) -> Float[np.ndarray, "*s"]:
    """Distribution of the first state, (*states).

    Parameters
    ----------
    start
        None for the game's; a state, by numbers or labels; or a distribution, an array (*states).

    Raises
    ------
    ParameterError
        If an array is not a distribution over the game's states.
    GameError
        If there is no such state.
    """
    if start is None:
        assert game.start is not None
        return game.start
    given = np.asarray(start)
    if given.dtype.kind != "f":
        mass = np.zeros(game.state_shape)
        mass[game.state_index(start)] = 1.0  # type: ignore[arg-type]
        return mass
    if given.shape != game.state_shape:
        raise ParameterError(
            f"start: expected a distribution of shape {game.state_shape}: got {given.shape}. For one state give its "
            "numbers or labels"
        )
    total = float(given.sum())
    if not ((given >= 0).all() and abs(total - 1) <= PROBABILITY_TOLERANCE):
        raise ParameterError(
            f"start: expected probabilities >= 0 that sum to 1: got a smallest of {given.min()} and a sum of {total!r}"
        )
    return given.astype(np.float64)


def _steps(solution: Played, steps: int | None) -> int | None:
    """How many decisions are played; None for endless play."""
    horizon = solution.parameters.horizon
    if steps is None:
        once = horizon is None and set(solution.parameters.discount) == {0.0}
        return 1 if once else horizon
    steps = request.whole("steps", steps, 1, "a whole number of decisions, at least 1")
    if horizon is not None and steps != horizon:
        raise ParameterError(
            f"steps={steps}: this solution is for a horizon of {horizon} decisions. Leave steps out, or "
            f"solve again with horizon={steps}"
        )
    return steps


def _going_on(solution: Played) -> float:
    """The probability that play goes on, where all agents discount alike."""
    discounts = set(solution.parameters.discount)
    if solution.parameters.horizon is not None or len(discounts) > 1:
        raise ParameterError(
            "terminate: expected a stationary solution with one discount for all agents: got horizon "
            f"{solution.parameters.horizon}, discounts {sorted(discounts)}. Leave terminate out"
        )
    (discount,) = discounts
    if not math.isfinite(discount):
        raise ParameterError(f"terminate: expected a finite discount: got {discount}")
    return discount


def _policies(model: Model, solution: Played, play: Play, time: int | None) -> Policies:
    """Policies as played, in engine layout."""
    played = []
    for i in range(model.number_of_agents):
        policy = solution.policy[i] if time is None else solution.policy[i][time]
        policy = most_probable(policy) if play == "most_probable" else policy
        played.append(jax.device_put(from_public(policy, model.state_shape)))
    return tuple(played)
