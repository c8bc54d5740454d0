"""Choice and value rules: the only home of beta.

    pi_i(a | x) = exp(beta_i Q_i(x, a)) / sum over legal b of exp(beta_i Q_i(x, b))                     equation (2)

and the three ways in which the paper's systems turn Q_i into V_i (MODEL, section 1):

    expected   V = sum_a pi(a) Q(a)                   equations (4), (7), (10)
    soft       V = (1/beta) log sum_a exp(beta Q(a))  Theorem 4 and Remark 1 (which forgets the 1/beta)
    greedy     V = max_a Q(a)                         what Figure 4 was evidently computed with

Arrays are in engine layout, actions first: [A, *states]. Probabilities are kept as logarithms: at large beta the
probability of a bad action underflows, its logarithm does not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from quantal.errors import ParameterError

ValueRule = Literal["expected", "soft", "greedy"]
VALUE_RULES: tuple[str, ...] = get_args(ValueRule)


def check_value_rule(value: str) -> ValueRule:
    """Return the rule; `ParameterError` names the three there are."""
    if value not in VALUE_RULES:
        raise ParameterError(f"value={value!r}: expected one of {', '.join(map(repr, VALUE_RULES))}")
    return value  # type: ignore[return-value]


def log_policy(logits: Float[Array, "A *s"], legal: Bool[Array, "A *#s"]) -> Float[Array, "A *s"]:
    """Normalise logits to log-probabilities; minus infinity where an action is illegal.

    Shifting by the largest legal logit first keeps the exponentials between 0 and 1. Loops over actions are unrolled.
    """
    shifted = _shifted(logits, legal)
    return shifted - jnp.log(_fold(jnp.add, [jnp.exp(s) for s in _rows(shifted)]))


def policy(logits: Float[Array, "A *s"], legal: Bool[Array, "A *#s"]) -> Float[Array, "A *s"]:
    """Normalise logits to probabilities; exactly zero where an action is illegal."""
    weights = jnp.exp(_shifted(logits, legal))
    return weights / _fold(jnp.add, _rows(weights))


def value(
    rule: ValueRule,
    beta: Float[Array, ""] | float,
    q: Float[Array, "A *s"],
    pi: Float[Array, "A *s"],
    legal: Bool[Array, "A *#s"],
) -> Float[Array, "*s"]:
    """V from Q by one of the three rules; `soft` needs beta > 0."""
    count = q.shape[0]
    if rule == "expected":
        return _fold(jnp.add, [pi[a] * q[a] for a in range(count)])
    top = _fold(jnp.maximum, [jnp.where(legal[a], q[a], -jnp.inf) for a in range(count)])
    if rule == "greedy":
        return top
    weights = [jnp.where(legal[a], jnp.exp(beta * (q[a] - top)), 0.0) for a in range(count)]
    return top + jnp.log(_fold(jnp.add, weights)) / beta


def read(
    rule: ValueRule,
    beta: Float[Array, "M"],
    q: tuple[Float[Array, "..."], ...],
    legal: tuple[Bool[Array, "..."], ...],
) -> tuple[tuple[Float[Array, "..."], ...], tuple[Float[Array, "..."], ...]]:
    """Policies [A_i, *states] and values [*states] that Q-functions imply, per agent."""
    policies = tuple(policy(b * qi, mask) for b, qi, mask in zip(beta, q, legal, strict=True))
    values = tuple(value(rule, b, qi, pi, mask) for b, qi, pi, mask in zip(beta, q, policies, legal, strict=True))
    return policies, values


def _shifted(logits: Float[Array, "A *s"], legal: Bool[Array, "A *#s"]) -> Float[Array, "A *s"]:
    """Logits less the largest legal one; minus infinity where illegal.

    One array, not a stack of rows: XLA computes a stack row by row, and what the rows share again for each.
    """
    logits = jnp.where(legal, logits, -jnp.inf)
    return logits - _fold(jnp.maximum, _rows(logits))


def _rows(x: Array) -> list[Array]:
    return [x[a] for a in range(x.shape[0])]


def _fold(combine: Callable[[Array, Array], Array], terms: list[Array]):
    """Combine a few arrays pairwise, unrolled: XLA fuses this into one pass over the states."""
    result = terms[0]
    for term in terms[1:]:
        result = combine(result, term)
    return result
