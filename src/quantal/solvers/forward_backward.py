r"""MGE-FB: everyone answers everyone else's occupancy, to a fixed point (Algorithm 3, as MODEL.md corrects it).

    T(O) = forward( backward(O) )        O_i^0..O_i^{T-1} for every agent i        (see `quantal.crowds.passes`)

The unknown is the occupancy alone, which is linear in agents: Q and policies follow from it. The alternation is run in
legs of a few steps: accelerated (Anderson) by `quantal.iterate`, or, for a large crowd, in place and one block after
the other by `quantal.crowds.blockwise`. A leg that did not bring the undamped residual down is followed by one with
half the damping factor, because plain alternation can cycle. Two residuals are reported of the state that is returned:
|T(O) - O|, in probability, and |Q(T(O)) - Q(O)|, in payoff units.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from quantal.crowds.blockwise import Blockwise, Leg
from quantal.crowds.layout import CrowdModel, Movers
from quantal.crowds.passes import Choice, answer, backward, fields, forward, last_value, payoff_change
from quantal.iterate import Iterated, fixed_point
from quantal.logit import ValueRule
from quantal.precision import quick_jit

State = tuple[Any, ...]
"""Per movers, O^0..O^{T-1}, and O^T if Psi(O^T) counts: [blocks, times, g, N]; of NumPy where it is large."""

LEG, LONG_LEG = 20, 10
"""Steps after which damping is thought over, of a small crowd and of a large one."""
DEPTH = 5
"""Of Anderson acceleration."""
HISTORY_BYTES = 2**27
"""Most memory for its history; larger crowds are worked on in place, in turn."""
FEW, FEW_BYTES = 16, 2**30
"""So few agents, distinct ones, may have more: there is little to gain from taking turns."""
AHEAD = 8
"""A large crowd's occupancies are at first asked for a residual so much smaller than `tol`: payoffs add them up, and to
look at payoffs takes as long as three steps."""
LEAST_DAMPING = 1 / 64
SETTLING = 0.5
"""A leg that leaves more than this of the residual has not brought it down; or, if heavily damped, more than is left
where a step undamped would leave so much."""
GENTLE = 0.1
"""Damping of a small crowd's last attempt, without acceleration."""
PATIENCE = 4
"""Legs at the least damping that may not bring it down before the search is given up."""
POWER_STEPS = 60
"""Applications of the Jacobian for its spectral radius."""


@dataclass(frozen=True)
class Found:
    """Where the alternation stopped."""

    state: State
    residual: float
    """|T(O) - O|, undamped."""
    payoff_residual: float
    """|Q(T(O)) - Q(O)| over everyone, every decision and every legal action."""
    steps: int
    trace: np.ndarray
    damping: float
    """Of the last leg."""
    settled: bool


def occupancy_times(model: CrowdModel, horizon: int) -> int:
    """How many times a state holds."""
    return horizon + model.final_interaction


def nobody(model: CrowdModel, horizon: int) -> State:
    """The state from which everyone first plans alone."""
    times = occupancy_times(model, horizon)
    shapes = [(m.agents.start.shape[0], times, *m.agents.start.shape[1:]) for m in model.movers]
    return tuple(np.zeros(shape, m.barred.dtype) for m, shape in zip(model.movers, shapes, strict=True))


def respond(model: CrowdModel, rule: ValueRule, horizon: int, state: State) -> State:
    """T: everyone's answer to a state, undamped."""
    field = fields(model, state)

    def of(movers: Movers):
        return lambda block: answer(model, movers, block[0], rule, horizon, field, block[1])

    return tuple(lax.map(of(m), (m.agents, own)) for m, own in zip(model.movers, state, strict=True))


@partial(quick_jit, static_argnames=("rule", "horizon", "most", "memory"))
def _leg(
    model: CrowdModel,
    rule: ValueRule,
    horizon: int,
    state: State,
    damping: Array | float,
    tol: Array | float,
    most: int,
    memory: int,
) -> Iterated:
    return fixed_point(
        lambda s: respond(model, rule, horizon, s),
        state,
        (jnp.ones((1,), bool),) * len(state),
        damping=damping,
        tol=tol,
        max_steps=most,
        memory=memory,
    )


