"""Pseudo-arclength path following: the curve F(y, t) = 0 from a known point at t = 0 to t = 1, through folds.

Predictor: cubic Hermite extrapolation in t through the last two points where t has been running smoothly, else the
tangent. Corrector: Newton's method on the hyperplane normal to the tangent (Keller 1977), in bordered form: with
a = F_y^{-1} F and b = F_y^{-1} F_t,

    dy = -a - b dt,      dt = <tau_y, a> / (tau_t - <tau_y, b>),      tangent ~ (-b, 1),

so that one factorisation per iteration gives the correction and the next tangent. When the predicted t would reach
the end, the last corrector holds t there instead ("landing").

A step is accepted only if Newton's first correction was small, the following ones contracted, and the tangent turned
little: this is what keeps the path from jumping to a neighbouring branch. Otherwise it is halved.

Where two branches cross in two dimensions at once (symmetric games do that) no sign tells. So the distance of F_y,
along the branch, from the nearest singular matrix is followed too, by inverse iteration carried from point to point: a
step goes half of the way at most to where that distance would vanish. A bend comes out as the steps shrink; a crossing
is stepped over, and counted, when it is `RESOLUTION` away.

Many paths run in lockstep: arrays have a trailing batch axis, y [N, B] and t [B]. A fold is where the sign of dt/ds
changes; a simple bifurcation is where the sign of det F_y changes and that of dt/ds does not (or the reverse).
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Bool, Float, Int

FIRST_CORRECTION = 0.2
"""Largest first Newton correction of an accepted step, in units of the problem's `size`."""
AIM = 0.05
"""First Newton correction that step control aims at."""
CONTRACTION = 0.5
"""A corrector whose step does not shrink by this factor each time is given up."""
TURN = 0.9
"""Least cosine between successive tangents."""
STRIDE = 0.4
"""Most that play may change in a step, in units of the problem's `size`: a longer one could leap over a small S-shaped
pair of folds without noticing."""
SLOWING = 0.6
"""Largest share of dt/ds that may be lost in a step. Ahead of a pair of folds dt/ds falls towards zero; steps that
shrink with it cannot leap over the pair, however close the two lie."""
STANDSTILL = 0.1
"""Below this share of its recent pace dt/ds is as good as zero, and may change sign: a fold."""
GROWTH = 2.5
"""A step is at most this many times the last one."""
START_CORRECTIONS = 60
"""Newton iterations that finding the first point may take."""
LOOSE = 1e-3
"""On the way, a point is good enough when the last correction is below this (Newton squares it)."""
RESOLUTION = 1e-3
"""A change of the determinant's sign is believed in, as a bifurcation, only over a step as short as this."""
CROSSING = 0.05
"""The step that is then taken over it: close to a bifurcation Newton's method is at a loss."""
NEARER = 1e-3
"""A point is this much nearer to the curve than to the point before: else its tangent tells nothing."""
PACE = 0.5
"""Most that t may change by in a step, relative to t: a flat stretch would hide pairs of bifurcations."""
FIRST_PACE = 0.1
"""Most that is added to t there: the first step has no t to be measured against."""
APPROACH = 0.5
"""Largest share of the way to a singular matrix that a step may go."""
PARAMETER_WEIGHT = 1.0
"""Weight of dt^2 in the metric of arclength."""


class Linearised(NamedTuple):
    """The linear algebra at one point; see the module's docstring."""

    correction: Float[Array, "N B"]
    """a = F_y^{-1} F."""
    drift: Float[Array, "N B"]
    """b = F_y^{-1} F_t, that is -dy/dt along the curve."""
    orientation: Float[Array, " B"]
    """The sign of det F_y."""
    probed: Float[Array, "N B"]
    """F_y^{-1} probe; zero where nothing was probed."""


