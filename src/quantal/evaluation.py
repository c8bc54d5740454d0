r"""What fixed policies are worth, exactly, and what the best answer to them would gain.

Under policies pi (not the equilibrium's value rule: true expected rewards)

    V_i(x) = E_pi[ R_i(x, a) + discount_i V_i(x') ]                      everyone keeps playing pi
    B_i(x) = max over legal a_i of E_{pi_-i}[ R_i(x, a) + discount_i B_i(x') ]    i alone deviates, as well as it can

and B_i - V_i >= 0 is what agent i could gain at x: its *exploitability*. It is 0 for all agents in a Nash equilibrium.

With a horizon both follow by one pass backward from V = B = R_{i,F} (final rewards thus count with discount^T). A
stationary V_i solves (I - discount_i P^pi) V_i = r_i^pi: by LU where the joint kernel is a matrix, by matrix-free GMRES
elsewhere; B_i by policy iteration, each policy evaluated in the same way, the more exactly the nearer the end. Every
stationary answer carries the bound

    |V - V_exact| <= (max |T(V) - V| + rounding) / (1 - discount),

and iterations stop when max |T(V) - V| is 1e-13 (1 - discount) of max |V|, or as small as rounding. Puterman (1994),
sections 6.4-6.5.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from quantal import logit
from quantal.bellman import backup_one, marginal
from quantal.errors import ParameterError
from quantal.game import MarkovGame
from quantal.layout import DenseMoves, Model, from_public, model_of
from quantal.occupancy import push
from quantal.precision import double_precision, quick_jit
from quantal.solution import PerAgent, Solution

Policies = tuple[Float[Array, "_ *s"], ...]
Values = tuple[Float[Array, "*s"], ...]

ACCURACY = 1e-13
"""Wanted bound of the error, relative to the largest value."""
ROUNDING = 8 * float(np.finfo(np.float64).eps)
"""What computing T(V) - V once may add to it by rounding, relative to the largest value."""
KRYLOV = 40
"""GMRES iterations in a round."""
ROUNDS = 500
"""Rounds of GMRES (or of as many value-iteration sweeps) after which the bound is reported as it is."""
IMPROVEMENTS = 1_000
"""Policy improvements after which the bound is reported as it is; far more than any game is known to need."""
INEXACT = 0.01
"""How far a policy is evaluated before it is improved again, relative to what improving changed."""
PATIENCE = 3
"""Improvements that may change nothing but rounding errors."""


# ---------------------------------------------------------------------- what is played


def check_solution(game: MarkovGame, solution: Solution) -> None:
    """Raise `ParameterError` if the policies of a solution do not fit a game."""
    horizon = solution.parameters.horizon
    if solution.game.agents != game.agents:
        raise ParameterError(
            f"solution: expected policies of {', '.join(game.agents)}: got "
            f"{', '.join(solution.game.agents)}. Use the game that was solved (solution.game)"
        )
    for i, agent in enumerate(game.agents):
        expected = (*game.state_shape, game.action_counts[i])
        if horizon is not None:
            expected = (horizon, *expected)
        if (found := solution.policy[i].shape) != expected:
            raise ParameterError(
                f"solution: policy of {agent}: expected shape {expected} for this game: got "
                f"{found}. Use the game that was solved (solution.game)"
            )


def policies_at(model: Model, policy: PerAgent, time: int | None = None) -> Policies:
    """Public policies (*states, A_i), or those of one decision time, in engine layout."""
    arrays = (policy[i] if time is None else policy[i][time] for i in range(len(policy)))
    return tuple(jax.device_put(from_public(array, model.state_shape)) for array in arrays)


# ---------------------------------------------------------------------- finite horizon


class Stage(NamedTuple):
    """Values before one decision, per agent."""

    time: int
    value: Values
    """V_i [*states]: everyone plays the given policies from here on."""
    best: Values
    """B_i [*states]: agent i answers the others' policies as well as possible from here on."""


def backward(
    model: Model, discount: Float[Array, "M"], play: Callable[[int], Policies], horizon: int
) -> Iterator[Stage]:
    """Yield values and best responses at times T-1, ..., 0, exactly.

    Parameters
    ----------
    discount
        One number per agent.
    play
        Policies pi_i [A_i, *states] at a decision time.
    horizon
        T, the number of decisions.
    """
    final = tuple(jnp.broadcast_to(f, model.state_shape) for f in model.final_rewards)
    value, best = final, final
    for time in reversed(range(horizon)):
        value, best = _step_back(model, discount, play(time), value, best)
        yield Stage(time, value, best)


