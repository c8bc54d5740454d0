"""The one loop in which every sampling learner learns: episodes of play, compiled, a lane per seed.

A learner is a small frozen object (its settings) with four functions of one lane; the loop plays its actions, hands it
what came of them, starts episodes anew, and keeps the time:

    memory  = learner.begin(world)                                   what it knows at first
    actions = learner.act(world, memory, state, clock, numbers)      from `draws(world)` uniform random numbers
    memory  = learner.learn(world, memory, transition, clock)
    readout = learner.read(world, memory)                            what it would play, and thinks it is worth

An episode ends in a state that is never left and pays nothing, or after `episode_length` steps (what comes later still
counts: the learner is not told that it was cut). Each lane draws from a generator of its own.

A seed gives the same run, bit for bit, whichever others run beside it. A compiler vectorises a loop over three lanes
otherwise than one over four, and rounds otherwise: so lanes are run in blocks of one width (`BLOCK`), with idle lanes
where seeds are wanting, and every program is always the same one, compiled from its first call on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from time import perf_counter
from typing import Any, NamedTuple, Protocol, TypeAlias, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from quantal import memory
from quantal.baselines.learned import Learned, Outcome, learned_from, settled_at
from quantal.baselines.schedules import Clock
from quantal.baselines.world import World, world_of
from quantal.crowds.game import CrowdGame
from quantal.errors import ParameterError
from quantal.game import MarkovGame
from quantal.precision import compiled, double_precision, quick_jit
from quantal.request import check_progress, per_agent, whole

Actions: TypeAlias = tuple[Array, ...]
Progress: TypeAlias = Callable[[float], None]
"""Called with the share done, 0 to 1."""

PIECE = 512
"""Steps whose random numbers are drawn together."""
CHECKPOINTS = 50
"""Points of the learning curve."""
EPISODE = 100
"""Steps after which an episode is cut, unless told otherwise."""
BLOCK = 16
"""Lanes that run side by side: enough to fill vector units, few enough that one alone does not wait for them."""
BLOCK_BYTES = 2**26
"""What a block's lanes know may be as large as this; in larger games blocks are narrower."""
MOST = 10**12
"""Steps or episodes of a run; at a million a second, eleven days."""
LARGEST_SEED = 2**63 - 1
MOST_SEEDS = 100_000
DISCOUNT = 0.9
"""Greenwald & Hall's, unless told otherwise."""


class Transition(NamedTuple):
    """What came of one step."""

    state: Int[Array, ""]
    actions: Actions
    reward: Float[Array, "M"]
    next: Int[Array, ""]
    going: Float[Array, ""]
    """1, or 0 where the next state is terminal: nothing is worth anything there."""
    live: Float[Array, ""]
    """1, or 0 in a lane whose run is over: it must learn nothing more."""


@runtime_checkable
class Learner(Protocol):
    """A way to learn; hashable, so that programs are compiled once for equal ones."""

    @property
    def name(self) -> str:
        """What to call it."""
        ...

    def check(self, game: MarkovGame) -> None:
        """Raise `ParameterError` if it cannot learn this game."""
        ...

    def draws(self, world: World) -> int:
        """Uniform random numbers that `act` takes."""
        ...

    def begin(self, world: World) -> Any:
        """Return what it knows at first: any pytree of arrays."""
        ...

    def act(self, world: World, memory: Any, state: Array, clock: Clock, numbers: Array) -> Actions:
        """Choose everyone's action."""
        ...

    def learn(self, world: World, memory: Any, seen: Transition, clock: Clock) -> Any:
        """Take in one step."""
        ...

    def values(self, world: World, memory: Any) -> Float[Array, "M S"]:
        """Return what it thinks that every state is worth."""
        ...

    def read(self, world: World, memory: Any) -> Outcome:
        """Return what it would play now."""
        ...


