"""The one loop: what it accepts, what it does not, and that damping changes steps but never answers."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quantal.iterate import fixed_point, gap

ONE = (jnp.ones((1,), dtype=bool),)


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


def slow(x):
    """y = 0.9 y + 1, solved by y = 10 (MODEL, section 1)."""
    return (0.9 * x[0] + 1.0,)


def run(step, start, **options):
    defaults = {"damping": 1.0, "tol": 1e-10, "max_steps": 5_000}
    return fixed_point(step, (jnp.asarray(start, dtype=float),), ONE, **(defaults | options))


def test_a_small_step_is_not_a_small_residual():
    # With damping 1e-7 the first step moves y by 1e-7: a test on the step would accept y = 0, whose residual is 1.
    found = run(slow, [0.0], damping=1e-7, tol=1e-6, max_steps=50)
    assert float(found.residual) == pytest.approx(1.0, abs=1e-4)
    assert float(found.residual) > 1e-6


@pytest.mark.parametrize("damping", [1.0, 0.5, 0.1])
def test_damping_changes_the_steps_and_never_what_is_accepted(damping):
    found = run(slow, [0.0], damping=damping)
    assert float(found.residual) <= 1e-10
    # |y - 10| = residual / (1 - 0.9): the same distance from the solution, however small the steps were.
    assert float(found.q[0][0]) == pytest.approx(10.0, abs=1e-9)
    assert float(found.residual) == pytest.approx(abs(float(found.q[0][0] - slow(found.q)[0][0])), abs=1e-14)
    # The contraction is 1 - damping (1 - 0.9), the steps to 1e-10 follow from it.
    assert int(found.steps) == pytest.approx(np.log(1e-10) / np.log1p(-0.1 * damping), rel=0.02)


def test_the_trace_is_the_residuals_that_were_met():
    found = run(slow, [0.0], tol=0.5, max_steps=30)
    steps = int(found.steps)
    trace = np.asarray(found.trace)
    np.testing.assert_allclose(trace[:steps], 0.9 ** np.arange(steps))
    assert np.isnan(trace[steps:]).all()
    assert trace[steps - 1] <= 0.5 < trace[steps - 2]


def test_a_solved_start_is_not_moved():
    found = run(slow, [10.0])
    assert float(found.q[0][0]) == 10.0
    assert int(found.steps) == 1  # one look


def test_the_step_limit_is_kept_and_the_residual_is_that_of_what_is_returned():
    found = run(slow, [0.0], max_steps=7)
    assert float(found.q[0][0]) == pytest.approx(10 * (1 - 0.9**7))
    assert float(found.residual) == pytest.approx(0.9**7)


def test_cells_stop_one_by_one():
    # Three games side by side with contraction 0, 0.5 and 0.99; the first two are done long before the third.
    factor = jnp.asarray([0.0, 0.5, 0.99])
    seen = []

    def step(x):
        return (factor * x[0] + 1.0,)

    start = jnp.zeros((1, 3))
    legal = (jnp.ones((1, 1), dtype=bool),)
    for most in (1, 40, 4_000):
        found = fixed_point(step, (start,), legal, damping=1.0, tol=1e-10, max_steps=most, cells=1)
        seen.append(np.asarray(found.residual) <= 1e-10)
    np.testing.assert_array_equal(seen, [[True, False, False], [True, True, False], [True, True, True]])
    # What has converged is left as it is: rounding and further steps cannot push it out again.
    early = fixed_point(step, (start,), legal, damping=1.0, tol=1e-3, max_steps=4_000, cells=1)
    alone = fixed_point(
        lambda x: (0.5 * x[0] + 1.0,), (start[:, :1],), legal, damping=1.0, tol=1e-3, max_steps=99, cells=1
    )
    assert float(early.q[0][0, 1]) == float(alone.q[0][0, 0])


def test_every_cell_may_have_a_tolerance_of_its_own():
    tol = jnp.asarray([1e-2, 1e-8])
    found = fixed_point(
        lambda x: (0.5 * x[0] + 1.0,),
        (jnp.zeros((1, 2)),),
        (jnp.ones((1, 1), dtype=bool),),
        damping=1.0,
        tol=tol,
        max_steps=99,
        cells=1,
    )
    residual = np.asarray(found.residual)
    assert 1e-8 < residual[0] <= 1e-2
    assert residual[1] <= 1e-8


def test_what_blows_up_is_never_a_solution():
    # exp(y) overflows after a few steps; NaN compares false with everything and must not read as "small".
    found = run(lambda x: (jnp.exp(x[0]) - jnp.exp(2 * x[0]),), [1.0], max_steps=60)
    assert not float(found.residual) <= 1e-10
    nan = gap((jnp.zeros(2),), (jnp.asarray([0.0, jnp.nan]),), (jnp.ones(2, dtype=bool),), cells=0)
    assert float(nan) == np.inf


def test_illegal_entries_do_not_count():
    q, image = (jnp.asarray([1.0, 5.0]),), (jnp.asarray([1.5, jnp.nan]),)
    assert float(gap(q, image, (jnp.asarray([True, False]),), cells=0)) == 0.5


def test_the_gap_is_over_agents_and_actions_and_keeps_cells():
    q = (jnp.zeros((2, 3)), jnp.zeros((1, 3)))
    image = (jnp.asarray([[1.0, 2, 0], [0, 3, 0]]), jnp.asarray([[0.0, 0, -7]]))
    legal = (jnp.ones((2, 1), dtype=bool), jnp.ones((1, 1), dtype=bool))
    np.testing.assert_array_equal(gap(q, image, legal, cells=1), [1, 3, 7])
    assert float(gap(q, image, legal, cells=0)) == 7


@pytest.mark.parametrize("memory", [1, 3, 8])
def test_anderson_meets_plain_iteration_in_far_fewer_steps(memory):
    # A contraction of 0.99 in five dimensions: plain steps gain a hundredth each, Anderson solves the linear part.
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    matrix = jnp.asarray(basis @ np.diag([0.99, 0.9, 0.5, -0.7, 0.1]) @ basis.T)
    offset = jnp.asarray(rng.normal(size=5))

    def step(x):
        return (matrix @ x[0] + offset + 0.001 * jnp.sin(x[0]),)

    exact = partial(run, step, jnp.zeros(5))
    plain, fast = exact(tol=1e-11), exact(tol=1e-11, memory=memory)
    assert float(fast.residual) <= 1e-11
    np.testing.assert_allclose(fast.q[0], plain.q[0], atol=1e-8)
    assert int(fast.steps) < int(plain.steps) / (2 if memory == 1 else 20)


def test_anderson_survives_what_illegal_cells_hold():
    # An illegal action's Q may be anything, infinity too; it must not spoil the mixing of the others.
    legal = (jnp.asarray([True, False]),)

    def step(x):
        return (jnp.asarray([0.9 * x[0][0] + 1.0, jnp.inf]),)

    found = fixed_point(step, (jnp.zeros(2),), legal, damping=1.0, tol=1e-10, max_steps=200, memory=4)
    assert float(found.residual) <= 1e-10
    assert float(found.q[0][0]) == pytest.approx(10.0, abs=1e-8)
