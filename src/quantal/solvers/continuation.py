"""A whole branch beta -> equilibrium, point by point, with its folds and bifurcations.

The curve that is followed is handed in (`quantal.arclength.Curve`, one path): this file knows no game. Between two
accepted points the branch is monotone in t unless the direction changes; then there is a fold, which is found by
pinning the component y_k that moves most (near a fold the branch is a graph over it) and solving dt/dy_k = 0. Targets
are crossed once by a monotone piece, twice by one that folds over them, and each crossing is polished by Newton's
method at fixed t.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from quantal import arclength
from quantal.arclength import Point, Track
from quantal.precision import quick_jit

POINTS = 20_000
"""Points after which following a branch stops."""
ITERATIONS = 200
"""Newton iterations that one point may take."""
POLISH = 12
CHUNK = 20
"""Targets polished in one call: one shape, one program."""
LANES = 2e6
"""Targets are polished side by side as far as their matrices together have about so many entries."""


@dataclass(frozen=True)
class Crossing:
    """A point of the branch at a target: y [N, 1], and the arclength order in which it was met."""

    target: int
    y: np.ndarray
    order: float


@dataclass(frozen=True)
class Waiting:
    """A crossing about to be polished: a guess, and where to follow the branch from (None: nowhere) if that fails."""

    target: int
    guess: Any
    order: float
    track: Track | None


@dataclass
class Followed:
    """What was met on the way."""

    crossings: list[Crossing] = field(default_factory=list)
    folds: list[tuple[float, Any]] = field(default_factory=list)
    """(t, y) where the branch turns back in t."""
    fold_orders: list[float] = field(default_factory=list)
    """Their places in the order of arclength, in which the k-th point is at k."""
    bifurcations: list[float] = field(default_factory=list)
    """t where another branch crosses."""
    points: list[tuple[float, Any]] = field(default_factory=list)
    """(t, y) of every accepted point: enough to draw the branch."""
    complete: bool = False
    """Whether the largest target was passed, and no crossing on the way was lost."""
    waiting: list[Waiting] = field(default_factory=list)
    """Crossings to be polished."""


@quick_jit
def _next_point(curve: Any, track: Track, end: Float[Array, " 1"]) -> Track:
    return arclength.advance(curve, track, end, iterations=ITERATIONS, points=1)[0]


class Polished(NamedTuple):
    """A point at a given t."""

    y: Float[Array, "N 1"]
    good: Array
    """Whether Newton's method converged without moving far."""
    orientation: Array


def _newton(curve: Any, guess: Float[Array, "N 1"], t: Float[Array, " 1"]) -> Polished:
    """Newton's method at fixed t."""

    def running(carry: Any):
        _, size, last, _, count = carry
        # Newton's method squares a correction: after one below 1e-8 the next is rounding.
        return (size > 1e-8) & ~((size < 1e-6) & (size > 0.3 * last)) & (count < POLISH)

    def body(carry: Any):
        y, size, _, _, count = carry
        at = curve.linearise(y, t)
        # Plain, not weighted by play: after a wild step play may be pure, and would weigh everything by zero.
        new = jnp.abs(at.correction).max() / (1 + jnp.abs(y).max())
        new = jnp.where(jnp.isfinite(new), new, jnp.inf)
        moved = jnp.where(jnp.isfinite(new), y - at.correction, y)
        return moved, new, size, at.orientation[0], count + 1

    inf = jnp.asarray(jnp.inf)
    y, size, _, orientation, _ = lax.while_loop(running, body, (guess, inf, inf, jnp.ones(()), jnp.int32(0)))
    far = jnp.maximum(curve.size(y - guess, curve.metric(y)), curve.size(y - guess, curve.metric(guess)))[0]
    return Polished(y, (size < 1e-8) & (far < arclength.STRIDE), orientation)


_polish = quick_jit(_newton)


@partial(quick_jit, static_argnames="lanes")
def _polish_many(curve: Any, guesses: Float[Array, "K N 1"], t: Float[Array, "K 1"], lanes: int) -> Polished:
    return lax.map(lambda target: _newton(curve, *target), (guesses, t), batch_size=lanes)


@quick_jit
def _pinned(curve: Any, y: Array, t: Array, k: Array, level: Array) -> tuple[Array, Array, Array, Array]:
    """The point of the branch with y_k = level, near (y, t): y, t, dt/dy_k and the orientation there."""

    def body(carry: Any, _):
        y, t, _, _ = carry
        at = curve.linearise(y, t)
        b = at.drift[k, 0]
        dt = (-at.correction[k, 0] - (level - y[k, 0])) / b
        return (y - at.correction - at.drift * dt, t + dt, -1.0 / b, at.orientation[0]), None

    zero = jnp.zeros(())
    (y, t, slope, orientation), _ = lax.scan(body, (y, t, zero, zero), None, length=7)
    return y, t, slope, orientation


