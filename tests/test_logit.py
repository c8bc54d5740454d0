"""Choice and value rules against their definitions, and in their limits."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from tests import plain

from quantal import logit
from quantal.errors import ParameterError

RULES = ("expected", "soft", "greedy")
Q = arrays(np.float64, (4, 3), elements=st.floats(-5, 5))
LEGAL = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)


@pytest.fixture(autouse=True)
def _double():
    with jax.enable_x64(True):
        yield


@jax.jit
def read_all(beta, q):
    """Policies and the three values of Q [4, 3]."""
    legal = jnp.asarray(LEGAL)
    pi = logit.policy(beta * q, legal)
    values = jnp.stack([logit.value(rule, beta, q, pi, legal) for rule in RULES])
    return pi, logit.log_policy(beta * q, legal), values


@given(q=Q, beta=st.floats(1e-3, 50))
def test_rules_equal_their_loops(q, beta):
    # Equation (2) and the table of MODEL, section 1, state by state.
    pi, _, found = map(np.asarray, read_all(beta, q))
    for state in range(3):
        allowed = np.flatnonzero(LEGAL[:, state])
        expected = plain.policy_of(q[:, state], allowed, beta)
        for action in range(4):
            assert pi[action, state] == pytest.approx(expected.get(action, 0.0), rel=1e-12, abs=1e-300)
        for rule, value in zip(RULES, found[:, state], strict=True):
            assert value == pytest.approx(plain.value_of(rule, q[:, state], allowed, beta), rel=1e-12, abs=1e-12)


@given(q=Q, beta=st.floats(1e-3, 50))
def test_values_lie_between_each_other(q, beta):
    # An average is at most the maximum, and the maximum at most its smooth version, which exceeds it by log(n)/beta.
    expected, soft, greedy = np.asarray(read_all(beta, q)[2])
    count = LEGAL.sum(axis=0)
    assert (expected <= greedy + 1e-12).all()
    assert (greedy <= soft + 1e-12).all()
    assert (soft <= greedy + np.log(count) / beta + 1e-9).all()


@given(q=Q, beta=st.floats(1e-3, 50))
def test_the_soft_value_is_the_expected_one_plus_entropy(q, beta):
    # (1/beta) log sum exp(beta Q) = sum pi Q + H(pi)/beta: what ties the rules of MGE and of Theorem 4 together.
    pi, _, (expected, soft, _) = map(np.asarray, read_all(beta, q))
    entropy = -(pi * np.log(np.where(pi > 0, pi, 1.0))).sum(axis=0)
    np.testing.assert_allclose(soft, expected + entropy / beta, rtol=1e-10, atol=1e-10)


@given(q=Q, shift=st.floats(-100, 100))
def test_policies_do_not_see_a_common_level(q, shift):
    np.testing.assert_allclose(read_all(2.0, q + shift)[0], read_all(2.0, q)[0], atol=1e-12)


def test_temperatures_in_the_limit():
    # beta -> 0 is uniform over what is legal; beta -> infinity plays the best, and the three values meet there.
    q = np.array([[1.0, 2, 3], [4, 5, 6], [3, 1, 0], [9, 4, 7]])
    np.testing.assert_allclose(read_all(0.0, q)[0], LEGAL / LEGAL.sum(axis=0))
    pi, _, values = map(np.asarray, read_all(1e4, q))
    np.testing.assert_array_equal(pi, np.array([[0, 0, 0], [1, 0, 0], [0, 0, 1], [0, 1, 0]]))
    np.testing.assert_allclose(values, np.broadcast_to([4.0, 4.0, 0.0], (3, 3)), atol=1e-3)


def test_illegal_actions_have_probability_zero_whatever_their_q():
    # Tables may hold anything where an action is illegal, and neither NaN nor infinity may leak out.
    for junk in (np.nan, np.inf, -np.inf, 1e300):
        pi, log, values = map(np.asarray, read_all(2.0, np.where(LEGAL, 1.0, junk)))
        np.testing.assert_allclose(pi, LEGAL / LEGAL.sum(axis=0))
        assert (log[~LEGAL] == -np.inf).all()
        assert np.isfinite(values[1:]).all()


def test_logarithms_stay_finite_where_probabilities_underflow():
    # exp(-2000) is 0 in double precision; its logarithm is a perfectly good number.
    q = np.zeros((4, 3))
    q[0] = 1.0
    pi, log, _ = map(np.asarray, read_all(2000.0, q))
    assert pi[1, 0] == 0.0
    assert log[1, 0] == pytest.approx(-2000.0)
    assert log[0, 0] == pytest.approx(0.0, abs=1e-300)


def test_large_logits_do_not_overflow():
    pi, log, values = map(np.asarray, read_all(1e6, np.where(LEGAL, 1e3, 0.0)))
    np.testing.assert_allclose(pi, LEGAL / LEGAL.sum(axis=0))
    assert np.isfinite(log[LEGAL]).all()
    assert np.isfinite(values).all()


def test_play_becomes_sharper_with_beta():
    # The probability of the best action never falls as precision rises.
    q = np.array([[0.3, 0, 0], [1.0, 0, 0], [0.2, 0, 0], [0.9, 0, 0]])
    best = [float(read_all(beta, q)[0][1, 0]) for beta in (0.0, 0.1, 1.0, 3.0, 10.0, 100.0)]
    assert best == sorted(best)
    assert best[0] == pytest.approx(1 / 3)  # three actions are legal there


def test_reading_q_gives_policies_and_values_of_every_agent():
    q = (jnp.asarray([[1.0], [2.0]]), jnp.asarray([[0.0], [1.0], [5.0]]))
    legal = (jnp.ones((2, 1), dtype=bool), jnp.asarray([[True], [True], [False]]))
    policies, values = logit.read("expected", jnp.asarray([1.0, 2.0]), q, legal)
    first = 1 / (1 + math.e)
    second = 1 / (1 + math.e**2)
    np.testing.assert_allclose(policies[0][:, 0], [first, 1 - first])
    np.testing.assert_allclose(policies[1][:, 0], [second, 1 - second, 0])
    np.testing.assert_allclose([values[0][0], values[1][0]], [2 - first, 1 - second])


def test_an_unknown_rule_is_refused_with_the_three_there_are():
    with pytest.raises(ParameterError, match=r"'max'.*'expected', 'soft', 'greedy'"):
        logit.check_value_rule("max")
