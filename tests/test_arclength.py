"""Path following on curves that are known in closed form: folds, crossings, sharp bends, dead ends."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quantal import arclength
from quantal.arclength import Linearised


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


class Scalar(NamedTuple):
    """F(y, t) = 0 with one unknown per batch element, by automatic differentiation; `extra` is data of the family."""

    kind: int
    extra: jax.Array

    def equation(self, y, t, e):
        return (
            t - (2 * y**3 - 3 * e * y**2 + 1.2 * y),  # 0: for e > 0.9 an S with two folds
            (y - e) * (1.5 * (t - 0.5) - (y - e) ** 2),  # 1: a pitchfork at t = 1/2 on the flat branch y = e
            y * (t - 0.5) - y**3 + e * (1 + 0 * t),  # 2: the same, torn open by e: the branch bends away
            y**2 + t - 0.25 * e,  # 3: turns back at t = e/4 and comes home to t = 0
            y - jnp.sin(40 * t) * e,  # 4: long and wavy, no folds
        )[self.kind]

    def linearise(self, y, t):
        def one(y, t, e):
            value = self.equation(y, t, e)
            by, bt = jax.grad(self.equation, argnums=(0, 1))(y, t, e)
            return value / by, bt / by, jnp.sign(by)

        a, b, sign = jax.vmap(one)(y[0], t, self.extra)
        return Linearised(a[None], b[None], sign)

    def metric(self, y):
        return jnp.ones_like(y)

    def size(self, dy, weights):
        return jnp.abs(weights * dy)[0]


jax.tree_util.register_pytree_node(Scalar, lambda c: ((c.extra,), c.kind), lambda kind, leaves: Scalar(kind, *leaves))


@jax.jit
def followed(curve, y0):
    track = arclength.begin(y0, jnp.zeros_like(y0[0]))
    return arclength.advance(curve, track, jnp.ones_like(y0[0]), iterations=5_000)[0]


def follow(kind, extra, y0=0.0):
    """Follow from t = 0 to 1; one path per entry of `extra`."""
    extra = jnp.asarray(extra, dtype=float)
    start = jnp.broadcast_to(jnp.asarray(y0, dtype=float), extra.shape)[None]
    return jax.tree.map(np.asarray, followed(Scalar(kind, extra), start))


def test_a_branch_is_followed_through_its_folds():
    # t = 2y^3 - 3ey^2 + 1.2y is monotone up to e = sqrt(0.8) and an S beyond, which must be walked in full.
    extra = np.array([0.5, 0.85, 0.95, 1.0, 1.03])
    track = follow(0, extra)
    assert track.arrived.all()
    np.testing.assert_array_equal(track.folds, 2 * (extra > np.sqrt(0.8)))
    np.testing.assert_array_equal(track.bifurcations, 0)
    np.testing.assert_array_equal(track.last.t, 1.0)
    for y, e in zip(track.last.y[0], extra, strict=True):
        # The first arrival at t = 1: no fold of these lies beyond it, so the largest real root.
        roots = np.roots([2, -3 * e, 1.2, -1])
        assert y == pytest.approx(max(roots[np.abs(roots.imag) < 1e-9].real), abs=1e-12)


def test_a_pair_of_folds_that_lie_close_is_walked_too():
    # Just past e = sqrt(0.8) the folds are a hair apart; the answer is the same, and they are counted.
    extra = np.sqrt(0.8) + np.array([1e-2, 1e-3, 1e-4])
    track = follow(0, extra)
    np.testing.assert_array_equal(track.folds, 2)


def test_a_crossing_is_passed_straight_on_and_counted_once():
    # On the flat branch the determinant changes its sign at t = 1/2 and the direction does not: a bifurcation.
    extra = np.array([0.0, 0.3, -2.0])
    track = follow(1, extra, y0=extra)
    assert track.arrived.all()
    np.testing.assert_array_equal(track.bifurcations, 1)
    np.testing.assert_array_equal(track.folds, 0)
    np.testing.assert_allclose(track.last.y[0], extra, atol=1e-12)


def test_a_torn_crossing_is_not_leapt_over():
    # y (t - 1/2) = y^3 - e: for e > 0 the branch from t = 0 bends up and away; the lower one is not connected to it.
    # Straight on lies the unstable piece of the other branch, so near that a long step would land there unnoticed.
    extra = np.array([1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6])
    extra = np.concatenate([extra, -extra])
    start = [min((r.real for r in np.roots([1, 0, 0.5, -e]) if abs(r.imag) < 1e-9), key=abs) for e in extra]
    track = follow(2, extra, y0=np.array(start))
    assert track.arrived.all()
    np.testing.assert_array_equal(track.bifurcations, 0)
    np.testing.assert_array_equal(track.folds, 0)
    for y, e in zip(track.last.y[0], extra, strict=True):
        roots = [r.real for r in np.roots([1, 0, -0.5, -e]) if abs(r.imag) < 1e-9]
        assert y == pytest.approx(max(roots) if e > 0 else min(roots), abs=1e-10)


def test_a_branch_that_comes_home_is_lost_and_never_called_arrived():
    # y^2 = (1 - 4t)/4 returns to t = 0: there is nothing at t = 1 to be reported.
    track = follow(3, np.array([1.0, 2.0]), y0=-0.5 * np.sqrt(np.array([1.0, 2.0])))
    assert not track.arrived.any()
    assert track.failed.all()


def test_paths_in_a_batch_do_not_disturb_each_other():
    # They run in lockstep: one that fails, folds or takes long must leave the others' answers alone.
    together = follow(4, np.array([0.1, 1.0, 3.0]))
    assert together.arrived.all()
    np.testing.assert_allclose(together.last.y[0], np.sin(40) * np.array([0.1, 1.0, 3.0]), atol=1e-12)
    alone = follow(4, np.array([1.0]))
    assert int(alone.points[0]) == int(together.points[1])
    assert float(alone.last.y[0, 0]) == float(together.last.y[0, 1])


def test_points_can_be_taken_one_at_a_time():
    # A continuation looks at every point: cutting the run into pieces must not change where it goes.
    curve = Scalar(0, jnp.asarray([1.0]))
    whole = follow(0, [1.0])

    @jax.jit
    def next_point(track):
        return arclength.advance(curve, track, jnp.ones(1), iterations=200, points=1)[0]

    track = arclength.begin(np.zeros((1, 1)), np.zeros(1))
    seen = []
    while not bool(track.arrived[0]):
        track = next_point(track)
        seen.append((float(track.last.t[0]), float(track.last.y[0, 0])))
    assert len(seen) == int(whole.points[0])
    assert seen[-1] == (1.0, float(whole.last.y[0, 0]))
    for t, y in seen:  # every accepted point lies on the curve
        assert t == pytest.approx(2 * y**3 - 3 * y**2 + 1.2 * y, abs=1e-3)


def test_a_start_that_is_off_the_curve_is_put_on_it():
    # At t = 0 the first corrections hold t and find the point.
    track = follow(4, [1.0], y0=5.0)
    assert bool(track.arrived[0])
    assert float(track.last.y[0, 0]) == pytest.approx(np.sin(40), abs=1e-12)
