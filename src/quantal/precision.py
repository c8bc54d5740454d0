"""How our programs are compiled: double precision inside, the host program's JAX settings untouched outside."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax

P = ParamSpec("P")
T = TypeVar("T")


def double_precision(function: Callable[P, T]) -> Callable[P, T]:
    """Run a function with 64-bit JAX types; the setting outside is what it was, before and after."""

    @functools.wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        with jax.enable_x64(True):
            return function(*args, **kwargs)

    return wrapped


QUICK = {"xla_backend_optimization_level": 1, "xla_cpu_use_fusion_emitters": False}
"""For programs that run for milliseconds and whose time goes into LAPACK: a third to an eighth of the compile time."""


def quick_jit(function: Callable[..., T], **options: Any) -> Callable[..., T]:
    """`jax.jit` for large programs on small arrays: compiling, not running, is what their user waits for."""
    return jax.jit(function, compiler_options=QUICK, **options)
