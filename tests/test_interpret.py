"""NumPy's evaluation of a traced program against the compiled program: every primitive that is used."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import quantal as qt
from quantal import interpret, precision, stage
from quantal.interpret import Meter, OverBudgetError, Program, UnsupportedError
from quantal.precision import compiled, quick_jit

RNG = np.random.default_rng(5)
X = RNG.normal(size=(3, 4))
Y = RNG.normal(size=(3, 4))
CUBE = RNG.normal(size=(2, 3, 4))
SQUARE = RNG.normal(size=(5, 4, 4))
RIGHT = RNG.normal(size=(5, 4, 2))
INDEX = np.array([2, 0, 1])
POSITIVE = np.abs(X) + 0.5

PROGRAMS = {
    "arithmetic": (lambda x, y: (x + y) * x - y / x + x**3 - (-y), X, Y),
    "comparisons": (lambda x, y: (x < y, x <= y, x > y, x >= y, x == y, x != y), X, Y),
    "logic": (lambda x, y: ((x > 0) & (y > 0)) | ~(x > y) ^ (y < 0), X, Y),
    "choice": (
        lambda x, y: jnp.where(x > y, x, y) + jnp.maximum(x, 0) + jnp.minimum(y, 1) + jnp.clip(x, -0.5, 0.5),
        X,
        Y,
    ),
    "functions": (
        lambda x: (
            jnp.exp(x),
            jnp.log(x),
            jnp.sqrt(x),
            jnp.abs(x),
            jnp.sign(x),
            jnp.tanh(x),
            jnp.log1p(x),
            jnp.expm1(x),
        ),
        POSITIVE,
    ),
    "sigmoid": (lambda x: jax.nn.sigmoid(x) + lax.rsqrt(jnp.abs(x)) + jnp.square(x) + jnp.floor(x) + jnp.ceil(x), X),
    "softmax": (lambda x: jax.nn.softmax(x, axis=0) + jax.nn.logsumexp(x, axis=1, keepdims=True), X),
    "room": (lambda x: (lax.pad(x, 0.5, ((2, 1, 0), (-1, 2, 2))), lax.pad(x, 0.5, ((-1, -1, 1), (0, -2, 0)))), X),
    "sums": (lambda x: (x.sum(), x.sum(axis=1), x.prod(axis=0), x.max(axis=0), x.min(), jnp.cumsum(x, axis=1)), X),
    "any and all": (lambda x: ((x > 0).any(axis=0), (x > -9).all()), X),
    "arguments": (lambda x: (jnp.argmax(x, axis=0), jnp.argmin(x, axis=1)), X),
    "finite": (lambda x: jnp.isfinite(jnp.log(x)), X),
    "integers": (lambda k: (k // 2, k % 2, -k // 2, (-7 + k) % 3, k.astype(float)), np.arange(5)),
    "shapes": (lambda x: (x.T, x.reshape(2, 6), x[None, :, None], jnp.moveaxis(x, 0, 1), jnp.squeeze(x[:1])), X),
    "slices": (lambda x: (x[1:], x[:, ::2], x[0], x[-1, 1:3], x[::-1]), X),
    "joining": (lambda x, y: (jnp.concatenate([x, y], axis=1), jnp.stack([x, y], axis=1)), X, Y),
    "counting": (lambda x: jnp.arange(4.0) + x + jnp.eye(3, 4) + jnp.zeros((3, 4)) + jnp.full((3, 4), 2.0), X),
    "products": (
        lambda x, y, c: (x @ y.T, jnp.einsum("abc,dc->bad", c, x), jnp.einsum("abc,abc->b", c, c)),
        X,
        Y,
        CUBE,
    ),
    "vector products": (lambda x: (x[0] @ x[1], x @ x[0], jnp.vdot(x, x)), X),
    "taking": (lambda x, k: (x[k], x[:, k], x[k, k], jnp.take(x, k, axis=1)), X, INDEX),
    "taking along": (lambda x, k: jnp.take_along_axis(x, k[:, None], axis=1), X, INDEX),
    "taking from outside": (lambda x: jnp.take(x, jnp.array([0, 7]), axis=0), X),
    "taking from outside, clipped": (lambda x: jnp.take(x, jnp.array([0, 7, -9]), axis=0, mode="clip"), X),
    "setting": (lambda x, k: (x.at[k].set(1.0), x.at[:, 0].set(x[:, 1]), x.at[1, 2].set(9.0)), X, INDEX),
    "adding": (lambda x, k: x.at[:, jnp.array([0, 0, 2])].add(x[:, k]), X, INDEX),
    "adding outside": (lambda x: x.at[jnp.array([1, 9])].add(1.0), X),
    "moving slices": (
        lambda x, k: (lax.dynamic_slice(x, (k, 1), (2, 2)), lax.dynamic_update_slice(x, x[:1, :2], (k, 9)), x[k]),
        X,
        np.int64(1),
    ),
    "branches": (lambda x: lax.cond(x[0, 0] > 0, lambda v: v + 1, lambda v: v - 1, x), X),
    "switch": (lambda k, x: lax.switch(k, [lambda v: v, lambda v: 2 * v, lambda v: -v], x), np.int32(2), X),
    "loop": (lambda x: lax.while_loop(lambda c: c[1] < 5, lambda c: (c[0] * 0.5 + 1, c[1] + 1), (x, 0)), X),
    "loop side by side": (
        jax.vmap(lambda v: lax.while_loop(lambda c: c[0] < 10, lambda c: (c[0] * 2, c[1] + 1), (v, 0))),
        np.array([1.0, 3.0, 20.0]),
    ),
    "scan": (lambda x: lax.scan(lambda c, row: (c + row, c * row), x[0], x), X),
    "scan backwards": (lambda x: lax.scan(lambda c, row: (c + row, c * row), x[0], x, reverse=True), X),
    "count": (lambda x: lax.fori_loop(0, 4, lambda k, v: v + k, x), X),
    "map": (lambda x: lax.map(lambda row: row.sum(), x, batch_size=2), X),
    "linear systems": (stage.solve_with_sign, SQUARE, RIGHT),
    "linear systems side by side": (jax.vmap(stage.solve_with_sign, in_axes=(0, None)), SQUARE, RIGHT[0]),
    "derivative": (jax.jacfwd(lambda x: jax.nn.softmax(x, axis=0)[0]), X),
}


def plenty() -> Meter:
    return Meter(1e12)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_evaluates_as_it_does_compiled(name):
    function, *args = PROGRAMS[name]
    with jax.enable_x64(True):
        traced = jax.jit(function).trace(*args)
        with np.errstate(all="ignore"):
            found = Program(traced.jaxpr)(plenty(), *args)
        expected = jax.tree.leaves(jax.jit(function)(*args))
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert np.asarray(ours).dtype == theirs.dtype
        np.testing.assert_allclose(ours, theirs, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("n", [1, 5, 24, 25, 60])
def test_linear_systems_of_any_size_and_the_determinants_sign(n):
    a, b = RNG.normal(size=(7, n, n)), RNG.normal(size=(7, n, 2))
    x, sign = stage._solve_with_sign_on_host(a, b)
    np.testing.assert_allclose(a @ x, b, atol=1e-9)
    np.testing.assert_array_equal(sign, np.linalg.slogdet(a).sign)


@pytest.mark.parametrize("n", [3, 40])
def test_a_singular_matrix_gives_no_correction_to_a_zero_residual(n):
    a = RNG.normal(size=(n, n))
    a[-1] = a[0]
    with np.errstate(all="ignore"):
        x, _ = stage._solve_with_sign_on_host(a, np.zeros((n, 1)))
    np.testing.assert_array_equal(x, 0.0)


def test_what_is_not_known_is_refused_and_then_compiled():
    with pytest.raises(UnsupportedError, match="sort"):
        Program(jax.jit(jnp.sort).trace(X).jaxpr)
    np.testing.assert_array_equal(quick_jit(lambda x: jnp.sort(x))(X.astype(np.float32)), np.sort(X.astype(np.float32)))


def test_a_loop_that_costs_too_much_is_stopped_and_compiled_instead():
    def long(x):
        return lax.fori_loop(0, 1_000_000, lambda k, v: v * 0.999_999 + 1e-6, x)

    with jax.enable_x64(True):
        with pytest.raises(OverBudgetError):
            Program(jax.jit(long).trace(X).jaxpr)(Meter(1e4), X)
        # A million roundings, which need not be the same with and without fused multiplication.
        np.testing.assert_allclose(quick_jit(long)(X), jax.jit(long)(X), rtol=1e-9)


def test_a_program_is_interpreted_first_and_compiled_once_its_allowance_is_spent(monkeypatch):
    calls = []
    evaluate = Program.__call__
    monkeypatch.setattr(Program, "__call__", lambda self, *a: calls.append(1) or evaluate(self, *a))
    monkeypatch.setattr(precision, "ALLOWANCE", 3.5 * interpret.PER_OPERATION)
    twice = quick_jit(lambda x: x + x)
    found = [np.asarray(twice(np.float32(3.0))) for _ in range(6)]
    assert found == [6.0] * 6
    assert len(calls) == 4  # three within the allowance, one that met its end
    twice(np.ones(2, dtype=np.float32))  # another shape has an account of its own
    assert len(calls) == 5


def test_under_a_transformation_nothing_is_interpreted():
    cube = quick_jit(lambda x: x**3)
    assert float(jax.grad(cube)(2.0)) == 12.0
    np.testing.assert_array_equal(jax.vmap(cube)(jnp.arange(3.0)), [0.0, 1.0, 8.0])


def test_arguments_may_be_named_and_static():
    @quick_jit
    def plain(x, y):
        return x - y

    assert float(plain(y=np.float32(1), x=np.float32(3))) == 2.0
    power = quick_jit(lambda x, n: x**n, static_argnames="n")
    assert float(power(np.float32(3), 2)) == 9.0
    assert float(power(np.float32(3), n=3)) == 27.0


def test_arguments_may_be_named_in_any_order():
    assert float(quick_jit(lambda z, a: z * 10 + a)(a=np.float32(1), z=np.float32(2))) == 21.0


def test_arguments_may_be_as_many_as_there_are():
    total = quick_jit(lambda *xs, scale: sum(xs) * scale)
    assert float(total(np.float32(1), np.float32(2), scale=np.float32(3))) == 9.0


def test_results_do_not_change_with_the_arguments_memory():
    with jax.enable_x64(True):
        given = np.zeros((64, 8))  # large enough to be taken over without a copy
        same, turned = quick_jit(lambda x: (x, x.reshape(8, 64)))(given)
        given[:] = 9.0
        assert not np.asarray(same).any()
        assert not np.asarray(turned).any()


@pytest.mark.parametrize("dtype", [np.int8, np.int32])
def test_sums_keep_their_type(dtype):
    k = np.arange(5, dtype=dtype)
    traced = jax.jit(lambda x: (jax.lax.reduce(x, dtype(0), jax.lax.add, (0,)), lax.cumsum(x))).trace(k)
    for ours, kind in zip(Program(traced.jaxpr)(plenty(), k), traced.out_info, strict=True):
        assert np.asarray(ours).dtype == kind.dtype


@pytest.mark.parametrize("rule", ["expected", "soft", "greedy"])
@pytest.mark.parametrize("when", [{"discount": 0.9}, {"horizon": 2}])
def test_first_calls_find_what_compiled_ones_find(rule, when):
    game = qt.games.random.stochastic(3, 2, 3, seed=4)
    first = qt.solve(game, beta=4.0, value=rule, **when)
    with compiled():
        later = qt.solve(game, beta=4.0, value=rule, **when)
    for agent in game.agents:
        np.testing.assert_allclose(first.policy[agent], later.policy[agent], atol=1e-11)
    assert first.branch == later.branch
