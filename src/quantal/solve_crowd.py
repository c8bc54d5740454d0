"""Solve a crowd: lay it out, alternate backward and forward passes, say what was found."""

from __future__ import annotations

import math
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from quantal import logit, memory, request
from quantal.certify_crowd import certify, felt_by, payoff_bound
from quantal.crowds import newton
from quantal.crowds.game import CrowdGame, decisions, legal_of, resting
from quantal.crowds.layout import CrowdLayout, CrowdModel, crowd_layout
from quantal.crowds.solution import CrowdSolution, OnDemand, Reading
from quantal.errors import ParameterError
from quantal.logit import ValueRule
from quantal.solution import Parameters, Status
from quantal.solvers import forward_backward
from quantal.solvers.forward_backward import State

TOLERANCE = {"float64": 1e-10, "float32": 1e-4}
"""Accepted where none is asked for, in units of probability and of payoff."""
PATIENT = 1_000
"""Steps of alternation after which a small crowd is left to Newton's method."""
KEPT_BYTES = 2**27
"""Readings that are kept for the next question; at least the last one is."""


def solve_crowd(
    game: CrowdGame,
    *,
    beta: float | Sequence[float] | np.ndarray,
    horizon: int | None,
    value: str = "expected",
    method: str = "auto",
    damping: float = 1.0,
    tol: float | None = None,
    max_steps: int = 10_000,
    start: CrowdSolution | None = None,
    dtype: str = "float64",
    progress: Callable[[float], None] | None = None,
) -> CrowdSolution:
    """Find where everyone goes who expects everyone else to do the same (MGE-FB, Algorithm 3).

    Parameters
    ----------
    game
        What is played.
    beta
        Precision, in 1/payoff units: a number or one per member; 0 is uniform play.
    horizon
        Number of decisions T.
    value
        How Q becomes V: `expected` (the paper's equations), `soft` or `greedy`.
    method
        `auto`: accelerated (a large crowd: one after the other), and damped more wherever that does not settle; where
        a small crowd has not settled after 1,000 steps, Newton's method from low precision on. `picard`: equation (14)
        alone.
    damping
        Equation (14)'s alpha; with `auto`, the one to begin with.
    tol
        Accepted residual, of occupancies in probability and of Q in payoff units. Unless given 1e-10 (1e-4 in
        float32), more only where rounding makes more.
    max_steps
        Most applications of the map.
    start
        A solution of the same crowd to start from; otherwise everyone first plans alone.
    dtype
        ``"float64"``, or ``"float32"``, half the memory and twice as fast.
    progress
        Called with the share done, 0 to 1.

    Returns
    -------
    CrowdSolution
        Also when the search did not settle: read `status`.

    Raises
    ------
    ParameterError
        If a parameter cannot be used.
    TooLargeError
        If it would not fit into memory; no occupancies have been allocated then.
    """
    rule = logit.check_value_rule(value)
    betas = request.precision(game, beta, rule)
    if horizon is None:
        raise ParameterError(
            "horizon: a crowd plays for a number of decisions: expected horizon=T, at least 1: got none"
        )
    horizon = request.whole("horizon", horizon, 1, "a whole number of decisions, at least 1")
    if method not in ("auto", "picard"):
        raise ParameterError(f"method={method!r}: a crowd is solved by 'auto' or 'picard': expected one of them")
    if dtype not in TOLERANCE:
        raise ParameterError(f"dtype={dtype!r}: expected 'float64' or 'float32'")
    weight = request.damping_factor(damping)
    most = request.whole("max_steps", max_steps, 1, "a whole number, at least 1")
    least = _tolerance(game, betas, horizon, rule, dtype)
    if tol is None and not least < 1:
        raise ParameterError(
            f"rewards, weights and beta: rounding in {dtype} alone would make residuals of {least:.1e}, and "
            "occupancies are at most 1: expected payoffs that can be told apart. Scale rewards and weights down, use a "
            "smaller beta or horizon"
            f"{' or float64' if dtype == 'float32' else ''}, or say with tol= what to accept"
        )
    accepted = request.tolerance(tol, least)
    with jax.enable_x64(dtype == "float64"):
        _check_interaction(game)
        layout = crowd_layout(game, tuple(betas.tolist()), dtype)
        _check_memory(layout, horizon, dtype)
        found, how = _search(
            layout.model,
            rule,
            horizon,
            damping=weight,
            tol=accepted,
            floor=16 * _rounding(game, betas, horizon, rule, dtype),
            max_steps=most,
            accelerate=method == "auto",
            start=None if start is None else _started(game, layout, horizon, start),
            progress=progress,
        )
    if found.settled:
        status = Status.CONVERGED
    elif max(found.residual, found.payoff_residual) <= 16 * _rounding(game, betas, horizon, rule, dtype):
        status = Status.PRECISION
    else:
        status = Status.UNSETTLED if found.steps < most else Status.STEPS
    notes = [f"{layout.distinct} distinct agents stand for {game.population}"]
    if how:
        notes.append(how)
    elif method == "auto" and found.damping < weight:
        notes.append(f"damped down to {found.damping:g}: plain alternation did not settle")
    parameters = Parameters(
        beta=tuple(betas.tolist()),
        discount=(1.0,) * len(game.members),
        horizon=horizon,
        value=rule,
        method=method,
        damping=weight,
        tol=accepted,
        max_steps=most,
    )
    return record(
        game,
        layout,
        found.state,
        parameters,
        dtype,
        status=status,
        residuals=(found.residual, found.payoff_residual),
        trace=found.trace,
        steps=found.steps,
        notes=tuple(notes),
    )


