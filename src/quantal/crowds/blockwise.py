r"""MGE-FB for a large crowd: occupancies are kept once and replaced in place, block by block.

    field  <- Anderson(field, fields(T(O)))          what everyone adds up to, F fields over time and cells
    O_b    <- O_b + alpha ( T_b(field, O_b) - O_b )  one block of agents after the other

What others do reaches an agent as a field, less what it makes itself of it. So it is the fields that are accelerated,
which are as small for a thousand agents as for one; a fixed point of both lines is one of T. Residuals are taken of O
alone, in a round that moves nobody, with field = fields(O). Blocks are shared out to the processors.

Occupancies are kept as NumPy arrays, because what XLA updates in a loop it copies as a whole, block after block.
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
from jaxtyping import Array, Float

from quantal.crowds.layout import Block, CrowdModel, Movers
from quantal.crowds.passes import added, answer, near, payoff_change
from quantal.iterate import History
from quantal.logit import ValueRule

T = TypeVar("T")

FIELD_HISTORY_BYTES = 2**30
"""Most memory for the fields' history; where everyone feels everyone otherwise there are as many fields as agents."""


PLAIN_STEPS = 3
"""After an accelerated one that made the residual larger."""


@dataclass(frozen=True)
class Leg:
    """A few steps."""

    residual: float
    trace: np.ndarray
    """Residuals of the steps."""


