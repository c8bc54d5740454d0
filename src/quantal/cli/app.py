"""How commands begin and end: the application, exit codes, the cache of compiled programs."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from quantal.errors import QuantalError

DONE, NOT_CONVERGED, BAD_INPUT = 0, 1, 2

CACHE_NOTE = (
    "Compiled programs are kept in the user's cache directory, so that only the first run waits for the compiler; "
    "QUANTAL_CACHE_DIR names another directory."
)

ORDER = ("games", "solve", "view", "path", "simulate", "infer", "train", "compare", "reproduce", "demo")
"""Of the commands in --help: as a newcomer meets them."""


class InOrder(TyperGroup):
    """Commands as `ORDER` has them."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the commands."""
        return sorted(super().list_commands(ctx), key=ORDER.index)


app = typer.Typer(
    cls=InOrder,
    help="Logit Markov quantal response equilibria: solve a game, follow its branch, play it, check the paper.",
    epilog=f"Example: quantal solve pursuit-three --state 0,8,4\n\n{CACHE_NOTE}\n\n"
    "Exit codes: 0 done, 1 not converged, 2 bad input.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line."""
    turn_on_cache()
    app(prog_name="quantal")


def turn_on_cache() -> None:
    """Keep what JAX compiles between runs. Called here alone: a library must not decide this for its host program."""
    given = os.environ.get("QUANTAL_CACHE_DIR")
    if given:
        directory = Path(given)
    else:
        import platformdirs

        directory = platformdirs.user_cache_path("quantal")
    directory = directory.expanduser() / "jax"
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if given:
            print(
                f"quantal: QUANTAL_CACHE_DIR={given}: cannot be used ({error.strerror}); not caching", file=sys.stderr
            )
        return
    settings: dict[str, Any] = {
        "jax_compilation_cache_dir": str(directory),
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
    }
    for name, setting in settings.items():
        if given:
            os.environ[name.upper()] = str(setting)
        else:
            os.environ.setdefault(name.upper(), str(setting))
    if "jax" in sys.modules:  # it has read the environment already
        import jax

        for name, setting in settings.items():
            jax.config.update(name, setting)


def command(example: str) -> Callable[[Callable[..., int]], Callable[..., None]]:
    """Make a command of a function that returns an exit code; errors become one sentence and exit code 2."""

    def register(function: Callable[..., int]) -> Callable[..., None]:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> None:
            try:
                code = function(*args, **kwargs)
            except QuantalError as error:
                print(f"quantal: {' '.join(str(error).split())}", file=sys.stderr)
                code = BAD_INPUT
            except BrokenPipeError:  # the reader has seen enough: | head
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                code = DONE
            except OSError as error:
                print(f"quantal: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
                code = BAD_INPUT
            raise typer.Exit(code)

        return app.command(epilog=example)(run)

    return register


def _version(asked: bool) -> bool:
    if asked:
        import quantal

        print(f"quantal {quantal.__version__}")
        raise typer.Exit
    return asked


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass
