"""Compiled code with lanes along the last axis, called one lane at a time from code that is mapped over lanes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.custom_batching import custom_vmap


def one_lane(solve: Callable[..., Any]) -> Callable[..., Any]:
    """Make a function of one lane from a function of many, whose arguments and results have lanes last.

    Under `jax.vmap` all lanes go to `solve` together, instead of one by one with lanes first, which is several times
    slower on a CPU where the other axes are short.
    """

    @custom_vmap
    def single(*arguments: Any) -> Any:
        found = solve(*jax.tree.map(lambda x: jnp.asarray(x)[..., None], arguments))
        return jax.tree.map(lambda x: x[..., 0], found)

    @single.def_vmap
    def _(size: int, batched: Any, *arguments: Any) -> tuple[Any, Any]:
        def lanes_last(x: Any, mapped: bool) -> Any:
            x = jnp.asarray(x)
            return jnp.moveaxis(x, 0, -1) if mapped else jnp.broadcast_to(x[..., None], (*x.shape, size))

        found = solve(*jax.tree.map(lanes_last, arguments, tuple(batched)))
        found = jax.tree.map(lambda x: jnp.moveaxis(x, -1, 0), found)
        return found, jax.tree.map(lambda _: True, found)

    return single