def follow(
    curve: Any,
    start: Track,
    targets: np.ndarray,
    progress: Callable[[float], None] | None = None,
) -> Followed:
    """Follow a branch from t = 0 until it has passed the largest target.

    Parameters
    ----------
    curve
        A `quantal.arclength.Curve` with one path.
    start
        From `quantal.arclength.begin`.
    targets
        Values of t, increasing.
    progress
        Called with the largest t reached so far, as a share of the last target.
    """
    found = Followed()
    end = jax.device_put(targets[-1:])
    track = _next_point(curve, start, end)
    if bool(track.failed[0]):
        return found
    before = _host(track.last)
    found.points.append((float(before.t[0]), before.y))
    last = float(targets[-1])
    _visit_start(curve, before, targets, found)
    for number in range(POINTS if last > float(before.t[0]) else 0):
        previous = track
        track = _next_point(curve, track, end)
        if bool(track.failed[0]):
            break
        here = _host(track.last)
        found.points.append((float(here.t[0]), here.y))
        pieces = list(_monotone_pieces(curve, before, here, found))
        found.fold_orders += [number + 0.5] * (len(pieces) - 1)
        for half, piece in enumerate(pieces):
            _cross(curve, piece, targets, found, number + half / len(pieces), 1 / len(pieces), previous)
        if _branched(before, here):
            found.bifurcations.append(_locate_bifurcation(curve, before, here))
        elif int(np.asarray(track.bifurcations)[0]) > int(np.asarray(previous.bifurcations)[0]):
            found.bifurcations.append(_even_bifurcation(curve, previous, before))
        before = here
        if progress is not None:
            progress(min(1.0, max(0.0, float(here.t[0]) / last if last > 0 else 1.0)))
        if bool(track.arrived[0]):
            break
    found.complete = bool(track.arrived[0]) or last <= float(before.t[0])
    _polish_waiting(curve, targets, found)
    return found


def _polish_waiting(curve: Any, targets: np.ndarray, found: Followed) -> None:
    """Newton's method for all guesses at once; where it fails the branch is followed there in small steps."""
    lanes = int(min(CHUNK, max(1.0, LANES / curve.unknowns**2)))
    for first in range(0, len(found.waiting), CHUNK):
        some = found.waiting[first : first + CHUNK]
        guesses = np.stack([w.guess for w in some])
        t = targets[[w.target for w in some]][:, None]
        filled = np.resize(np.arange(len(some)), CHUNK)  # one shape
        polished = _polish_many(curve, guesses[filled], t[filled], lanes)
        ys, good = np.asarray(polished.y), np.asarray(polished.good)
        for w, y, fine in zip(some, ys[: len(some)], good[: len(some)], strict=True):
            if fine:
                found.crossings.append(Crossing(w.target, y, w.order))
                continue
            landed = None if w.track is None else _land(curve, w.track, targets[w.target : w.target + 1])
            if landed is not None and bool(landed.arrived[0]):
                found.crossings.append(Crossing(w.target, np.asarray(landed.last.y), w.order))
            else:
                found.complete = False  # a later pass must not be taken for this one in silence


def _host(point: Point) -> Point:
    return Point(*(np.asarray(x) for x in point))  # type: ignore[arg-type]


def _visit_start(curve: Any, point: Point, targets: np.ndarray, found: Followed) -> None:
    """A target at the very start (beta = 0) is not crossed by any piece."""
    for k in np.flatnonzero(targets == float(point.t[0])):
        found.crossings.append(Crossing(int(k), np.asarray(point.y), -1.0))


def _branched(a: Point, b: Point) -> bool:
    return float(a.orientation[0] * a.forward[0]) != float(b.orientation[0] * b.forward[0])


def _component(curve: Any, a: Point, b: Point) -> int:
    """The component that moves most between two points, as play counts it."""
    weights = np.sqrt(np.asarray(curve.metric(jax.device_put(b.y))))
    return int(np.argmax(np.abs(weights * (b.y - a.y))[:, 0]))


@dataclass(frozen=True)
class Piece:
    """A stretch of the branch on which t is monotone."""

    a: Point
    b: Point
    folded: int
    """The component to pin near a fold; -1 where t itself is a good coordinate."""


def _monotone_pieces(curve: Any, a: Point, b: Point, found: Followed) -> Iterator[Piece]:
    if a.forward[0] == b.forward[0]:
        yield Piece(a, b, -1)
        return
    k = _component(curve, a, b)
    y, t = _locate_fold(curve, a, b, k)
    found.folds.append((float(t[0]), y))
    slope: Any = np.zeros_like(a.y)  # marks the fold's end of a piece
    top = Point(y, t, slope, a.forward, a.orientation)
    yield Piece(a, top, k)
    yield Piece(top._replace(forward=b.forward), b, k)


def _between(a: Point, b: Point, k: int, level: float) -> tuple[Any, Any]:
    share = (level - a.y[k, 0]) / (b.y[k, 0] - a.y[k, 0])
    return a.y + share * (b.y - a.y), a.t + share * (b.t - a.t)


