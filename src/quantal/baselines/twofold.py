r"""Numbers of twice the precision: sums of two doubles that nobody has added up, [2, ...], the larger one first.

    a + b = s + e,    s = fl(a + b),    e = (a - (s - v)) + (b - v),    v = fl(s - a)                 (Knuth)
    a     = t + r,    t = fl(fl(a + 2^27 a) - 2^27 a):  half the digits, so that products of such parts are exact

Compilers may fuse a product into a sum, and round once where two roundings are written. Here that changes nothing: each
product is exact, or too small for its rounding to matter. About 30 digits are left of 32.

Dekker (1971), A floating-point technique for extending the available precision; Knuth, volume 2, section 4.2.2.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Float

HALF = 2.0**27


def twofold(x: Float[Array, "..."]) -> Float[Array, "2 ..."]:
    """Make one of a double."""
    return jnp.stack([x, jnp.zeros_like(x)])


def less_product(t: Float[Array, "2 ..."], a: Float[Array, "2 ..."], b: Float[Array, "2 ..."]) -> Float[Array, "2 ..."]:
    """Return t - a b."""
    (a_top, a_rest), (b_top, b_rest) = _halves(a[0]), _halves(b[0])
    large, first = _sum(t[0], -a_top * b_top)
    large, second = _sum(large, -a_top * b_rest)
    large, third = _sum(large, -a_rest * b_top)
    small = t[1] - a_rest * b_rest - a[0] * b[1] - a[1] * b[0]
    return jnp.stack(_sum(large, first + second + third + small))


def quotient(a: Float[Array, "2 ..."], b: Float[Array, "2 ..."]) -> Float[Array, "2 ..."]:
    """Return a / b, by long division."""
    first = a[0] / b[0]
    rest = less_product(a, twofold(first), b)
    return jnp.stack(_sum(first, rest[0] / b[0]))


def _sum(a: Array, b: Array) -> tuple[Array, Array]:
    total = a + b
    share = total - a
    return total, (a - (total - share)) + (b - share)


def _halves(a: Array) -> tuple[Array, Array]:
    far = HALF * a
    top = (a + far) - far
    return top, a - top