def _search(
    model: CrowdModel,
    rule: ValueRule,
    horizon: int,
    *,
    tol: float,
    max_steps: int,
    accelerate: bool,
    progress: Callable[[float], None] | None,
    **how: Any,
) -> tuple[forward_backward.Found, str]:
    """Alternate; where that does not settle a small crowd, Newton's method; then alternate for what steps are left."""
    patient = min(max_steps, PATIENT) if accelerate else max_steps
    found = forward_backward.solve(
        model, rule, horizon, tol=tol, max_steps=patient, accelerate=accelerate, progress=progress, **how
    )
    if found.settled or found.steps < patient or patient == max_steps or not newton.fits(found.state):
        return found, ""
    traces, steps, aim = [found.trace], found.steps, tol
    start = forward_backward.nobody(model, horizon)
    for _ in range(3):
        better = newton.settle(
            forward_backward.respond,
            model,
            rule,
            horizon,
            start,
            aim,
            max_steps - steps,
            near=aim < tol,
            progress=progress,
        )
        steps += better.steps
        traces.append(better.trace)
        if better.residual > aim:
            break
        gap = float(forward_backward.payoff_gap(model, rule, horizon, better.state))
        if gap <= tol:
            trace = np.concatenate(traces)
            settled = replace(
                found,
                state=better.state,
                residual=better.residual,
                payoff_residual=gap,
                steps=steps,
                trace=trace,
                settled=True,
            )
            return settled, "found by Newton's method from low precision on: alternation did not settle, however damped"
        # Payoffs add up what occupancies are off by: ask for as much less.
        start, aim = better.state, 0.3 * aim * tol / gap
    if steps >= max_steps:
        return replace(found, steps=steps, trace=np.concatenate(traces)), ""
    how["start"], how["damping"] = found.state, found.damping
    again = forward_backward.solve(
        model, rule, horizon, tol=tol, max_steps=max_steps - steps, accelerate=False, progress=progress, **how
    )
    best = min(found, again, key=lambda f: f.residual)
    return replace(best, steps=steps + again.steps, trace=np.concatenate([*traces, again.trace])), ""


