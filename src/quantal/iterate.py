"""The only plain loop: Q <- alpha T(Q) + (1 - alpha) Q (equation 14), with optional Anderson acceleration.

The stopping test is the residual of the *undamped* map, |Q - T(Q)|, over every cell: a damped step is small because
it is damped, not because Q is near a solution. Cells are what can be solved one by one: the states of a stage
problem, which stop when they have converged, or the whole game (one cell).

Anderson acceleration (type II, as analysed by Walker & Ni 2011) mixes the last few residuals by least squares. It is
fast and may land on any solution, so it is only used where there is one, or where the result is labelled accordingly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from quantal.interpret import numpy_twin

State = tuple[Float[Array, "..."], ...]


class Iterated(NamedTuple):
    """Where the loop stopped."""

    q: State
    residual: Float[Array, "*cells"]
    """|Q - T(Q)| of the undamped map at `q`, per cell."""
    steps: Int[Array, ""]
    """Applications of the map."""
    trace: Float[Array, " looks"]
    """Largest residual at each application, [max_steps + 1]; NaN for those not made."""


def gap(q: State, image: State, legal: tuple[Bool[Array, "..."], ...], cells: int) -> Float[Array, "*cells"]:
    """Max over agents and legal actions of |Q - T(Q)|; the last `cells` axes are kept, the rest reduced.

    NaN counts as infinite: a blown-up iterate is never taken for a solution.
    """
    largest = None
    for a, b, mask in zip(q, image, legal, strict=True):
        difference = jnp.where(mask, jnp.abs(a - b), 0.0)
        difference = jnp.where(jnp.isnan(difference), jnp.inf, difference)
        reduced = difference.max(axis=tuple(range(difference.ndim - cells)))
        largest = reduced if largest is None else jnp.maximum(largest, reduced)
    assert largest is not None
    return largest


def fixed_point(
    step: Callable[[State], State],
    q: State,
    legal: tuple[Bool[Array, "..."], ...],
    *,
    damping: Float[Array, ""] | float,
    tol: Float[Array, "*cells"] | float,
    max_steps: int,
    cells: int = 0,
    memory: int = 0,
) -> Iterated:
    """Iterate `step` from `q` until every cell's residual is at most `tol`, or for `max_steps`.

    Parameters
    ----------
    step
        The undamped map T.
    q
        Q_i [A_i, *states] per agent.
    legal
        Legal actions, broadcastable to q; illegal entries do not count.
    damping
        Equation (14)'s alpha, the weight of the new Q: 1 is undamped.
    tol
        Accepted residual of the undamped map; a number, or one per cell.
    max_steps
        Most moves: the map is applied once more, to see where the last one led.
    cells
        How many trailing axes are solved one by one (0: the whole game is one cell).
    memory
        Depth of Anderson acceleration; 0 for none. Needs cells = 0.
    """
    # One application of the map in the program, because compiling is waited for: the loop looks first, then moves,
    # and in its last round only looks.

    def running(carry: Any) -> Array:
        _, residual, count, _, _ = carry
        return (residual > tol).any() & (count <= max_steps)

    def body(carry: Any) -> Any:
        q, _, count, trace, history = carry
        image = step(q)
        residual = gap(q, image, legal, cells)
        if memory:
            new, history = history.mix(q, image, damping)
        else:
            new = tuple(a + damping * (b - a) for a, b in zip(q, image, strict=True))
        # Cells that have converged stay as they are: nothing is gained and rounding could push them out.
        move = (residual > tol) & (count < max_steps)
        q = tuple(jnp.where(move, n, a) for a, n in zip(q, new, strict=True))
        return q, residual, count + 1, trace.at[count].set(residual.max()), history

    shape = q[0].shape[q[0].ndim - cells :] if cells else ()
    start = (q, jnp.full(shape, jnp.inf), jnp.int32(0), jnp.full(max_steps + 1, jnp.nan), History.empty(q, memory))
    q, residual, steps, trace, _ = lax.while_loop(running, body, start)
    return Iterated(q, residual, steps, trace)


class History(NamedTuple):
    """The last few differences of iterates and residuals, flattened: [memory, N]."""

    q: Float[Array, "m N"]
    f: Float[Array, "m N"]
    last_q: Float[Array, " N"]
    last_f: Float[Array, " N"]
    taken: Int[Array, ""]

    @staticmethod
    def empty(q: State, memory: int) -> History:
        """Nothing taken yet."""
        size = sum(a.size for a in q) if memory else 0
        return History(
            jnp.zeros((memory, size)),
            jnp.zeros((memory, size)),
            jnp.zeros(size),
            jnp.zeros(size),
            jnp.int32(0),
        )

    def mix(self, q: State, image: State, damping: Array | float) -> tuple[State, History]:
        """The next iterate, from this one and its image, and the history that then is."""
        x = jnp.concatenate([a.reshape(-1) for a in q])
        f = jnp.concatenate([b.reshape(-1) for b in image]) - x
        f = jnp.where(jnp.isfinite(f), f, 0.0)  # cells of illegal actions may hold anything
        memory = self.q.shape[0]
        slot = (self.taken - 1) % memory
        fresh = self.taken > 0
        dq = jnp.where(fresh, self.q.at[slot].set(x - self.last_q), self.q)
        df = jnp.where(fresh, self.f.at[slot].set(f - self.last_f), self.f)
        gram = df @ df.T
        # Empty and stale directions have a zero or tiny diagonal; a relative ridge keeps the solve well posed.
        ridge = max(1e-14, 8 * jnp.finfo(gram.dtype).eps) * jnp.trace(gram) + 1e-300
        (weights,) = solve_mixing(gram + ridge * jnp.eye(memory), df @ f)
        mixed = x + damping * f - weights @ (dq + damping * df)
        plain = x + damping * f
        mixed = jnp.where(jnp.isfinite(mixed).all(), mixed, plain)
        pieces, offset = [], 0
        for a in q:
            pieces.append(mixed[offset : offset + a.size].reshape(a.shape))
            offset += a.size
        return tuple(pieces), History(dq, df, x, f, self.taken + 1)


def _solve_on_host(gram: np.ndarray, right: np.ndarray) -> tuple[np.ndarray]:
    try:
        return (np.linalg.solve(gram, right[..., None])[..., 0],)
    except np.linalg.LinAlgError:
        return (np.full_like(right, np.nan),)  # and so nothing is mixed


@numpy_twin(_solve_on_host)
def solve_mixing(gram: Float[Array, "*batch m m"], right: Float[Array, "*batch m"]) -> tuple[Float[Array, "*batch m"]]:
    """The mixing weights."""
    return (jnp.linalg.solve(gram, right[..., None])[..., 0],)
