r"""The last resort for a small crowd that does not settle (MGE-FB): Newton's method, from low precision on.

    (I - T'(O)) d = T(O) - O,        O <- O + s d        s: the longest of 1, 1/2, 1/4, ... that shortens T(O) - O

T is a round of alternation; T'(O) is never written down, but applied to a vector by forward differentiation, and the
system solved by GMRES. Where T repels (many who avoid each other), no damping of the alternation leads to a fixed
point, and this does. It needs to begin near one: so everyone's precision is first lowered to a share of itself, at
which it is easy, and raised from there, each answer beginning the next search. Stops when max |T(O) - O| <= tol.
Reference: Knoll & Keyes (2004), Jacobian-free Newton-Krylov methods.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.sparse.linalg import LinearOperator, gmres
from threadpoolctl import threadpool_limits

from quantal.crowds.layout import CrowdModel
from quantal.logit import ValueRule
from quantal.precision import quick_jit

State = tuple[Any, ...]
Respond = Callable[[CrowdModel, ValueRule, int, State], Sequence[Any]]
"""T, of `quantal.solvers.forward_backward`."""

MOST_NUMBERS = 400_000
"""Of a state; GMRES keeps as many vectors of it as it takes steps."""
LOWEST = 0.25
"""Share of everyone's precision to begin with."""
RISE, LEAST_RISE = 0.25, 0.005
"""Of the share: at first, and where the search is given up."""
SEARCHES = 40
"""Newton steps at one share."""
SHORTEST = 2.0**-10
KRYLOV = 80
ROUGHLY = 1e-6
"""Residual that suffices below the precision asked for."""


@dataclass(frozen=True)
class Settled:
    """Where the search ended."""

    state: State
    residual: float
    """max |T(O) - O|."""
    steps: int
    """Applications of T and of its derivative."""
    trace: np.ndarray
    """Residuals at the precision asked for."""
    share: float
    """Of the precision, that was reached."""


class _SpentError(Exception):
    """The steps are used up."""


def fits(state: State) -> bool:
    """Whether a state is small enough."""
    return sum(x.size for x in state) <= MOST_NUMBERS


def settle(
    respond: Respond,
    model: CrowdModel,
    rule: ValueRule,
    horizon: int,
    start: State,
    tol: float,
    most: int,
    *,
    near: bool = False,
    progress: Callable[[float], None] | None = None,
) -> Settled:
    """Look for a fixed point of T; `start` gives shapes, and where the search at the lowest precision begins.

    Parameters
    ----------
    near
        Whether `start` is near one: then the search begins at everyone's own precision.
    tol
        Accepted max |T(O) - O|.
    most
        Most applications of T and of its derivative.
    progress
        Called with the share of the precision that has been reached.
    """
    search = _Search(respond, model, rule, horizon, start, most)
    x, share, rise = search.flat(start), 0.0, 1.0 if near else LOWEST
    # Threads for vectors of this length wait for each other longer than they work.
    with threadpool_limits(1), contextlib.suppress(_SpentError):
        while share < 1:
            ahead = min(1.0, share + rise)
            found, good = search.newton(x, ahead, tol if ahead == 1 else ROUGHLY)
            if good:
                x, share, rise = found, ahead, (RISE if share == 0 else 1.5 * rise)
                if progress is not None:
                    progress(share)
            else:
                rise /= 2
                if rise < LEAST_RISE:
                    break
    residual, best = search.best
    return Settled(search.apart(best), residual, search.steps, np.array(search.trace), share)


class _Search:
    """T and its derivative, as functions of one long vector, and how often they were asked."""

    def __init__(
        self, respond: Respond, model: CrowdModel, rule: ValueRule, horizon: int, start: State, most: int
    ) -> None:
        self.model, self.most, self.steps = model, most, 0
        self.shapes = [x.shape for x in start]
        self.edges = np.cumsum([0, *(int(np.prod(shape)) for shape in self.shapes)])
        self.dtype = start[0].dtype
        self.trace: list[float] = []
        self.best: tuple[float, np.ndarray] = (np.inf, self.flat(start))

        def image(model: CrowdModel, share: Any, state: State) -> Sequence[Any]:
            return respond(_at_share(model, share), rule, horizon, state)

        def push(model: CrowdModel, share: Any, state: State, tangent: State) -> Sequence[Any]:
            return jax.jvp(lambda s: tuple(image(model, share, s)), (state,), (tangent,))[1]

        self._image, self._push = quick_jit(image), quick_jit(push)

    def flat(self, state: Sequence[Any]) -> np.ndarray:
        """Write a state as one vector."""
        return np.concatenate([np.asarray(x, dtype=np.float64).reshape(-1) for x in state])

    def apart(self, x: np.ndarray) -> State:
        """Make a state of a vector."""
        parts = zip(self.edges, self.edges[1:], self.shapes, strict=False)
        return tuple(jnp.asarray(x[a:b].reshape(shape), dtype=self.dtype) for a, b, shape in parts)

    def _count(self) -> None:
        self.steps += 1
        if self.steps > self.most:
            raise _SpentError

    def gap(self, x: np.ndarray, share: float) -> np.ndarray:
        """T(O) - O."""
        self._count()
        found = self.flat(self._image(self.model, np.asarray(share, self.dtype), self.apart(x))) - x
        if share == 1 and (size := float(np.abs(found).max())) < np.inf:
            self.trace.append(size)
            if size < self.best[0]:
                self.best = size, x
        return found

    def slope(self, x: np.ndarray, share: float, tangent: np.ndarray) -> np.ndarray:
        """T'(O) times a vector."""
        self._count()
        at = np.asarray(share, self.dtype)
        return self.flat(self._push(self.model, at, self.apart(x), self.apart(tangent)))

    def newton(self, x: np.ndarray, share: float, tol: float) -> tuple[np.ndarray, bool]:
        """Newton's method at a share of the precision, and whether it came to its end."""
        gap = self.gap(x, share)
        for _ in range(SEARCHES):
            size = float(np.abs(gap).max())
            if size <= tol:
                return x, True
            x, gap, moved = self._step(x, share, gap, rough=min(0.1, max(1e-3, size)))
            if not moved:
                return x, False
        return x, False

    def _step(self, x: np.ndarray, share: float, gap: np.ndarray, rough: float) -> tuple[np.ndarray, np.ndarray, bool]:
        matvec = partial(self._residual_of, x, share)
        operator = LinearOperator((x.size, x.size), matvec=matvec, dtype=np.float64)  # pyright: ignore
        way = gmres(operator, gap, rtol=rough, restart=KRYLOV, maxiter=2)[0]
        length, before = 1.0, float(np.linalg.norm(gap))
        while length > SHORTEST:
            there = self.gap(x + length * way, share)
            if float(np.linalg.norm(there)) < (1 - 1e-4 * length) * before:
                return x + length * way, there, True
            length /= 2
        return x, gap, False

    def _residual_of(self, x: np.ndarray, share: float, tangent: np.ndarray) -> np.ndarray:
        return tangent - self.slope(x, share, tangent)


def _at_share(model: CrowdModel, share: Any) -> CrowdModel:
    """Everyone at a share of their precision."""
    movers = tuple(replace(m, agents=replace(m.agents, beta=share * m.agents.beta)) for m in model.movers)
    return replace(model, movers=movers)