def record(
    game: CrowdGame,
    layout: CrowdLayout,
    state: State,
    parameters: Parameters,
    dtype: str,
    *,
    status: Status,
    residuals: tuple[float, float],
    trace: np.ndarray,
    steps: int,
    notes: tuple[str, ...],
) -> CrowdSolution:
    """Make the record of a state: what everyone plays who expects it."""
    assert parameters.horizon is not None
    reader = _Reader(game, layout, state, logit.check_value_rule(parameters.value), parameters.horizon, dtype)
    return CrowdSolution(
        game=game,
        occupancy=OnDemand(game, lambda i: reader(i).occupancy),
        policy=OnDemand(game, lambda i: reader(i).policy),
        q=OnDemand(game, lambda i: reader(i).q),
        value=OnDemand(game, lambda i: reader(i).value),
        occupancy_residual=residuals[0],
        payoff_residual=residuals[1],
        status=status,
        trace=trace,
        steps=steps,
        parameters=parameters,
        notes=notes,
        certifier=lambda solution: certify(solution, layout.model, dtype),
        state=state,
    )


class _Reader:
    """Policies, Q, values and occupancies of one agent at a time, with those that were read last kept."""

    def __init__(
        self, game: CrowdGame, layout: CrowdLayout, state: State, rule: ValueRule, horizon: int, dtype: str
    ) -> None:
        self.game, self.layout, self.state = game, layout, state
        self.rule, self.horizon, self.dtype = rule, horizon, dtype
        self.field: jax.Array | None = None
        self.blocks: OrderedDict[tuple[int, int], list[np.ndarray]] = OrderedDict()
        self.readings: dict[int, Reading] = {}

    def __call__(self, i: int) -> Reading:
        if i not in self.readings:
            reading = self._read(i)
            size = sum(x.nbytes for x in (reading.policy, reading.q, reading.value, reading.occupancy))
            if (len(self.readings) + 1) * size > KEPT_BYTES:
                self.readings.clear()
            self.readings[i] = reading
        return self.readings[i]

    def _read(self, i: int) -> Reading:
        which, number, row = self.layout.seats[i]
        q, policy, value, occupancy = (x[..., row, :][..., self.layout.places] for x in self._block(which, number))
        kind, legal = self.game.kind_of(i), legal_of(self.game, i)
        q, policy = np.moveaxis(q, 1, -1), np.moveaxis(policy, 1, -1)
        if (goal := self.game.goals[i]) is not None:
            q, policy = q.copy(), policy.copy()
            q[:, goal], policy[:, goal] = self.game.members[i].goal_reward, legal[goal]
        policy, q = np.where(legal, policy, 0.0), np.where(legal, q, np.nan)
        if (last := decisions(self.game, i, self.horizon)) < self.horizon:
            rests, value = resting(self.game, i), value.copy()
            value[last:] = value[last]
            policy[last:] = rests
            q[last:] = np.where(rests, value[last, :, None], np.nan)
        return Reading(
            policy=policy,
            q=q,
            value=np.where(kind.walls, np.nan, value),
            occupancy=occupancy,
        )

    def _block(self, which: int, number: int) -> list[np.ndarray]:
        """A block's arrays; the last few blocks are kept, as neighbours in the list of members are in one block."""
        key = which, number
        if key not in self.blocks:
            with jax.enable_x64(self.dtype == "float64"):
                if self.field is None:
                    self.field = forward_backward.field_of(self.layout.model, self.horizon, self.state)
                arrays = forward_backward.read(
                    self.layout.model,
                    self.rule,
                    self.horizon,
                    self.field,
                    which,
                    np.int32(number),
                    self.state[which][number],
                )
                self.blocks[key] = [np.asarray(x) for x in arrays]
            while len(self.blocks) > 1 and sum(x.nbytes for b in self.blocks.values() for x in b) > KEPT_BYTES:
                self.blocks.popitem(last=False)
        return self.blocks[key]


# ---------------------------------------------------------------------- what is asked for