def _payoff_gap(model: CrowdModel, rule: ValueRule, horizon: int, state: State) -> Array:
    """|Q(T(O)) - Q(O)|; two states are in memory for it."""
    image = respond(model, rule, horizon, state)
    both = fields(model, state), fields(model, image)

    def of(movers: Movers):
        return lambda block: payoff_change(model, movers, block[0], rule, horizon, both, block[1:])

    parts = [lax.map(of(m), (m.agents, own, then)) for m, own, then in zip(model.movers, state, image, strict=True)]
    return jnp.stack([part.max() for part in parts]).max()


payoff_gap = quick_jit(_payoff_gap, static_argnames=("rule", "horizon"))


class _Whole:
    """A crowd that is small enough to keep several states of it: a leg is one program, accelerated over states."""

    def __init__(self, model: CrowdModel, rule: ValueRule, horizon: int, state: State, accelerate: bool) -> None:
        self.model, self.rule, self.horizon, self.state = model, rule, horizon, state
        self.memory = DEPTH if accelerate else 0
        self.residual = math.inf
        self.best = math.inf, state
        self.change: float | None = None
        """The payoff residual of the state as it is, once known."""

    def leg(self, damping: float, aim: float, most: int) -> Leg:
        found = _leg(self.model, self.rule, self.horizon, self.state, damping, aim, most, self.memory)
        self.state, self.residual, steps = found.q, float(found.residual), int(found.steps)
        self.change = None
        if self.residual < self.best[0]:
            self.best = self.residual, self.state
        return Leg(self.residual, np.asarray(found.trace, dtype=np.float64)[:steps])

    def gap(self) -> float:
        if self.change is None:
            self.change = float(payoff_gap(self.model, self.rule, self.horizon, self.state))
        return self.change

    def found(self) -> tuple[State, float, float]:
        if self.best[0] < self.residual:
            self.residual, self.state = self.best
            self.change = None
        return self.state, self.residual, self.gap()


def solve(
    model: CrowdModel,
    rule: ValueRule,
    horizon: int,
    *,
    damping: float,
    tol: float,
    floor: float,
    max_steps: int,
    accelerate: bool,
    start: State | None = None,
    progress: Callable[[float], None] | None = None,
) -> Found:
    """Alternate until both residuals are at most `tol`, or for `max_steps`, or until nothing helps any more.

    Parameters
    ----------
    damping
        Equation (14)'s alpha to begin with.
    floor
        A residual that rounding alone makes: where one below it does not come down, nothing helps.
    accelerate
        Use Anderson's acceleration, or let a large crowd's blocks take turns, and halve the damping factor of a leg
        that did not help. Otherwise all go at once, and the damping factor is kept.
    start
        A state to start from; `nobody` unless given.
    progress
        Called with the share done, on a logarithmic scale of the residual.
    """
    begin = nobody(model, horizon) if start is None else start
    if _small(begin):
        work: _Whole | Blockwise = _Whole(model, rule, horizon, begin, accelerate)
        longest, aim = LEG, tol
    else:
        # Worked on in place: the arrays of another solution stay what they are.
        own = nobody(model, horizon) if start is None else tuple(np.array(s) for s in start)
        work = Blockwise(model, rule, horizon, own, accelerate)
        longest, aim = LONG_LEG, tol / AHEAD
    before, steps, idle = math.inf, 0, 0
    traces: list[np.ndarray] = []
    least = min(LEAST_DAMPING, damping)
    while True:
        leg = work.leg(damping, aim, min(longest, max_steps - steps))
        steps += leg.trace.size
        traces.append(leg.trace)
        if progress is not None and leg.residual > 0:
            progress(min(1.0, max(0.0, math.log(leg.residual) / math.log(min(aim, 0.1)))))
        if leg.residual <= aim:
            gap = work.gap()
            if gap <= tol or aim <= tol * 1e-6 or steps >= max_steps:
                break
            # Payoffs add up what occupancies are off by: ask for as much less.
            aim = max(0.3 * aim * tol / gap, tol * 1e-6)
            before = math.inf
            continue
        if steps >= max_steps:
            break
        if accelerate and leg.residual > _settling(damping, leg.trace.size) * before:
            if leg.residual <= floor:
                break
            if damping <= least:
                idle += 1
                if idle >= PATIENCE and not _small(begin):
                    break
                if idle >= PATIENCE:
                    # Acceleration circles: once more from the start, gently and without it.
                    work = _Whole(model, rule, horizon, begin, False)
                    accelerate, damping, before = False, GENTLE, math.inf
                    continue
            damping = max(least, damping / 2)
        before = min(before, leg.residual)
    state, residual, gap = work.found()
    return Found(state, residual, gap, steps, np.concatenate(traces), damping, residual <= tol and gap <= tol)