class Curve(Protocol):
    """A family of equations F(y, t) = 0, one per batch element; a pytree that holds its own data."""

    def linearise(
        self, y: Float[Array, "N B"], t: Float[Array, " B"], probe: Float[Array, "N B"] | None = None
    ) -> Linearised:
        """Solve with F_y at (y, t), for `probe` too if there is one."""
        ...

    def pace(self) -> Float[Array, " #B"]:
        """How far t may go at first: play that does not move is no reason to leap."""
        ...

    def metric(self, y: Float[Array, "N B"]) -> Float[Array, "N B"]:
        """Weights of the squared components in the metric of arclength."""
        ...

    def size(self, dy: Float[Array, "N B"], weights: Float[Array, "N B"]) -> Float[Array, " B"]:
        """How large a change is, in logits, given the metric's weights: what step control measures."""
        ...


class Point(NamedTuple):
    """A point of the curve with its tangent dy/dt = slope, and the sign of dt/ds."""

    y: Float[Array, "N B"]
    t: Float[Array, " B"]
    slope: Float[Array, "N B"]
    forward: Float[Array, " B"]
    orientation: Float[Array, " B"]


class Track(NamedTuple):
    """Where path following stands, per batch element."""

    last: Point
    before: Point
    y: Float[Array, "N B"]
    t: Float[Array, " B"]
    step: Float[Array, " B"]
    pace: Float[Array, " B"]
    corrections: Int[Array, " B"]
    size: Float[Array, " B"]
    first_size: Float[Array, " B"]
    landing: Bool[Array, " B"]
    starting: Bool[Array, " B"]
    settled: Bool[Array, " B"]
    """The last correction ended a step, well or badly: a prediction comes next."""
    arrived: Bool[Array, " B"]
    failed: Bool[Array, " B"]
    folds: Int[Array, " B"]
    bifurcations: Int[Array, " B"]
    wall: Float[Array, " B"]
    """How far ahead a step changed the determinant's sign; infinite where none did."""
    crossing: Bool[Array, " B"]
    """A bifurcation lies ahead: the determinant may change its sign."""
    probe: Float[Array, "N B"]
    """Direction in which the last point's matrix is nearest to singular, as far as is known."""
    clearance: Float[Array, " B"]
    """How near: the smallest singular value along the branch, about."""
    closing: Float[Array, " B"]
    """How fast it falls with arclength."""
    sense: Float[Array, " B"]
    """The sign of the matrix in that direction: a crossing turns it."""
    points: Int[Array, " B"]


def begin(y: Float[Array | np.ndarray, "N B"], t: Float[Array | np.ndarray, " B"], step: float = 0.25) -> Track:
    """Start near a solution (y, t), heading for larger t; `step` is the first step's arclength.

    The first corrections hold t and find the solution itself, so that one linearisation serves the whole program
    (compiling it is what a first call waits for).
    """
    # NumPy, so that starting compiles nothing; a start inside a compiled program is a constant there.
    one: Any = np.ones(t.shape)
    never: Any = np.zeros(t.shape, dtype=bool)
    none: Any = np.zeros(t.shape, dtype=np.int32)
    flat: Any = np.zeros(y.shape)
    zero: Any = 0 * one
    point = Point(y, t, flat, one, one)  # type: ignore[arg-type]
    return Track(
        last=point,
        before=point,
        y=y,  # type: ignore[arg-type]
        t=t,  # type: ignore[arg-type]
        step=step * one,
        pace=zero,
        corrections=none,
        size=zero,
        first_size=zero,
        landing=never,
        starting=~never,
        settled=never,
        arrived=never,
        failed=never,
        folds=none,
        bifurcations=none,
        wall=np.inf * one,
        crossing=never,
        probe=np.broadcast_to(np.random.default_rng(0).standard_normal((y.shape[0], 1)), y.shape),  # type: ignore[arg-type]
        clearance=zero,
        closing=zero,
        sense=one,
        points=none,
    )


def speed_of(curve: Any, point: Point) -> Float[Array, " B"]:
    """ds/dt > 0 at a point: the length of the vector (dy/dt, 1)."""
    weights = curve.metric(point.y)
    return jnp.sqrt((weights * point.slope**2).sum(axis=0) + PARAMETER_WEIGHT)