@quick_jit  # compiles in six tenths of the time and runs as fast, even on a million states
def _step_back(
    model: Model, discount: Float[Array, "M"], policies: Policies, value: Values, best: Values
) -> tuple[Values, Values]:
    values, bests = [], []
    for i, (played, legal) in enumerate(zip(policies, model.legal, strict=True)):
        # Both at once, so that a large program is compiled once per agent and not twice.
        both = jnp.stack([value[i], best[i]])
        q = jax.vmap(lambda v, i=i: backup_one(model, discount, i, policies, v))(both)
        values.append(logit.value("expected", 1.0, q[0], played, legal))
        bests.append(logit.value("greedy", 1.0, q[1], played, legal))
    return tuple(values), tuple(bests)


# ---------------------------------------------------------------------- stationary


class Certified(NamedTuple):
    """A stationary value and a bound of its error."""

    value: Float[np.ndarray, "*s"]
    error: float
    """max |value - exact value| is at most this."""


def stationary_values(model: Model, discount: Float[Array, "M"], policies: Policies) -> tuple[Certified, ...]:
    """V_i = r_i^pi + discount_i P^pi V_i for every agent.

    Parameters
    ----------
    discount
        One number per agent, each below 1.
    policies
        pi_i [A_i, *states] per agent.
    """
    rewards = map(np.asarray, played_rewards(model, policies))
    return tuple(_solve(model, policies, float(discount[i]), r, r) for i, r in enumerate(rewards))


def best_response(
    model: Model,
    discount: Float[Array, "M"],
    i: int,
    policies: Policies,
    value: Float[np.ndarray, "*s"],
) -> tuple[Certified, Float[Array, "A *s"]]:
    """B_i against the others' fixed policies, by policy iteration.

    Parameters
    ----------
    discount
        One number per agent, each below 1.
    i
        The agent that deviates.
    policies
        pi_j [A_j, *states] per agent; that of agent i does not matter.
    value
        V_i [*states] under all of `policies`, or any other guess; where to start.

    Returns
    -------
    tuple
        B_i [*states] with a bound of its error, and a deterministic policy [A_i, *states] that
        attains it.
    """
    gamma = float(discount[i])
    count, patience = model.action_counts[i], PATIENCE
    best = np.inf
    for step in itertools.count():
        q = np.asarray(_own_q(model, discount, i, policies, value))
        gap = q.max(axis=0) - value
        action = np.arange(count).reshape(-1, *(1,) * gap.ndim) == q.argmax(axis=0)
        own = jnp.asarray(action, dtype=value.dtype)
        size, wanted = _size(gap, np.inf), _wanted(value, gamma, np.inf)
        # Near the limit of rounding the gap may stop falling just above what is wanted.
        patience = patience - 1 if size <= 100 * wanted and size > best / 2 else PATIENCE
        if size <= wanted or patience == 0 or step == IMPROVEMENTS:
            return _certified(value, gap, gamma, np.inf), own
        best = min(best, size)
        answer = (*policies[:i], own, *policies[i + 1 :])
        reward = np.asarray(played_rewards(model, answer)[i])
        value = _solve(model, answer, gamma, reward, value, tol=INEXACT * size).value
    raise AssertionError  # the loop above returns


@partial(jax.jit, static_argnames="i")
def _own_q(
    model: Model, discount: Float[Array, "M"], i: int, policies: Policies, value: Float[Array, "*s"]
) -> Float[Array, "A *s"]:
    """Q_i [A_i, *states], minus infinity where illegal."""
    return jnp.where(model.legal[i], backup_one(model, discount, i, policies, value), -jnp.inf)


@jax.jit
def played_rewards(model: Model, policies: Policies) -> Values:
    """r_i^pi [*states] per agent."""
    return tuple(jnp.broadcast_to(marginal(r, policies, ()), model.state_shape) for r in model.rewards)


