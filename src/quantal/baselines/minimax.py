"""Minimax play in stage games: the best mixed action against the worst that the others can do together.

    V = max over pi of min over b of sum_a pi(a) Q(a, b),        b a joint action of all others

as the linear program of von Neumann: with Q shifted to be positive, the others' mix y >= 0 maximises sum y subject to
Q y <= 1; then V = 1 / sum y, and pi is the prices of the constraints times V.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from quantal.baselines.lanes import one_lane
from quantal.baselines.simplex import maximise


def minimax(
    payoffs: Float[Array, "A O B"], own: Bool[Array, "A B"], others: Bool[Array, "O B"], needed: Bool[Array, "B"]
) -> tuple[Float[Array, "A B"], Float[Array, "B"], Bool[Array, "B"]]:
    """Solve many matrix games, lanes last.

    Parameters
    ----------
    payoffs
        What the agent gets, by its own action and the others'.
    own, others
        Which are legal.
    needed
        Where an answer is wanted.

    Returns
    -------
    tuple
        pi [A, B], V [B], and whether the simplex method came to an end.
    """
    legal = own[:, None] & others[None]
    low = jnp.where(legal, payoffs, jnp.inf).min(axis=(0, 1))
    span = jnp.where(legal, payoffs, -jnp.inf).max(axis=(0, 1)) - low
    span = jnp.where(span > 0, span, 1.0)
    # The others never use an illegal column (objective -1); an illegal row never binds, so that its price is 0.
    matrix = jnp.where(legal, (payoffs - low) / span + 1.0, 0.0)
    objective = jnp.where(others & needed, 1.0, -1.0)
    found = maximise(objective[None], matrix, jnp.ones(own.shape))
    total = jnp.maximum(found.value[0], 0.5)  # at least 1/2, for what was solved: payoffs are at most 2
    prices = jnp.maximum(found.prices, 0.0)
    policy = prices / jnp.maximum(prices.sum(axis=0), 0.5)
    return policy, low + span * (1 / total - 1.0), found.done


minimax_one = one_lane(minimax)