def _passed(track: Track, end: Float[Array, " B"]) -> Bool[Array, " B"]:
    """Whether the last accepted step leapt over t = end: the corrector moves t, so this can happen."""
    return (track.last.t - end) * (track.before.t - end) < 0


def predict(curve: Any, track: Track, end: Float[Array, " B"]) -> Track:
    """Set (y, t) to the next guess, `step` along the curve, or on t = end if that comes first."""
    last, before = track.last, track.before
    speed = speed_of(curve, last)
    step = jnp.minimum(track.step, PACE * (last.t + jnp.minimum(FIRST_PACE, curve.pace())) * speed)
    closing = track.closing > 0
    away = jnp.where(closing, track.clearance / jnp.where(closing, track.closing, 1.0), jnp.inf)
    crossing = track.crossing | ((away < RESOLUTION / APPROACH) & (track.clearance < RESOLUTION))
    step = jnp.where(crossing, jnp.where(track.crossing, step, CROSSING), jnp.minimum(step, APPROACH * away))
    dt = last.forward * step / speed
    ahead = (end - last.t) * jnp.sign(dt) > 0
    passed = _passed(track, end)
    landing = passed | (ahead & (jnp.abs(end - last.t) <= jnp.abs(dt)))
    dt = jnp.where(landing, end - last.t, dt)
    tangent = last.y + dt * last.slope
    # Cubic Hermite through the last two points, as a correction of the tangent line; sigma = dt / (last step in t).
    span = last.t - before.t
    smooth = (
        (track.points > 1)
        & (last.forward == before.forward)
        & (span * last.forward > 0)
        & (jnp.abs(dt) <= 3 * jnp.abs(span))
    )
    span = jnp.where(smooth, span, 1.0)
    s = dt / span
    # With p(0) = last, p'(0) = slope, p(-1) = before, p'(-1) = before.slope (in units of span):
    value = before.y - last.y + span * last.slope
    slope = span * (before.slope - last.slope)
    quadratic, cubic = slope + 3 * value, slope + 2 * value
    curved = tangent + s**2 * quadratic + s**3 * cubic
    y = jnp.where(smooth, curved, tangent)
    fresh = jnp.zeros_like(track.size)
    return track._replace(
        y=y,
        step=step,
        crossing=crossing,
        t=jnp.where(landing, end, last.t + dt),
        corrections=jnp.zeros_like(track.corrections),
        size=fresh,
        first_size=fresh,
        landing=landing,
    )