def _rounding(game: CrowdGame, betas: np.ndarray, horizon: int, rule: ValueRule, dtype: str) -> float:
    """About how small a residual can be told from zero, where nobody meets everybody for long."""
    with np.errstate(over="ignore", invalid="ignore"):
        largest = payoff_bound(game, betas, horizon, rule) - horizon * felt_by(game)
        steepness = float(betas.max()) * max(1.0, felt_by(game))
    if not math.isfinite(largest):
        return math.inf
    return float(np.finfo(dtype).eps) * max(1.0, largest) * max(4.0, steepness)


def _tolerance(game: CrowdGame, betas: np.ndarray, horizon: int, rule: ValueRule, dtype: str) -> float:
    return max(TOLERANCE[dtype], 8 * _rounding(game, betas, horizon, rule, dtype))


def _check_interaction(game: CrowdGame) -> None:
    """Try a function of the user's own on where everyone starts, before everything depends on it."""
    interaction = game.interaction
    if interaction is None:
        return
    n, others = game.number_of_cells, np.zeros((len(game.kinds), game.number_of_cells))
    for i, member in enumerate(game.members):
        others[game.kind_numbers[i]] += member.weight * member.count * game.start(i)
    for kind in game.kinds:
        where = f"interaction: for others of shape {others.shape} and kind {kind.name!r}"
        expected = f"expected what being in each cell is worth, shape ({n},), made with jax.numpy"
        try:
            jax.eval_shape(lambda o, name=kind.name: interaction(o, name), others)  # JAX must be able to trace it
            found = np.asarray(interaction(jax.device_put(others), kind.name))
        except Exception as error:
            raise ParameterError(f"{where}: {expected}: got {type(error).__name__}: {error}") from error
        if found.dtype == object or found.shape not in ((n,), (1,), ()):
            raise ParameterError(f"{where}: {expected}: got shape {found.shape}")
        if not np.isfinite(found).all():
            raise ParameterError(f"{where}: {expected}: got {found[~np.isfinite(found)].flat[0]}")


def _check_memory(layout: CrowdLayout, horizon: int, dtype: str) -> None:
    """Large crowds keep one state, and a field per processor; small ones, and an acceleration of them, take little."""
    model, item = layout.model, np.dtype(dtype).itemsize
    one = item * model.places * (horizon + 1)
    state = sum(m.agents.beta.size for m in model.movers) * one
    lanes = 8 * len(model.movers) * one
    memory.require(
        state + (4 + (os.cpu_count() or 1)) * model.number_of_fields * one + lanes,
        f"solving this crowd ({layout.distinct} distinct agents, {model.places} cells, {horizon} decisions, {dtype})",
        "Use dtype='float32', shorten the horizon, coarsen the map, or give those who are alike one entry with a count",
    )


def _started(game: CrowdGame, layout: CrowdLayout, horizon: int, start: CrowdSolution) -> State:
    """Occupancies of another solution, laid out for this one."""
    if not isinstance(start, CrowdSolution):
        raise ParameterError(f"start: expected a solution of this crowd: got {start!r}. Leave it out")
    if start.game.cells != game.cells or start.game.agents != game.agents:
        raise ParameterError("start: it solves another crowd: expected the same cells and members")
    if start.horizon != horizon:
        raise ParameterError(f"start: expected a solution with horizon {horizon}: got {start.horizon}")
    fresh = forward_backward.nobody(layout.model, horizon)
    if start.game is game and [s.shape for s in start.state] == [s.shape for s in fresh]:
        return tuple(s.astype(f.dtype) for s, f in zip(start.state, fresh, strict=True))
    filled = [np.array(f) for f in fresh]
    for i, (which, number, row) in enumerate(layout.seats):
        times = filled[which].shape[1]
        filled[which][number, :, row, layout.places] = start.occupancy[i][:times].T
    return tuple(map(jax.device_put, filled))
