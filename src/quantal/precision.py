"""How our programs are compiled: double precision inside, the host program's JAX settings untouched outside."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from quantal.interpret import Meter, OverBudgetError, Program, UnsupportedError

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
ALLOWANCE = 600_000.0
"""Microseconds, estimated, that a program may be interpreted for before it is compiled: about half of what compiling
costs, so that nobody ever waits much longer than with the better of the two."""
LARGEST_PASS = 15_000.0
"""A program that costs more than this in one pass is compiled at once."""

_compile_only: ContextVar[bool] = ContextVar("compile_only", default=False)


@contextmanager
def compiled() -> Generator[None]:
    """Compile every program at its first call, as a long-running service wants it, and benchmarks of warm calls."""
    token = _compile_only.set(True)
    try:
        yield
    finally:
        _compile_only.reset(token)


def one_blas_thread() -> AbstractContextManager[object]:
    """Keep NumPy's BLAS to one thread.

    On matrices of a few hundred rows two threads mostly wait for each other; on a busy machine, for milliseconds.
    """
    return _blas().limit(limits=1, user_api="blas")


@functools.cache
def _blas() -> Any:
    from threadpoolctl import ThreadpoolController  # late: it looks through every loaded library

    return ThreadpoolController()


@dataclass
class _Account:
    """One program for one set of shapes: what is left of its allowance."""

    program: Program | None
    out: Any
    left: float


def quick_jit(function: Callable[..., T], static_argnames: str | tuple[str, ...] = ()) -> Callable[..., T]:
    """`jax.jit` for large programs on small arrays: their user waits for the compiler, not for the program.

    On a CPU the first calls are evaluated by NumPy (`quantal.interpret`), from the same traced program; it is compiled
    once they have cost about half of what compiling would. Under a JAX transformation it is the plain function.
    """
    static = (static_argnames,) if isinstance(static_argnames, str) else static_argnames
    jitted = jax.jit(function, compiler_options=QUICK, static_argnames=static)
    signature = inspect.signature(function)
    accounts: dict[Any, _Account] = {}

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> T:
        given = signature.bind(*args, **kwargs).arguments  # in the order of the signature, and so of the program
        chosen = tuple(given.get(name) for name in static)
        leaves, tree = jax.tree.flatten([v for k, v in given.items() if k not in static])
        if any(isinstance(x, Tracer) for x in leaves):
            return function(*args, **kwargs)
        if _compile_only.get():
            return jitted(*args, **kwargs)
        # Python numbers become floats of the precision in force.
        kinds = tuple((getattr(x, "shape", ()), getattr(x, "dtype", type(x))) for x in leaves)
        key = (tree, chosen, kinds, jax.dtypes.canonicalize_dtype(float))
        account = accounts.get(key)
        if account is None:
            account = accounts[key] = _open(jitted, args, kwargs)
        if account.program is None:
            return jitted(*args, **kwargs)
        meter = Meter(account.left)
        try:
            with np.errstate(all="ignore"):  # compiled code is silent too
                found = account.program(meter, *map(_host, leaves))
        except OverBudgetError:
            account.program = None
            return jitted(*args, **kwargs)
        account.left = meter.left
        return jax.tree.unflatten(account.out, jax.device_put(found))

    return call


def _open(jitted: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> _Account:
    if jax.default_backend() != "cpu":
        return _Account(None, None, 0.0)
    traced = jitted.trace(*args, **kwargs)
    try:
        program = Program(traced.jaxpr)
    except UnsupportedError:
        return _Account(None, None, 0.0)
    return _Account(program if program.cost <= LARGEST_PASS else None, jax.tree.structure(traced.out_info), ALLOWANCE)


def _host(leaf: Any) -> np.ndarray:
    array = np.asarray(leaf)
    wanted = jnp.result_type(leaf)
    return array if array.dtype == wanted else array.astype(wanted)