def _settling(damping: float, steps: int) -> float:
    return max(SETTLING, (1 - damping * (1 - SETTLING)) ** steps)


def _small(state: State) -> bool:
    history = 2 * DEPTH * sum(s.size * s.dtype.itemsize for s in state)
    rows = sum(s.shape[0] * s.shape[2] for s in state)
    return history <= (FEW_BYTES if rows <= FEW else HISTORY_BYTES)


# ---------------------------------------------------------------------- what a state means


@partial(quick_jit, static_argnames=("rule", "horizon", "which"))
def read(
    model: CrowdModel, rule: ValueRule, horizon: int, field: Array, which: int, number: Array, own: Array
) -> tuple[Array, Array, Array, Array]:
    """Q and policies [T, A, g, N], values and occupancies [T + 1, g, N] of a block, given the field of everyone."""
    movers = model.movers[which]
    agents = jax.tree.map(lambda x: x[number], movers.agents)

    def keep(choice: Choice, value: Array) -> tuple[Choice, Array]:
        return choice, value

    choices, values = backward(model, movers, agents, rule, horizon, field, own, keep)
    last = last_value(model, movers, agents, field, own)
    before, after = forward(movers, agents, choices.weights, choices.scale)
    q = jnp.stack(choices.q, axis=1)
    policy = jnp.stack(choices.weights, axis=1) * choices.scale[:, None]
    if movers.absorbing:
        places = q.shape[-1]
        goal = jnp.arange(places) == agents.goal[:, None]
        legal = movers.barred[:, None] == 0
        q = jnp.where(goal, agents.goal_reward[:, None], q)
        policy = jnp.where(goal, legal / legal.sum(axis=0), policy)
    return q, policy, jnp.concatenate([values, last[None]]), jnp.concatenate([before, after[None]])


_field_of = quick_jit(fields)


def field_of(model: CrowdModel, horizon: int, state: State) -> Array:
    """What everyone adds up to; of a large crowd without another copy of the state."""
    if _small(state):
        return _field_of(model, state)
    return Blockwise(model, "expected", horizon, tuple(map(np.asarray, state)), False).fields()


# ---------------------------------------------------------------------- how it answers small changes


@partial(quick_jit, static_argnames=("rule", "horizon"))
def _push(model: CrowdModel, rule: ValueRule, horizon: int, state: State, tangent: State) -> tuple[State, Array, Array]:
    """T'(O) applied, the norm of the result, and its largest entry."""
    moved = jax.jvp(lambda s: respond(model, rule, horizon, s), (state,), (tangent,))[1]
    return moved, jnp.sqrt(sum((x**2).sum() for x in moved)), jnp.stack([jnp.abs(x).max() for x in moved]).max()


def spectral_radius(model: CrowdModel, rule: ValueRule, horizon: int, state: State) -> float:
    """Largest |eigenvalue| of T'(O), by power iteration: growth of the norm per step, over the last half of them.

    Over many steps, because a pair of complex eigenvalues makes single steps grow and shrink by turns.
    """
    random = np.random.default_rng(0)
    tangent = tuple(jnp.asarray(random.normal(size=s.shape), s.dtype) for s in state)
    logs = []
    for _ in range(POWER_STEPS):
        tangent, norm, _ = _push(model, rule, horizon, state, tangent)
        size = float(norm)
        if not size > 1e-280:  # nilpotent: nobody feels anybody
            return 0.0
        tangent = tuple(x / norm for x in tangent)
        logs.append(math.log(size))
    return math.exp(float(np.mean(logs[POWER_STEPS // 2 :])))


def error_bound(model: CrowdModel, rule: ValueRule, horizon: int, state: State, radius: float) -> float | None:
    """First-order bound of |O - O*|: |r| + |T' r| + |T' T' r| + ..., r = T(O) - O; None where that need not end."""
    if radius >= 1:
        return None
    image = respond_once(model, rule, horizon, state)
    tangent = tuple(a - b for a, b in zip(image, state, strict=True))
    term = max(float(jnp.abs(x).max()) for x in tangent)
    total = term
    for _ in range(POWER_STEPS):
        if term <= 1e-3 * total * (1 - radius):
            break
        tangent, _, largest = _push(model, rule, horizon, state, tangent)
        term = float(largest)
        total += term
    return total + term * radius / (1 - radius)


respond_once = quick_jit(respond, static_argnames=("rule", "horizon"))
