r"""MGE-FB for a large crowd: occupancies are kept once and replaced in place, block by block.

    field  <- Anderson(field, fields(T(O)))          what everyone adds up to, F fields over time and cells
    O_b    <- O_b + alpha ( T_b(field, O_b) - O_b )  one block of agents after the other

What others do reaches an agent as a field, less what it makes itself of it. So it is the fields that are accelerated,
which are as small for a thousand agents as for one; a fixed point of both lines is one of T. Residuals are taken of O
alone, in a round that moves nobody, with field = fields(O). Lanes of blocks (`quantal.crowd_layout`) run side by side.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from quantal.crowd_layout import CrowdModel, Movers
from quantal.iterate import History
from quantal.logit import ValueRule
from quantal.passes import added, answer, near, payoff_change

T = TypeVar("T")

FIELD_HISTORY_BYTES = 2**30
"""Most memory for the fields' history; where everyone feels everyone otherwise there are as many fields as agents."""


@dataclass(frozen=True)
class Leg:
    """A few steps."""

    residual: float
    trace: np.ndarray
    """Residuals of the steps."""


class Blockwise:
    """A crowd at work, in place: the arrays of the state that it is given are used up."""

    def __init__(self, model: CrowdModel, rule: ValueRule, horizon: int, state: tuple[Array, ...], memory: int) -> None:
        self.bare, self.movers = replace(model, movers=()), model.movers
        self.rule: ValueRule = rule
        self.horizon = horizon
        self.state = list(state)
        self.shape = model.number_of_fields, state[0].shape[1], model.places
        self.memory = memory if 2 * memory * 8 * math.prod(self.shape) <= FIELD_HISTORY_BYTES else 0
        self.looked: tuple[float, Array, Array] | None = None
        """Residual, fields and image's fields of the state as it is, once known."""

    def leg(self, damping: float, aim: float, most: int) -> Leg:
        """Take steps until the residual of the undamped map is at most `aim`; `most`, and one that only looks."""
        trace: list[float] = []
        history = None
        field = self._fields()
        while len(trace) < most:
            residual, image = self._sweep(field, damping)
            moved = float(jnp.abs(image - field).max())
            trace.append(residual)
            if max(residual, moved) <= aim and len(trace) < most:
                residual, field, image = self._look()
                trace.append(residual)
                if residual <= aim:
                    return Leg(residual, np.array(trace))
                history = None
            if self.memory:
                field, history = _accelerated(field, image, damping, history, self.memory)
            else:
                field = field + damping * (image - field)
        residual, _, _ = self._look()
        return Leg(residual, np.array([*trace, residual]))

    def gap(self) -> float:
        """|Q(T(O)) - Q(O)|."""
        _, field, image = self._look()

        def part(k: int) -> Array:
            return _gap(self.bare, self.movers[k], self.rule, self.horizon, (field, image), self.state[k])

        return max(float(x) for x in self._each(part))

    def found(self) -> tuple[tuple[Array, ...], float, float]:
        """The state and both residuals."""
        return tuple(self.state), self._look()[0], self.gap()

    # ------------------------------------------------------------------ rounds

    def _each(self, part: Callable[[int], T]) -> list[T]:
        """Lanes side by side: a call from each of several threads is what makes XLA run two programs at once."""
        wide = jax.config.jax_enable_x64  # a thread's own setting

        def run(k: int) -> T:
            with jax.enable_x64(wide):
                return jax.block_until_ready(part(k))

        with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
            return list(threads.map(run, range(len(self.movers))))

    def _fields(self) -> Array:
        totals = self._each(lambda k: _total(self.bare, self.movers[k], self.shape, self.state[k]))
        return _summed(self.bare, totals)

    def _sweep(self, field: Array, share: float) -> tuple[float, Array]:
        """A round: |T(O) - O| with this field, and what answers add up to."""
        self.looked = None

        def part(k: int) -> tuple[Array, Array]:
            own, total, worst = _round(self.bare, self.movers[k], self.rule, self.horizon, field, self.state[k], share)
            self.state[k] = own
            return total, worst

        parts = self._each(part)
        return max(float(worst) for _, worst in parts), _summed(self.bare, [total for total, _ in parts])

    def _look(self) -> tuple[float, Array, Array]:
        """A round that moves nobody: the residual of the state as it is."""
        if self.looked is None:
            field = self._fields()
            residual, image = self._sweep(field, 0.0)
            self.looked = residual, field, image
        return self.looked


def _block(movers: Movers, k: Array) -> tuple:
    return jax.tree.map(lambda x: x[k], (movers.agents, movers.levels))


@partial(jax.jit, static_argnames=("rule", "horizon"), donate_argnames=("own",))
def _round(
    model: CrowdModel,
    movers: Movers,
    rule: ValueRule,
    horizon: int,
    field: Float[Array, "F t N"],
    own: Float[Array, "b t g N"],
    share: Array | float,
) -> tuple[Array, Array, Array]:
    """Own occupancies, moved by a share of the way to the answers; what these add up to; and how far it would be."""

    def body(k: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        own, total, worst = carry
        agents, levels = _block(movers, k)
        image = answer(model, movers, agents, rule, horizon, field, own[k])
        way = image - own[k]
        size = jnp.where(jnp.isnan(way), jnp.inf, jnp.abs(way)).max()
        total = added(movers, agents, levels, image, total)
        return own.at[k].set(own[k] + share * way), total, jnp.maximum(worst, size)

    return lax.fori_loop(0, own.shape[0], body, (own, jnp.zeros_like(field), jnp.zeros((), own.dtype)))


@partial(jax.jit, static_argnames=("shape",))
def _total(model: CrowdModel, movers: Movers, shape: tuple[int, int, int], own: Float[Array, "b t g N"]) -> Array:
    """What occupancies add up to."""

    def body(k: Array, total: Array) -> Array:
        return added(movers, *_block(movers, k), own[k], total)

    return lax.fori_loop(0, own.shape[0], body, jnp.zeros(shape, own.dtype))


@partial(jax.jit, static_argnames=("rule", "horizon"))
def _gap(
    model: CrowdModel,
    movers: Movers,
    rule: ValueRule,
    horizon: int,
    fields: tuple[Array, Array],
    own: Float[Array, "b t g N"],
) -> Array:
    def one(block: tuple) -> Array:
        agents, own = block
        image = answer(model, movers, agents, rule, horizon, fields[0], own)
        return payoff_change(model, movers, agents, rule, horizon, fields, (own, image))

    return lax.map(one, (movers.agents, own)).max()


@jax.jit
def _summed(model: CrowdModel, totals: list[Array]) -> Array:
    return near(model, reduce(jnp.add, totals))


def _accelerated(
    field: Array, image: Array, damping: float, history: History | None, memory: int
) -> tuple[Array, History]:
    """Anderson's next field; in double precision, as differences of differences are taken."""
    with jax.enable_x64(True):
        wide, ahead = (jax.device_put(np.asarray(x, dtype=np.float64)) for x in (field, image))
        if history is None:
            history = History.empty((wide,), memory)
        (mixed,), history = _mix(history, (wide,), (ahead,), damping)
        narrow = np.asarray(mixed).astype(field.dtype)
    return jax.device_put(narrow), history


_mix = jax.jit(History.mix)