def _locate_fold(curve: Any, a: Point, b: Point, k: int) -> tuple[Any, Any]:
    """Solve dt/dy_k = 0 between two points by regula falsi, kept inside its bracket."""
    low, high = float(a.y[k, 0]), float(b.y[k, 0])
    sign = np.sign(high - low) * float(a.forward[0])  # of dt/dy_k before the fold
    y, t = a.y, a.t
    level = 0.5 * (low + high)
    slopes = {}
    for _ in range(60):
        y, t = _between(a, b, k, level) if not slopes else (y, t)
        y_, t_, slope, _ = (np.asarray(x) for x in _pinned(curve, y, t, k, level))
        if not np.isfinite(slope):
            break
        y, t = y_, t_
        before = float(slope) * sign > 0
        slopes["low" if before else "high"] = float(slope)
        low, high = (level, high) if before else (low, level)
        if len(slopes) == 2:
            # Regula falsi, kept inside the bracket: dt/dy_k is nearly linear there.
            weight = slopes["low"] / (slopes["low"] - slopes["high"])
            new = low + min(max(weight, 0.1), 0.9) * (high - low)
        else:
            new = 0.5 * (low + high)
        if abs(new - level) < 1e-10 * max(1.0, abs(level)) or abs(float(slope)) < 1e-12:
            break
        level = new
    return y, t


def _locate_bifurcation(curve: Any, a: Point, b: Point) -> float:
    """Bisect for the change of orientation: in t, or next to a fold in the component that moves most."""
    mark = float(a.orientation[0] * a.forward[0])
    monotone = a.forward[0] == b.forward[0]
    k = _component(curve, a, b)
    low, high = (float(a.t[0]), float(b.t[0])) if monotone else (float(a.y[k, 0]), float(b.y[k, 0]))
    t = a.t
    for _ in range(40):
        level = 0.5 * (low + high)
        if monotone:
            t = np.array([level])
            share = (level - float(a.t[0])) / float(b.t[0] - a.t[0])
            orientation = float(_polish(curve, jax.device_put(_hermite(a, b, share)), jax.device_put(t)).orientation)
            forward = float(a.forward[0])
        else:
            y, t0 = _between(a, b, k, level)
            _, t, slope, side = (np.asarray(x) for x in _pinned(curve, y, t0, k, level))
            orientation, forward = float(side), np.sign(float(slope) * float(b.y[k, 0] - a.y[k, 0]))
        if orientation * forward == mark:
            low = level
        else:
            high = level
    return float(t[0])


def _even_bifurcation(curve: Any, track: Track, before: Point) -> float:
    """Where the distance from a singular matrix vanishes, by its rate: no sign changes there that could be bisected."""
    away = float(np.asarray(track.clearance)[0] / np.asarray(track.closing)[0])
    speed = float(np.asarray(arclength.speed_of(curve, jax.tree.map(jax.device_put, before)))[0])
    return float(before.t[0]) + away * float(before.forward[0]) / speed


@quick_jit
def _land(curve: Any, track: Track, end: Float[Array, " 1"]) -> Track:
    """Follow the branch in small steps until it lands on t = end."""
    small = track._replace(step=0.1 * track.step)
    return arclength.advance(curve, small, end, iterations=10 * ITERATIONS)[0]


def _cross(
    curve: Any, piece: Piece, targets: np.ndarray, found: Followed, order: float, length: float, track: Track
) -> None:
    """Note every target that lies on a piece (its end belongs to it, its start does not).

    The piece's place in the order of arclength begins at `order` and is `length` long.
    """
    a, b = piece.a, piece.b
    start, end = float(a.t[0]), float(b.t[0])
    if start == end:
        return
    share = (targets - start) / (end - start)
    for k in np.flatnonzero((share > 0) & (share <= 1)):
        s = float(share[k])
        if piece.folded < 0:
            found.waiting.append(Waiting(int(k), _hermite(a, b, s), order + s * length, track))
        else:
            found.waiting.append(Waiting(int(k), _near_fold(curve, piece, float(targets[k])), order + s * length, None))


def _hermite(a: Point, b: Point, s: float) -> Any:
    """Cubic in t through both points and slopes, at the share s of the way."""
    span = float(b.t[0] - a.t[0])
    h10, h01, h11 = s * (1 - s) ** 2, s * s * (3 - 2 * s), s * s * (s - 1)
    return a.y + h01 * (b.y - a.y) + span * (h10 * a.slope + h11 * b.slope)


def _near_fold(curve: Any, piece: Piece, target: float) -> np.ndarray:
    """Close to a fold t is a parabola in y_k: pin the level at which that parabola meets the target."""
    k = piece.folded
    fold, other = (piece.b, piece.a) if not piece.b.slope.any() else (piece.a, piece.b)
    share = (target - float(fold.t[0])) / (float(other.t[0]) - float(fold.t[0]))
    level = float(fold.y[k, 0]) + np.sqrt(max(share, 0.0)) * float(other.y[k, 0] - fold.y[k, 0])
    y, t = _between(fold, other, k, level)
    pinned, _, slope, _ = (np.asarray(x) for x in _pinned(curve, y, t, k, level))
    return pinned if np.isfinite(slope) else y