class _Lane(NamedTuple):
    memory: Any
    state: Int[Array, ""]
    age: Int[Array, ""]
    """Steps of this episode."""
    steps: Int[Array, ""]
    episodes: Int[Array, ""]
    """Episodes ended."""
    visited: Bool[Array, "S"]


@double_precision
def train(
    game: MarkovGame,
    learner: Learner,
    *,
    steps: int | None = None,
    episodes: int | None = None,
    seeds: Iterable[int] = (0,),
    discount: float | Sequence[float] | None = None,
    episode_length: int | None = None,
    progress: Progress | None = None,
) -> tuple[Learned, ...]:
    """Let all agents of a game learn, once per seed, side by side in one compiled program.

    Parameters
    ----------
    game
        What is played. Rewards are the game's R_i(x, a): expected over the successors.
    learner
        How everyone learns, for example ``QLearning()``.
    steps, episodes
        How long: one of the two.
    seeds
        One run each. A seed gives the same run, bit for bit, whichever others run beside it.
    discount
        A number below 1, or one per agent. 0.9 unless given; 0 in a game of one state.
    episode_length
        Steps after which an episode is cut. 100 unless given; 1 in a game of one state.
    progress
        Called with the share done.

    Returns
    -------
    tuple of Learned
        One per seed.

    Raises
    ------
    ParameterError
        If a parameter cannot be used, or the learner cannot learn this game.
    TooLargeError
        If what is learned would not fit into memory.
    """
    check_game(game)
    check_learner(learner)
    check_progress(progress)
    given = checked_seeds(seeds)
    if (steps is None) == (episodes is None):
        raise ParameterError(f"steps={steps}, episodes={episodes}: expected one of the two: say how long to learn")
    what, number = ("episodes", episodes) if steps is None else ("steps", steps)
    limit = run_length(what, number)
    alone = game.number_of_states == 1
    length = run_length("episode_length", (1 if alone else EPISODE) if episode_length is None else episode_length)
    discounts = learning_discount(game, discount)
    learner.check(game)
    world = world_of(game, discounts)
    width = _width(learner, world, len(given))
    results: list[Learned] = []
    for first in range(0, len(given), width):
        began = perf_counter()
        some = given[first : first + width]

        def told(share: float, first: int = first) -> None:
            if progress is not None:
                progress(min(1.0, (first + share * width) / len(given)))

        with compiled():
            runs = _run_block(game, learner, world, some, width, limit, length, steps is None, told)
        seconds = (perf_counter() - began) / len(some)
        results += [
            learned_from(game, learner, **run, discount=tuple(map(float, discounts)), seed=seed, seconds=seconds)
            for seed, run in zip(some, runs, strict=True)
        ]
    return tuple(results)


def _run_block(
    game: MarkovGame,
    learner: Learner,
    world: World,
    seeds: Sequence[int],
    width: int,
    limit: int,
    length: int,
    by_episodes: bool,
    progress: Progress,
) -> list[dict[str, Any]]:
    """Run as many seeds as a block has lanes, or fewer; what a record says of each."""
    count = len(seeds)
    keys = jnp.stack([jax.random.key(seed) for seed in (*seeds, *(seeds[-1],) * (width - count))])
    limits = jnp.asarray([limit] * count + [0] * (width - count))  # a lane too many is over before it begins
    start = game.start.reshape(-1)
    lanes = _begin(learner, world, keys)
    # Checkpoints are evenly spread over the steps; over the episodes, after as many steps as half of them may take.
    curve = [np.asarray(_values(learner, world, lanes.memory)) @ start]
    times = [np.zeros((2, width), int)]
    piece = 0
    while True:
        for many in (PIECE,) if by_episodes else _pieces(limit, len(curve)):
            made = map(jnp.asarray, (piece, many))
            lanes = _advance(learner, world, by_episodes, lanes, keys, *made, limits, jnp.asarray(length))
            piece += 1
        curve.append(np.asarray(_values(learner, world, lanes.memory)) @ start)
        times.append(np.stack([np.asarray(lanes.steps), np.asarray(lanes.episodes)]))
        done = float(times[-1][int(by_episodes), :count].min()) / limit
        progress(min(1.0, done))
        if done >= 1:
            break
    outcomes = jax.tree.map(np.asarray, _read(learner, world, lanes.memory))
    visited, path, when = np.asarray(lanes.visited), np.stack(curve), np.stack(times)
    runs: list[dict[str, Any]] = []
    for lane in range(count):
        # By episodes, lanes beside this one may have gone on when it was over.
        last = int(np.argmax(when[:, int(by_episodes), lane] >= limit)) + 1
        runs.append(
            {
                "outcome": jax.tree.map(lambda x, lane=lane: x[lane], outcomes),
                "curve": path[:last, lane],
                "steps": when[:last, 0, lane],
                "episodes": when[:last, 1, lane],
                "visited": visited[lane],
                "settled": settled_at(path[:last, lane]),
            }
        )
    return runs


