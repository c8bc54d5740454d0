r"""MGE-FB for a large crowd: occupancies are kept once and replaced in place, block by block.

    O_b    <- O_b + alpha ( T_b(field, O_b) - O_b )  one block of agents after the other
    field                                            what everyone adds up to, F fields over time and cells

What others do reaches an agent as a field, less what it makes itself of it, and a field is as small for a thousand
agents as for one. It can follow in two ways, whose fixed points are those of T:

    in turn        field <- fields(O) after every few blocks, one per processor (Gauss-Seidel). Where everyone gives way
                   to everyone this needs half the rounds, and settles where all at once would overshoot.
    all at once    field <- fields(O) after a round: equation (14), step by step.

Residuals that count are taken of O alone, in a round that moves nobody, with field = fields(O). Blocks are shared out
to the processors.

Occupancies are kept as NumPy arrays, because what XLA updates in a loop it copies as a whole, block after block.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial, reduce
from itertools import pairwise
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from quantal.crowds.layout import Block, CrowdModel, Movers
from quantal.crowds.passes import added, answer, near, payoff_change
from quantal.logit import ValueRule

T = TypeVar("T")

TURN_BYTES = 2**28
"""Most memory for fields that are carried from block to block; where everyone feels everyone otherwise there are as
many fields as agents, and all go at once."""


@dataclass(frozen=True)
class Leg:
    """A few steps."""

    residual: float
    trace: np.ndarray
    """Residuals of the steps; in turn each of what all others were doing at that moment."""


class Blockwise:
    """A crowd at work, in place: the arrays of the state that it is given are its own, and change."""

    def __init__(
        self, model: CrowdModel, rule: ValueRule, horizon: int, state: tuple[np.ndarray, ...], in_turn: bool
    ) -> None:
        self.model, self.bare = model, replace(model, movers=())
        self.rule: ValueRule = rule
        self.horizon = horizon
        self.state = state
        self.shape = model.number_of_fields, state[0].shape[1], model.places
        self.blocks = [(part, k) for part, s in enumerate(state) for k in range(s.shape[0])]
        self.workers = min(len(self.blocks), os.cpu_count() or 1)
        size = math.prod(self.shape) * state[0].dtype.itemsize
        self.in_turn = in_turn and (self.workers + 2) * size <= TURN_BYTES
        self.threads = ThreadPoolExecutor(self.workers)
        self.looked: tuple[float, Array, Array] | None = None
        """Residual, fields and image's fields of the state as it is, once known."""
        self.change: float | None = None
        """Its payoff residual."""

    def leg(self, damping: float, aim: float, most: int) -> Leg:
        """Take steps until the residual of the undamped map is at most `aim`; `most`, and one that only looks."""
        trace: list[float] = []
        field = self.fields() if self.in_turn else None
        while len(trace) < most:
            if field is None:
                far, _ = self.sweep(self.fields(), damping)
            else:
                far, field = self.turns(field, damping)
            trace.append(far)
            # The round has moved everyone since: what is left is smaller by what rounds leave.
            leaves = max((b / a for a, b in pairwise(trace[-3:]) if a > 0), default=1.0)
            if far * min(1.0, leaves) <= aim and len(trace) < most:
                residual, _, _ = self._look()
                trace.append(residual)
                if residual <= aim:
                    return Leg(residual, np.array(trace))
        residual, _, _ = self._look()
        return Leg(residual, np.array([*trace, residual]))

    def gap(self) -> float:
        """|Q(T(O)) - Q(O)|."""
        if self.change is not None:
            return self.change
        _, field, image = self._look()

        def one(part: int, k: int, worst: float) -> float:
            movers, own = self.model.movers[part], self.state[part][k]
            # Two programs: as one, they take almost twice the time.
            then = _answer(self.bare, movers, self.rule, self.horizon, field, np.int32(k), own)
            found = _gap(self.bare, movers, self.rule, self.horizon, (field, image), np.int32(k), (own, then))
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

    def turns(self, field: Array, share: float) -> tuple[float, Array]:
        """A round in turn from the fields of the state: how far the farthest was from its answer, and the new fields.

        As many blocks at a time as there are workers, and none before all of the last are done: the answer does not
        depend on which thread is quick.
        """
        self.looked = self.change = None
        wide: bool = jax.config.read("jax_enable_x64")  # a thread's own setting
        worst = 0.0

        def one(block: tuple[int, int]) -> tuple[float, Array]:
            part, k = block
            own, movers = self.state[part][k], self.model.movers[part]
            with jax.enable_x64(wide):
                new, change, far = _turn(self.bare, movers, self.rule, self.horizon, field, np.int32(k), own, share)
                far = float(far)  # waits: until then `own` may be read
            own[...] = np.asarray(new)
            return far, change

        for begin in range(0, len(self.blocks), self.workers):
            moved = list(self.threads.map(one, self.blocks[begin : begin + self.workers]))
            worst = max(worst, *(far for far, _ in moved))
            field = _carried(self.bare, field, [change for _, change in moved])
        return worst, field

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


@partial(jax.jit, static_argnames=("rule", "horizon"))
def _turn(
    model: CrowdModel,
    movers: Movers,
    rule: ValueRule,
    horizon: int,
    field: Float[Array, "F t N"],
    k: Array,
    own: Float[Array, "t g N"],
    share: Array,
) -> tuple[Array, Array, Array]:
    """A block's occupancies, moved by a share of the way to its answer; what that adds to fields; and how far it is."""
    agents, levels = _block(movers, k)
    image = answer(model, movers, agents, rule, horizon, field, own)
    way = image - own
    far = jnp.where(jnp.isnan(way), jnp.inf, jnp.abs(way)).max()
    return own + share * way, added(movers, agents, levels, share * way, jnp.zeros_like(field)), far


@partial(jax.jit, donate_argnames=("field",))
def _carried(model: CrowdModel, field: Float[Array, "F t N"], changes: list[Array]) -> Array:
    return field + near(model, reduce(jnp.add, changes))


@partial(jax.jit, donate_argnames=("total",))
def _total(movers: Movers, k: Array, own: Float[Array, "t g N"], total: Float[Array, "F t N"]) -> Array:
    return added(movers, *_block(movers, k), own, total)


@partial(jax.jit, static_argnames=("rule", "horizon"))
def _answer(
    model: CrowdModel,
    movers: Movers,
    rule: ValueRule,
    horizon: int,
    field: Float[Array, "F t N"],
    k: Array,
    own: Float[Array, "t g N"],
) -> Array:
    return answer(model, movers, _block(movers, k)[0], rule, horizon, field, own)


@partial(jax.jit, static_argnames=("rule", "horizon"))
def _gap(
    model: CrowdModel,
    movers: Movers,
    rule: ValueRule,
    horizon: int,
    fields: tuple[Array, Array],
    k: Array,
    owns: tuple[Float[Array, "t g N"], Float[Array, "t g N"]],
) -> Array:
    return payoff_change(model, movers, _block(movers, k)[0], rule, horizon, fields, owns)


@jax.jit
def _summed(model: CrowdModel, totals: list[Array]) -> Array:
    return near(model, reduce(jnp.add, totals))
