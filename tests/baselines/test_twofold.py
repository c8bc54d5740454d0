"""Twice the precision of doubles, against exact fractions."""

from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from quantal.baselines.twofold import less_product, quotient


def pairs(rng):
    large = rng.normal(size=200) * 10.0 ** rng.uniform(-6, 6, 200)
    return np.stack([large, large * 2.0**-54 * rng.uniform(-1, 1, 200)])


def exact(pair):
    return [Fraction(a) + Fraction(b) for a, b in pair.T.tolist()]


@pytest.mark.parametrize("mode", [lambda f: f, jax.jit], ids=["eager", "compiled"])
def test_thirty_digits_are_right(mode):
    # Compilers fuse and reorder: what survives them is compared with arithmetic that does not round at all. Half of the
    # differences cancel but for what one double cannot hold.
    rng = np.random.default_rng(0)
    t, a, b = pairs(rng), pairs(rng), pairs(rng)
    t[0, ::2], t[1, ::2] = (a[0] * b[0])[::2], 0.0
    with jax.enable_x64(True):
        left, ratio = (
            np.asarray(mode(f)(*map(jnp.asarray, x))) for f, x in ((less_product, (t, a, b)), (quotient, (a, b)))
        )
    for found, x, y, z in zip(exact(left), exact(t), exact(a), exact(b), strict=True):
        assert abs(found - (x - y * z)) <= Fraction(1, 10**30) * max(abs(x), abs(y * z))
    for found, x, y in zip(exact(ratio), exact(a), exact(b), strict=True):
        assert abs(found * y - x) <= Fraction(1, 10**30) * abs(x)