def train_one(
    game: MarkovGame,
    learner: Learner,
    steps: int | None,
    episodes: int | None,
    seed: int,
    discount: float | Sequence[float] | None,
    episode_length: int | None,
) -> Learned:
    """Learn with one seed."""
    (found,) = train(
        game,
        learner,
        steps=steps,
        episodes=episodes,
        seeds=(seed,),
        discount=discount,
        episode_length=episode_length,
    )
    return found


def check_game(game: object) -> None:
    """Raise `ParameterError` for what cannot be learned."""
    if isinstance(game, MarkovGame):
        return
    if isinstance(game, CrowdGame):
        raise ParameterError("game: learners play on joint states: expected a MarkovGame: got a CrowdGame")
    raise ParameterError(f"game: expected a MarkovGame, such as quantal.games.grid.game_two(): got {game!r}")


def check_learner(learner: object) -> None:
    """Raise `ParameterError` for what is no learner."""
    if isinstance(learner, type):
        raise ParameterError(f"learner: expected settings, {learner.__name__}(...): got the class {learner.__name__}")
    if not isinstance(learner, Learner):
        raise ParameterError(
            f"learner: expected settings such as QLearning() or JointQ(Correlated('u')): got {learner!r}"
        )


def run_length(what: str, given: object) -> int:
    """Check a number of steps, episodes or rounds."""
    number = whole(what, given, 1, "a whole number >= 1")
    if number > MOST:
        raise ParameterError(f"{what}={given!r}: expected at most {MOST:,}")
    return number


def listed(seeds: object) -> Iterable[Any]:
    """Refuse what is no list of seeds."""
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        raise ParameterError(f"seeds={seeds!r}: expected several, such as range(10), or (3,) for one")
    return seeds


def checked_seeds(seeds: object) -> tuple[int, ...]:
    """Every seed, checked; not so many that the list alone would fill the memory."""
    found = tuple(check_seed(seed) for seed in islice(listed(seeds), MOST_SEEDS + 1))
    if not found:
        raise ParameterError("seeds: expected at least one: got none")
    if len(found) > MOST_SEEDS:
        raise ParameterError(f"seeds: expected at most {MOST_SEEDS:,}: got more. Train fewer at a time")
    return found


def check_seed(given: object) -> int:
    """Refuse what JAX's generators cannot begin with."""
    seed = int(given) if isinstance(given, float) and given.is_integer() else given
    if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, (int, np.integer)) or not 0 <= seed <= LARGEST_SEED:
        raise ParameterError(f"seed={given!r}: expected a whole number, 0 <= seed < 2**63")
    return int(seed)


def learning_discount(game: MarkovGame, discount: float | Sequence[float] | None) -> np.ndarray:
    """Check a discount, or choose the usual one; one number per agent."""
    if discount is None:
        discount = 0.0 if game.number_of_states == 1 else DISCOUNT
    discounts = per_agent(game, "discount", discount)
    if not ((discounts >= 0) & (discounts < 1)).all():
        raise ParameterError(f"discount={discount}: expected 0 <= discount < 1: what is learned has no end")
    return discounts