@jax.jit
def _played_next(model: Model, policies: Policies, value: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """P^pi V = E_pi[ V(x') | x ], [*states]; matrix-free."""
    silent = model.without_rewards()
    q = backup_one(silent, jnp.ones(len(policies)), 0, policies, value)
    return logit.value("expected", 1.0, q, policies[0], model.legal[0])


@jax.jit
def _pushed(model: Model, policies: Policies, mass: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """Where a distribution goes: the transpose of `_played_next`."""
    return push(model.moves, mass, policies)


@jax.jit
def _kernel(moves: DenseMoves, policies: Policies) -> Float[Array, "S S"]:
    """P^pi written out; for games whose joint kernel is a matrix anyway."""
    return marginal(moves.matrix, tuple(p[..., None] for p in policies), ())


def _solve(
    model: Model, policies: Policies, discount: float, reward: np.ndarray, guess: np.ndarray, tol: float = 0.0
) -> Certified:
    """V = r + discount P^pi V to |T(V) - V| <= tol or better; the bound is of the largest error at a state."""
    if isinstance(model.moves, DenseMoves):
        kernel = np.asarray(_kernel(model.moves, policies))
        return _direct(kernel, discount, reward, np.inf)
    return _iterated(lambda v: np.asarray(_played_next(model, policies, v)), discount, reward, guess, np.inf, tol)


def discounted_visits(model: Model, discount: float, policies: Policies, start: Float[np.ndarray, "*s"]) -> Certified:
    """Expected visits sum_t discount^t mass_t under stationary policies, mass_0 = `start`.

    They solve m = start + discount (P^pi)' m and sum to 1/(1 - discount).

    Returns
    -------
    Certified
        Visits [*states], and a bound of the *sum* of their errors.
    """
    if isinstance(model.moves, DenseMoves):
        kernel = np.asarray(_kernel(model.moves, policies))
        return _direct(kernel.T, discount, start, 1.0)
    return _iterated(lambda m: np.asarray(_pushed(model, policies, m)), discount, start, start, 1.0)


def _size(x: np.ndarray, norm: float) -> float:
    return float(np.linalg.norm(x.reshape(-1), norm))


def _wanted(x: np.ndarray, discount: float, norm: float) -> float:
    """How small a gap |T(x) - x| must be."""
    return max(ACCURACY * (1 - discount), ROUNDING) * _size(x, norm)


def _certified(x: np.ndarray, gap: np.ndarray, discount: float, norm: float) -> Certified:
    """Attach the bound of the module's docstring."""
    return Certified(x, (_size(gap, norm) + ROUNDING * _size(x, norm)) / (1 - discount))


def _direct(kernel: np.ndarray, discount: float, b: np.ndarray, norm: float) -> Certified:
    """Solve x = b + discount K x by LU, with one step of refinement."""
    import scipy.linalg  # here, because SciPy takes a quarter of a second to import

    factors = scipy.linalg.lu_factor(np.eye(b.size) - discount * kernel)
    x = scipy.linalg.lu_solve(factors, b)
    x = x + scipy.linalg.lu_solve(factors, b + discount * kernel @ x - x)
    return _certified(x, b + discount * kernel @ x - x, discount, norm)


def _iterated(
    product: Callable[[np.ndarray], np.ndarray],
    discount: float,
    b: np.ndarray,
    x: np.ndarray,
    norm: float,
    tol: float = 0.0,
) -> Certified:
    """Solve x = b + discount K x by GMRES to a gap of `tol`, or as far as rounding allows; K has norm 1.

    GMRES is SciPy's, around a compiled product: JAX's own would be compiled with it, which takes seconds.
    """

    def apply(v: np.ndarray) -> np.ndarray:
        return v - discount * product(v.reshape(b.shape)).reshape(-1)

    import scipy.sparse.linalg  # here, because SciPy takes a quarter of a second to import

    def krylov(gap: np.ndarray, wanted: float) -> np.ndarray:
        shape = (gap.size, gap.size)
        size = _size(gap, np.inf)
        correction, _ = scipy.sparse.linalg.gmres(
            scipy.sparse.linalg.LinearOperator(shape, matvec=apply, dtype=gap.dtype),  # type: ignore[call-arg]
            gap.reshape(-1) / size,
            rtol=0.0,
            atol=wanted / (2 * size),
            restart=min(KRYLOV, gap.size),
            maxiter=1,
        )
        return size * correction.reshape(gap.shape)

    gap = b + discount * product(x) - x
    for _ in range(ROUNDS):
        size, wanted = _size(gap, norm), max(tol, _wanted(x, discount, norm))
        if size <= wanted:
            break
        new = x + krylov(gap, wanted)
        after = b + discount * product(new) - new
        # GMRES is fast but may stall; plain sweeps contract by the discount each, for certain.
        if not _size(after, norm) <= max(discount**KRYLOV * size, wanted):
            new, after = x, gap
            for _ in range(KRYLOV):
                new = new + after
                after = b + discount * product(new) - new
        x, gap = new, after
    return _certified(x, gap, discount, norm)


# ---------------------------------------------------------------------- exploitability


@dataclass(frozen=True, eq=False, kw_only=True)
class Exploitability(Mapping[str, float]):
    """What each agent could gain by playing as well as possible against the others' policies.

    As a mapping it gives the largest gain over all states (and times): ``exploitability(game, sol)["h1"]``.

    Attributes
    ----------
    agents
        Names.
    largest
        B_i - V_i at the worst state (and time), per agent.
    where
        That state, as an index over the state axes; with a horizon preceded by the time.
    expected
        B_i - V_i in expectation over the game's start distribution (at time 0), per agent.
    gains
        B_i - V_i for every first state, (*states).
    error
        Each number is exact to this bound; 0.0 with a horizon (rounding alone).
    """

    agents: tuple[str, ...]
    largest: tuple[float, ...]
    where: tuple[tuple[int, ...], ...]
    expected: Mapping[str, float]
    gains: PerAgent = field(repr=False)
    error: float

    def __getitem__(self, agent: str | int) -> float:
        if isinstance(agent, (int, np.integer)):
            return self.largest[agent]
        if agent not in self.agents:
            raise KeyError(f"no agent {agent!r}: expected one of {', '.join(self.agents)}")
        return self.largest[self.agents.index(agent)]

    def __iter__(self) -> Iterator[str]:
        return iter(self.agents)

    def __len__(self) -> int:
        return len(self.agents)


@double_precision
def exploitability(game: MarkovGame, solution: Solution) -> Exploitability:
    """Say, exactly, what each agent could gain by leaving the equilibrium alone.

    The policies that are actually played are held against their best responses in true expected rewards, whatever
    value rule they were found with. A logit equilibrium is not a Nash equilibrium: gains shrink as beta grows.

    Parameters
    ----------
    game
        The game that was solved.
    solution
        Whose policies to examine; discounts and horizon are taken from it.

    Returns
    -------
    Exploitability
        Maps agents to their largest gain over states (and times).

    Raises
    ------
    ParameterError
        If the policies do not fit the game.
    """
    check_solution(game, solution)
    model = model_of(game)
    discount = jax.device_put(np.asarray(solution.parameters.discount))
    if solution.parameters.horizon is None:
        return _stationary_gains(game, model, discount, solution)
    return _finite_gains(game, model, discount, solution, solution.parameters.horizon)


def _finite_gains(game: MarkovGame, model: Model, discount: Array, solution: Solution, horizon: int) -> Exploitability:
    agents = range(game.number_of_agents)
    largest = [-np.inf for _ in agents]
    where: list[tuple[int, ...]] = [() for _ in agents]
    gains: list[np.ndarray] = []
    for stage in backward(model, discount, lambda time: policies_at(model, solution.policy, time), horizon):
        gains = [np.asarray(b - v).reshape(game.state_shape) for b, v in zip(stage.best, stage.value, strict=True)]
        for i in agents:
            index = np.unravel_index(int(gains[i].argmax()), game.state_shape)
            if gains[i][index] > largest[i]:
                largest[i] = float(gains[i][index])
                where[i] = (stage.time, *map(int, index))
    return _record(game, gains, largest, where, 0.0)


def _stationary_gains(game: MarkovGame, model: Model, discount: Array, solution: Solution) -> Exploitability:
    policies = policies_at(model, solution.policy)
    values = stationary_values(model, discount, policies)
    gains, largest, where, error = [], [], [], 0.0
    for i, value in enumerate(values):
        best, _ = best_response(model, discount, i, policies, value.value)
        gain = np.asarray(best.value - value.value).reshape(game.state_shape)
        index = np.unravel_index(int(gain.argmax()), game.state_shape)
        gains.append(gain)
        largest.append(float(gain[index]))
        where.append(tuple(map(int, index)))
        error = max(error, best.error + value.error)
    return _record(game, gains, largest, where, error)


def _record(
    game: MarkovGame,
    found: Sequence[np.ndarray],
    largest: Sequence[float],
    where: Sequence[tuple[int, ...]],
    error: float,
) -> Exploitability:
    assert game.start is not None
    # A best response is never worse: what is below zero is rounding.
    gains = tuple(np.maximum(gain, 0.0) for gain in found)
    return Exploitability(
        agents=game.agents,
        largest=tuple(max(0.0, gain) for gain in largest),
        where=tuple(where),
        expected=dict(zip(game.agents, (float((game.start * gain).sum()) for gain in gains), strict=True)),
        gains=PerAgent(game.agents, gains),
        error=error,
    )
