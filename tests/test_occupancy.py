"""`quantal.occupancy.push` against plain loops, and against the expected next value whose transpose it is."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.cases import GAMES, Case, successors_at

from quantal import bellman
from quantal.occupancy import push


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=GAMES, name="case")
def _case(request, _double):
    return Case(GAMES[request.param]())


def mass_on(case, seed=5):
    mass = np.random.default_rng(seed).random(case.model.state_shape)
    return mass / mass.sum()


def looped_push(case, mass):
    after = np.zeros_like(mass)
    for x in case.states():
        for a in case.actions():
            chance = np.prod([case.policies[j][(a[j], *x)] for j in range(case.agents)])
            for y, p in successors_at(case, x, a):
                after[y] += mass[x] * chance * p
    return after


def test_push_equals_the_loops(case):
    # Equation (12), term by term, for every kind of dynamics.
    mass = mass_on(case)
    fast = jax.jit(push)(case.model.moves, jnp.asarray(mass), case.engine())
    np.testing.assert_allclose(fast, looped_push(case, mass), rtol=1e-12, atol=1e-12)


def test_push_is_the_transpose_of_the_expected_next_value(case):
    # <push(m), V> = <m, E_pi V'>: scores added up forward and values worked out backward are then the same number.
    mass, value = mass_on(case), np.random.default_rng(6).normal(size=case.model.state_shape)

    @jax.jit
    def both(moves, mass, policies, value):
        ahead = bellman.marginal(bellman.expected_next(moves, value), policies, ())
        return push(moves, mass, policies), ahead

    after, ahead = both(case.model.moves, jnp.asarray(mass), case.engine(), jnp.asarray(value))
    np.testing.assert_allclose(jnp.vdot(after, value), jnp.vdot(mass, ahead), rtol=1e-13)


def test_mass_is_conserved_over_many_steps(case):
    mass = jnp.asarray(mass_on(case))
    policies = case.engine()
    step = jax.jit(push)
    for _ in range(100):
        mass = step(case.model.moves, mass, policies)
    assert abs(float(mass.sum()) - 1) < 1e-12
    assert float(mass.min()) >= 0


@pytest.mark.parametrize("name", ["two agents, one with chance", "coupled, two agents", "dense, two agents"])
def test_pushing_can_be_differentiated(name):
    # Inverse learning differentiates expected visits with respect to play.
    case = Case(GAMES[name]())
    mass, policies = jnp.asarray(mass_on(case)), case.engine()
    value = jnp.asarray(np.random.default_rng(7).normal(size=case.model.state_shape))

    def seen(weight):
        return jnp.vdot(value, push(case.model.moves, mass, tuple(weight * p for p in policies)))

    # Every policy is scaled by w, so the result is w^M times as large.
    value_there, slope = jax.jit(jax.value_and_grad(seen))(1.0)
    np.testing.assert_allclose(slope, case.agents * value_there, rtol=1e-12)