class Blockwise:
    """A crowd at work, in place: the arrays of the state that it is given are its own, and change."""

    def __init__(
        self, model: CrowdModel, rule: ValueRule, horizon: int, state: tuple[np.ndarray, ...], memory: int
    ) -> None:
        self.model, self.bare = model, replace(model, movers=())
        self.rule: ValueRule = rule
        self.horizon = horizon
        self.state = state
        self.shape = model.number_of_fields, state[0].shape[1], model.places
        self.memory = memory if 2 * memory * 8 * math.prod(self.shape) <= FIELD_HISTORY_BYTES else 0
        self.blocks = [(part, k) for part, s in enumerate(state) for k in range(s.shape[0])]
        self.workers = min(len(self.blocks), os.cpu_count() or 1)
        self.threads = ThreadPoolExecutor(self.workers)
        self.looked: tuple[float, Array, Array] | None = None
        """Residual, fields and image's fields of the state as it is, once known."""
        self.change: float | None = None
        """Its payoff residual."""

    def leg(self, damping: float, aim: float, most: int) -> Leg:
        """Take steps until the residual of the undamped map is at most `aim`; `most`, and one that only looks."""
        trace: list[float] = []
        history, rest = None, 0
        field = self.fields()
        while len(trace) < most:
            residual, image = self.sweep(field, damping)
            moved = float(jnp.abs(image - field).max())
            trace.append(residual)
            if max(residual, moved) <= aim and len(trace) < most:
                residual, field, image = self._look()
                trace.append(residual)
                if residual <= aim:
                    return Leg(residual, np.array(trace))
                history = None
            # A field runs ahead of the occupancies that go with it: where that does harm, plain steps bring them
            # together again.
            if len(trace) > 1 and residual > trace[-2]:
                history, rest = None, PLAIN_STEPS
            if rest or not self.memory:
                rest = max(0, rest - 1)
                field = self.fields()
            else:
                field, history = _accelerated(field, image, damping, history, self.memory)
        residual, _, _ = self._look()
        return Leg(residual, np.array([*trace, residual]))

    def gap(self) -> float:
        """|Q(T(O)) - Q(O)|."""
        if self.change is not None:
            return self.change
        _, field, image = self._look()

        def one(part: int, k: int, worst: float) -> float:
            movers, own = self.model.movers[part], self.state[part][k]
            found = _gap(self.bare, movers, self.rule, self.horizon, (field, image), np.int32(k), own)
            return max(worst, float(found))

        self.change = max(self._each(0.0, one))
        return self.change

    def found(self) -> tuple[tuple[np.ndarray, ...], float, float]:
        """The state and both residuals."""
        return self.state, self._look()[0], self.gap()

    # ------------------------------------------------------------------ rounds

    def _each(self, start: T, one: Callable[[int, int, T], T]) -> list[T]:
        """Fold over blocks, by several threads over a share of them each; one result per thread.

        Calls from several threads are what makes XLA run programs side by side.
        """
        blocks, workers = self.blocks, self.workers
        wide: bool = jax.config.read("jax_enable_x64")  # a thread's own setting

        def run(worker: int) -> T:
            found = start
            with jax.enable_x64(wide):
                for part, k in blocks[worker * len(blocks) // workers : (worker + 1) * len(blocks) // workers]:
                    found = one(part, k, found)
            return found

        return list(self.threads.map(run, range(workers)))

    def _summed(self, totals: list[Array | None]) -> Array:
        return _summed(self.bare, [t for t in totals if t is not None])

    def fields(self) -> Array:
        """What everyone adds up to, (F, times, N)."""

        def one(part: int, k: int, total: Array | None) -> Array:
            if total is None:
                total = self._nothing()
            return _total(self.model.movers[part], np.int32(k), self.state[part][k], total)

        return self._summed(self._each(None, one))

    def sweep(self, field: Array, share: float) -> tuple[float, Array]:
        """A round: go a share of the way to the answers to this field; |T(O) - O| before, and the answers' fields."""
        self.looked = self.change = None

        def one(part: int, k: int, found: tuple[float, Array | None]) -> tuple[float, Array]:
            worst, total = found
            own, movers = self.state[part][k], self.model.movers[part]
            total = self._nothing() if total is None else total
            new, total, far = _step(self.bare, movers, self.rule, self.horizon, field, np.int32(k), own, share, total)
            far = float(far)  # waits: until then `own` may be read
            if share:
                own[...] = np.asarray(new)
            return max(worst, far), total

        parts = self._each((0.0, None), one)
        return max(worst for worst, _ in parts), self._summed([total for _, total in parts])

    def _nothing(self) -> Array:
        return jax.device_put(np.zeros(self.shape, self.state[0].dtype))

    def _look(self) -> tuple[float, Array, Array]:
        """A round that moves nobody: the residual of the state as it is."""
        if self.looked is None:
            field = self.fields()
            residual, image = self.sweep(field, 0.0)
            self.looked = residual, field, image
        return self.looked


def _block(movers: Movers, k: Array) -> tuple[Block, Array]:
    return jax.tree.map(lambda x: x[k], (movers.agents, movers.levels))


@partial(jax.jit, static_argnames=("rule", "horizon"), donate_argnames=("total",))
def _step(
    model: CrowdModel,
    movers: Movers,
    rule: ValueRule,
    horizon: int,
    field: Float[Array, "F t N"],
    k: Array,
    own: Float[Array, "t g N"],
    share: Array,
    total: Float[Array, "F t N"],
) -> tuple[Array, Array, Array]:
    """A block's occupancies, moved by a share of the way to its answer; totals with the answer; and how far it is."""
    agents, levels = _block(movers, k)
    image = answer(model, movers, agents, rule, horizon, field, own)
    way = image - own
    far = jnp.where(jnp.isnan(way), jnp.inf, jnp.abs(way)).max()
    return own + share * way, added(movers, agents, levels, image, total), far


@partial(jax.jit, donate_argnames=("total",))
def _total(movers: Movers, k: Array, own: Float[Array, "t g N"], total: Float[Array, "F t N"]) -> Array:
    return added(movers, *_block(movers, k), own, total)


@partial(jax.jit, static_argnames=("rule", "horizon"))
def _gap(
    model: CrowdModel,
    movers: Movers,
    rule: ValueRule,
    horizon: int,
    fields: tuple[Array, Array],
    k: Array,
    own: Float[Array, "t g N"],
) -> Array:
    agents, _ = _block(movers, k)
    image = answer(model, movers, agents, rule, horizon, fields[0], own)
    return payoff_change(model, movers, agents, rule, horizon, fields, (own, image))


@jax.jit
def _summed(model: CrowdModel, totals: list[Array]) -> Array:
    return near(model, reduce(jnp.add, totals))


def _accelerated(
    field: Array, image: Array, damping: float, history: History | None, memory: int
) -> tuple[Array, History]:
    """Anderson's next field; in double precision, as differences of differences are taken."""
    with jax.enable_x64(True):
        wide, ahead = (jax.device_put(np.asarray(x, dtype=np.float64)) for x in (field, image))
        taken = History.empty((wide,), memory) if history is None else history
        (mixed,), taken = _mix(taken, (wide,), (ahead,), damping)
        narrow = np.asarray(mixed).astype(field.dtype)
    return jax.device_put(narrow), taken


_mix = jax.jit(History.mix)