def _pieces(limit: int, checkpoint: int) -> Iterable[int]:
    """Steps up to the next checkpoint of a run of `limit` steps, in pieces."""
    first, last = (limit * k // CHECKPOINTS for k in (checkpoint - 1, checkpoint))
    for begin in range(first, last, PIECE):
        yield min(PIECE, last - begin)


def _width(learner: Learner, world: World, seeds: int) -> int:
    """Lanes of a block: of the game's and the learner's size, never of how many seeds there are."""
    shapes = jax.eval_shape(partial(_first, learner), world, jax.random.key(0))
    size = sum(x.size * np.dtype(x.dtype).itemsize for x in jax.tree.leaves(shapes))
    width = BLOCK
    while width > 1 and width * size > BLOCK_BYTES:
        width //= 2
    memory.require(
        (3 * width + seeds) * size, f"{learner.name} with {seeds} seeds", "Use fewer seeds at a time, or a smaller game"
    )
    return width


def _first(learner: Learner, world: World, key: Array) -> _Lane:
    number = jax.random.uniform(jax.random.fold_in(key, 2**31 - 1))  # no piece has this number
    zero = jnp.zeros((), int)
    return _Lane(learner.begin(world), world.begin(number), zero, zero, zero, jnp.zeros(world.states, bool))


@partial(quick_jit, static_argnames="learner")
def _begin(learner: Learner, world: World, keys: Array) -> _Lane:
    return jax.vmap(lambda key: _first(learner, world, key))(keys)


@partial(jax.jit, static_argnames=("learner", "by_episodes"), donate_argnames="lanes")
def _advance(
    learner: Learner,
    world: World,
    by_episodes: bool,
    lanes: _Lane,
    keys: Array,
    piece: Int[Array, ""],
    count: Int[Array, ""],
    limits: Int[Array, "B"],
    length: Int[Array, ""],
) -> _Lane:
    width = learner.draws(world) + world.draws
    numbers = jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, piece), (PIECE, width)), out_axes=1)(keys)

    def step(lane: _Lane, number: Array, limit: Array) -> _Lane:
        return _stepped(learner, world, by_episodes, limit, length, lane, number)

    return lax.fori_loop(0, count, lambda t, lanes: jax.vmap(step)(lanes, numbers[t], limits), lanes)


def _stepped(
    learner: Learner, world: World, by_episodes: bool, limit: Array, length: Array, lane: _Lane, numbers: Array
) -> _Lane:
    done = lane.episodes if by_episodes else lane.steps
    live = done < limit
    clock = Clock(lane.steps, jnp.minimum(done / jnp.maximum(limit, 1), 1.0))
    own = learner.draws(world)
    actions = learner.act(world, lane.memory, lane.state, clock, numbers[:own])
    after = world.move(lane.state, actions, numbers[own:])
    over = world.terminal[after]
    seen = Transition(
        state=lane.state,
        actions=actions,
        reward=world.reward(lane.state, actions),
        next=after,
        going=1.0 - over,
        live=live.astype(float),
    )
    ended = over | (lane.age + 1 >= length)
    return _Lane(
        memory=learner.learn(world, lane.memory, seen, clock),
        state=jnp.where(live, jnp.where(ended, world.begin(numbers[-1]), after), lane.state),
        age=jnp.where(ended, 0, lane.age + 1),
        steps=lane.steps + live,
        episodes=lane.episodes + (ended & live),
        visited=lane.visited.at[lane.state].max(live),
    )


@partial(quick_jit, static_argnames="learner")
def _values(learner: Learner, world: World, memories: Any) -> Float[Array, "B M S"]:
    return jax.vmap(lambda m: learner.values(world, m))(memories)


@partial(quick_jit, static_argnames="learner")
def _read(learner: Learner, world: World, memories: Any) -> Outcome:
    return jax.vmap(lambda m: learner.read(world, m))(memories)