def _correct(curve: Any, track: Track, end: Float[Array, " B"], tight: float) -> Track:
    """One Newton iteration for every element, then accept, go on, or shorten the step."""
    at = curve.linearise(track.y, track.t, track.probe)
    last = track.last
    weights = curve.metric(last.y)
    speed = speed_of(curve, last)
    tau_y, tau_t = last.forward * last.slope / speed, last.forward / speed
    denominator = PARAMETER_WEIGHT * tau_t - (weights * tau_y * at.drift).sum(axis=0)
    along = (weights * tau_y * at.correction).sum(axis=0)
    # The same for the probe, in the bordered system, which a fold leaves regular. What has no weight in the metric
    # follows from the rest, and would hide it.
    probed = at.probed + at.drift * (weights * tau_y * at.probed).sum(axis=0) / denominator
    probed = jnp.where(weights > 0, probed, 0.0)
    length = jnp.sqrt((probed**2).sum(axis=0))
    clearance = jnp.sqrt((track.probe**2).sum(axis=0)) / length
    sense = jnp.sign((track.probe * probed).sum(axis=0))
    held = track.landing | track.starting
    dt = jnp.where(held, 0.0, along / denominator)
    dy = -at.correction - at.drift * dt
    size = jnp.maximum(curve.size(dy, weights), jnp.abs(dt))
    # At the start nothing is known yet: every component counts, also those that `size` leaves out.
    size = jnp.where(track.starting, jnp.abs(dy).max(axis=0) / (1 + jnp.abs(track.y).max(axis=0)), size)
    size = jnp.where(jnp.isfinite(size), size, jnp.inf)
    # The start may be far off; elsewhere a large correction is refused, not shortened.
    logits = curve.size(dy, weights)
    shorten = jnp.where(track.starting, jnp.minimum(1.0, 2.0 / jnp.maximum(logits, 1e-300)), 1.0)
    y, t = track.y + shorten * dy, track.t + dt

    first = track.corrections == 0
    first_size = jnp.where(first, size, track.first_size)
    # The new tangent (-b, 1), oriented to go on in the old direction.
    cosine = ((weights * tau_y * -at.drift).sum(axis=0) + PARAMETER_WEIGHT * tau_t) / jnp.sqrt(
        (weights * at.drift**2).sum(axis=0) + PARAMETER_WEIGHT
    )
    forward = jnp.where((cosine < 0) & ~track.starting, -1.0, 1.0)
    tried = jnp.where(track.landing, jnp.minimum(track.step, jnp.abs(end - last.t) * speed), track.step)
    good_enough = size <= jnp.where(track.landing, tight, jnp.minimum(LOOSE, NEARER * tried))
    # Near the solution rounding ends the contraction: a tiny step that no longer shrinks has converged too.
    rounding = 64 * jnp.finfo(size.dtype).eps * jnp.abs(track.y).max(axis=0)
    stalled = (size <= jnp.maximum(1e-9, rounding)) & ~first & (size > 0.5 * track.size)
    converged = good_enough | stalled
    change = y - last.y
    weights_after = curve.metric(y)
    stride = jnp.maximum(curve.size(change, weights_after), curve.size(change, weights))
    straying = (size > jnp.where(first, FIRST_CORRECTION, CONTRACTION * track.size)) & ~converged
    # dt/ds along the old direction, before and after.
    pace = last.forward * tau_t
    pace_after = last.forward * forward / jnp.sqrt((weights_after * at.drift**2).sum(axis=0) + PARAMETER_WEIGHT)
    moving = pace > STANDSTILL * track.pace
    slowing = jnp.where(moving & ~track.starting, (pace - pace_after) / pace, 0.0)
    # Where a landing was predicted to rounding there is nothing to doubt; at a bifurcation its tangent means nothing.
    exact = track.landing & (first_size <= 1e-9)
    turning = converged & ~exact & ((jnp.abs(cosine) < TURN) | (stride > 1.5 * STRIDE) | (slowing > SLOWING))
    # Either another branch crosses here, or this one bends sharply and was left for a neighbour. Ever shorter steps
    # tell: a bend comes out at last, a crossing is then stepped over with room to spare.
    branched = converged & ~track.starting & (at.orientation * forward != last.orientation * last.forward)
    leaping = branched & ~track.crossing
    bad = ~track.starting & (straying | turning | leaping | (track.corrections > 8) | ((t < 0) & ~held))
    bad = bad | ~jnp.isfinite(cosine) | (track.starting & (track.corrections > START_CORRECTIONS))
    accept = converged & ~bad

    new = Point(y, t, -at.drift, forward, at.orientation)
    order = 3.0
    gain = jnp.clip((AIM / jnp.maximum(first_size, 1e-12)) ** (1 / order), 0.4, GROWTH)
    # Where the tangent turned, aim at a moderate angle too.
    turned = jnp.sqrt(jnp.maximum(1 - cosine**2, 1e-12))
    gain = jnp.minimum(gain, jnp.clip(0.3 / turned, 0.4, GROWTH))
    gain = jnp.minimum(gain, jnp.clip(STRIDE / jnp.maximum(stride, 1e-12), 0.4, GROWTH))
    gain = jnp.minimum(gain, jnp.clip(0.5 * SLOWING / jnp.maximum(slowing, 1e-12), 0.4, GROWTH))
    gain = jnp.where(track.starting, 1.0, gain)
    folded = accept & (forward != last.forward)
    closing = jnp.where(track.starting | track.crossing, 0.0, (track.clearance - clearance) / tried)
    direction = probed / length
    sound = jnp.isfinite(direction).all(axis=0) & jnp.isfinite(closing)
    step = jnp.where(accept, track.step * gain, jnp.where(bad, 0.5 * track.step, track.step))
    retreat = bad & _passed(track, end)
    # After a landing cut the step short, halving counts from the step actually tried.
    step = jnp.where(bad, 0.5 * jnp.where(retreat, track.step, tried), step)
    # Bisect for the change of sign.
    confirmed = leaping & (tried <= RESOLUTION)
    wall = jnp.where(leaping, tried, jnp.where(accept, track.wall - tried, track.wall))
    wall = jnp.where(accept & ((wall <= 0) | branched), jnp.inf, wall)
    step = jnp.where(accept | leaping, jnp.minimum(step, jnp.maximum(0.5 * wall, RESOLUTION)), step)
    step = jnp.where(confirmed, CROSSING, step)
    active = ~track.arrived & ~track.failed

    def pick(new_value: Array, old_value: Array, where: Array | bool):
        return jnp.where(where & active, new_value, old_value)

    return Track(
        last=Point(*(pick(n, pick(b, o, retreat), accept) for n, o, b in zip(new, last, track.before, strict=True))),
        before=Point(*(pick(n, o, accept) for n, o in zip(last, track.before, strict=True))),
        y=pick(y, track.y, ~bad),
        t=pick(t, track.t, ~bad),
        step=pick(step, track.step, True),
        pace=pick(jnp.maximum(jnp.abs(pace_after), 0.8 * track.pace), track.pace, accept),
        corrections=pick(track.corrections + 1, track.corrections, True),
        size=pick(size, track.size, True),
        first_size=pick(first_size, track.first_size, True),
        landing=track.landing,
        starting=track.starting & ~(active & accept),
        settled=accept | bad,
        arrived=track.arrived | (active & accept & track.landing),
        failed=track.failed | (active & ((step < 1e-9) | (bad & track.starting))),
        folds=track.folds + (folded & active),
        bifurcations=track.bifurcations + ((branched | (track.crossing & (sense != track.sense))) & accept & active),
        wall=pick(wall, track.wall, True),
        crossing=pick((track.crossing | confirmed) & ~accept, track.crossing, True),
        probe=pick(direction, track.probe, accept & sound),
        clearance=pick(clearance, track.clearance, accept & sound),
        closing=pick(closing, track.closing, accept & sound),
        sense=pick(sense, track.sense, accept & sound),
        points=track.points + (accept & active),
    )


def advance(
    curve: Any,
    track: Track,
    end: Float[Array, " B"],
    *,
    iterations: int | Array,
    points: int | Array = 1 << 30,
    tight: float = 1e-13,
) -> tuple[Track, Int[Array, ""]]:
    """Follow every path until it lands on t = end, fails, or has gained `points` points.

    Parameters
    ----------
    curve
        A `Curve`.
    track
        From `begin`, or from an earlier call.
    end
        Where to land, [B].
    iterations
        Most Newton iterations in all.
    points
        Most points accepted in this call, per element.
    tight
        A landing has converged when Newton's last correction is below this.

    Returns
    -------
    tuple
        The track, and the number of Newton iterations spent.
    """
    limit = jnp.asarray(track.points) + points

    def running(carry: tuple[Track, Array]) -> Array:
        track, count = carry
        return (~(track.arrived | track.failed) & (track.points < limit)).any() & (count < iterations)

    def body(carry: tuple[Track, Array]) -> tuple[Track, Array]:
        track, count = carry
        proposal = predict(curve, track, end)
        track = jax.tree.map(lambda n, o: jnp.where(track.settled, n, o), proposal, track)
        return _correct(curve, track, end, tight), count + 1

    track = jax.tree.map(jnp.asarray, track)
    start = track._replace(arrived=jnp.zeros_like(track.arrived))
    return lax.while_loop(running, body, (start, jnp.int32(0)))
