"""The command line: ``quantal games | solve | view | path | simulate | train | compare | reproduce | demo``.

Every command prints tables for people, or with ``--json`` one JSON object for machines (keys in docs/command-line.md),
and ends with 0 done, 1 not converged, 2 bad input. What is said on the way goes to standard error.

Modules that take long to load (JAX, matplotlib, pandas) are imported where they are used, not above: a user who asks
for help should not wait for them.
"""

from __future__ import annotations

import functools
import os
import shlex
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal, TypedDict

import typer
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from quantal.errors import FileError, ParameterError, QuantalError
from quantal.game import MarkovGame
from quantal.scene import Scene
from quantal.solution import Solution

DONE, NOT_CONVERGED, BAD_INPUT = 0, 1, 2
PIPED_WIDTH = 120
"""Columns of a table that goes into a file or a pipe."""
PATIENCE = 1.0
"""Seconds before a progress bar appears."""

ValueRule = Literal["expected", "soft", "greedy"]
Method = Literal["auto", "picard", "newton", "continuation"]
Order = Literal["jacobi", "paper"]
Play = Literal["sampled", "most-probable"]
What = Literal["fig3", "fig4", "one-step", "pursuit-scores", "grid-table", "learners", "all"]

CACHE_NOTE = (
    "Compiled programs are kept in the user's cache directory, so that only the first run waits for the compiler; "
    "QUANTAL_CACHE_DIR names another directory."
)

app = typer.Typer(
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


# ---------------------------------------------------------------------- how commands end and what they print


def _command(example: str) -> Callable[[Callable[..., int]], Callable[..., None]]:
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


def _screen() -> Console:
    """Standard output for people; a file or a pipe is as wide as a table needs, and without colours."""
    screen = Console(highlight=False, markup=False, emoji=False)
    if not screen.is_terminal and "COLUMNS" not in os.environ:
        screen.width = PIPED_WIDTH
    return screen


def _show(*parts: RenderableType) -> None:
    screen = _screen()
    for part in parts:
        screen.print(part)


def _tell(json: bool, record: dict[str, Any], *parts: RenderableType) -> None:
    """Print a record as JSON, or the parts for people."""
    if json:
        from quantal.listing import to_json

        print(to_json(record))
    else:
        _show(*parts)


class _Waiting:
    """A progress bar on standard error for what takes over a second; silent in a pipe and with --json."""

    def __init__(self, what: str, *, quiet: bool) -> None:
        screen = Console(stderr=True)
        self._bar: Progress | None = None
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._share: float | None = None
        if screen.is_terminal and not quiet:
            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=screen, transient=True)
            self._task = self._bar.add_task(what, total=None)

    def __call__(self, share: float) -> None:
        """Set the share done."""
        if self._bar is not None:
            self._bar.update(self._task, total=1.0, completed=share)

    def __enter__(self) -> _Waiting:
        self.began = time.perf_counter()
        if self._bar is not None:
            self._timer = threading.Timer(PATIENCE, self._appear)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self.began
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            if self._bar is not None:
                self._bar.stop()
                self._bar = None

    def _appear(self) -> None:
        with self._lock:
            if self._bar is not None:
                self._bar.start()


# ---------------------------------------------------------------------- what commands are given


@dataclass(frozen=True)
class _Target:
    """A game, the setting that suits it, and the solution if a file was named."""

    game: MarkovGame
    beta: float | Sequence[float]
    horizon: int | None
    discount: float | Sequence[float] | None
    value: str
    solution: Solution | None


def _target(name: str) -> _Target:
    scene = _scene(name)
    if scene is not None:
        game = _exact(scene)
        return _Target(game, scene.beta_of(game), scene.horizon, None, scene.value, None)
    if name.endswith(".nc") or os.sep in name:
        from quantal import store

        solution = store.load(name)
        p = solution.parameters
        discount = None if p.horizon is not None and set(p.discount) == {1.0} else p.discount
        return _Target(solution.game, p.beta, p.horizon, discount, p.value, solution)
    from quantal import games

    game = games.build(name)
    entry = games.CATALOGUE[name]
    return _Target(game, entry.beta, entry.horizon, entry.discount, "expected", None)


def _scene(name: str) -> Scene | None:
    """Read the scene of this name, or None if it is not the name of a scene."""
    from quantal import scenefile

    return scenefile.read_scene(name) if name.endswith(".toml") or name in scenefile.shipped() else None


def _exact(scene: Scene) -> MarkovGame:
    from quantal.scene import EXACT_ENTRIES

    if scene.exact_entries > EXACT_ENTRIES:
        raise ParameterError(
            f"{scene.name}: this command needs the exact game, which has {scene.exact_entries:,} joint positions times "
            f"joint actions: expected at most {EXACT_ENTRIES:,}. Use quantal solve, which plays it as a crowd"
        )
    return scene.exact()


class _Setting(TypedDict):
    beta: Any
    horizon: int | None
    discount: Any
    value: str


def _setting(
    target: _Target, beta: str | None, horizon: int | None, discount: str | None, value: str | None
) -> _Setting:
    """Take what was asked for; a horizon or a discount given replaces both of the game's own."""
    if horizon is None and discount is None:
        length = (target.horizon, target.discount)
    else:
        length = (horizon, None if discount is None else _numbers("--discount", discount))
    return {
        "beta": target.beta if beta is None else _numbers("--beta", beta),
        "horizon": length[0],
        "discount": length[1],
        "value": target.value if value is None else value,
    }


def _numbers(option: str, text: str) -> float | list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise ParameterError(
            f"{option} {text!r}: expected a number, or one per agent with commas between them"
        ) from None
    return numbers[0] if len(numbers) == 1 else numbers


MOST_BETAS = 100_000


def _betas(text: str) -> list[float]:
    """Read 0.1,0.5,1 or first:last:count."""
    import numpy as np

    try:
        if ":" not in text:
            return [float(part) for part in text.split(",")]
        first, last, count = text.split(":")
        if not 1 <= int(count) <= MOST_BETAS:
            raise ValueError
        return [float(b) for b in np.linspace(float(first), float(last), int(count))]
    except ValueError:
        raise ParameterError(
            f"--betas {text!r}: expected numbers with commas between them, 0.1,0.5,1, or first:last:count, 0:10:101 "
            f"(at most {MOST_BETAS:,} of them)"
        ) from None


def _states(solution: Solution, given: Sequence[str]) -> list[tuple[int, ...]]:
    from quantal import report

    if not given:
        return [report.telling_state(solution)]
    return [report.parse_state(solution.game, text) for text in given]


def _check_time(when: int, horizon: int | None) -> None:
    last = 0 if horizon is None else max(0, horizon - 1)
    if not 0 <= when <= last:
        raise ParameterError(f"--time {when}: expected 0..{last}, decisions counted from 0")


def _check_target_file(option: str, path: Path | None, endings: tuple[str, ...]) -> None:
    """Refuse a file that could not be written, before anyone waits for what goes into it."""
    if path is None:
        return
    if path.suffix.lower() not in endings:
        raise ParameterError(f"{option} {path}: expected a name that ends in {' or '.join(endings)}")
    if not path.parent.is_dir():
        raise FileError(f"{option} {path}: there is no directory {path.parent}. Create it, or choose another")


PICTURE_ENDINGS = (".png", ".svg", ".pdf")

TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME|SCENE.toml|FILE.nc",
        help="A game or scene of `quantal games`, a scene file, or a solution saved by --save.",
    ),
]
BetaOption = Annotated[
    str | None, typer.Option("--beta", help="Precision: a number, or one per agent: 1,2. (Default: the game's own.)")
]
HorizonOption = Annotated[
    int | None,
    typer.Option(
        "--horizon",
        help="Number of decisions (MGE-F), undiscounted unless --discount is given too. (Default: the game's own.)",
    ),
]
DiscountOption = Annotated[
    str | None, typer.Option("--discount", help="Play without end (MGE-I); with --horizon, a discounted finite one.")
]
ValueOption = Annotated[ValueRule | None, typer.Option("--value", help="Value rule. (Default: expected.)")]
StateOption = Annotated[
    list[str] | None,
    typer.Option(
        "--state",
        help="Show policies at this state, like 0,8,4; may be repeated. (Default: the likeliest start; of equally "
        "likely ones, where play is least uniform.)",
    ),
]
FigureOption = Annotated[Path | None, typer.Option("--figure", help="Draw it: .png, .svg or .pdf.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else.")]


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


# ---------------------------------------------------------------------- commands


@_command("Example: quantal games pursuit-three")
def games(
    name: Annotated[str | None, typer.Argument(help="Show this one, with its map.")] = None, json: JsonOption = False
) -> int:
    """List the games that come with Quantal, or show one."""
    from quantal import games, listing, scenefile

    if name is None:
        scenes = {name: scenefile.heading(name) for name in scenefile.shipped()}
        record = {**listing.catalogue_record(games.CATALOGUE), **listing.scenes_record(scenes)}
        _tell(json, record, listing.catalogue(games.CATALOGUE), listing.scenes(scenes))
        return DONE
    scene = _scene(name)
    if scene is not None:
        _tell(json, {"scene": scene.record(), "exact_entries": scene.exact_entries}, listing.scene_card(scene))
        return DONE
    game = games.build(name)
    entry = games.CATALOGUE[name]
    _tell(json, listing.game_record(name, entry, game), listing.game_card(name, entry, game))
    return DONE


@_command("Example: quantal solve pursuit-three --state 0,8,4 --certificate --figure policy.png")
def solve(
    target: TargetArgument,
    beta: BetaOption = None,
    horizon: HorizonOption = None,
    discount: DiscountOption = None,
    value: ValueOption = None,
    method: Annotated[
        Method, typer.Option(help="auto always finds the principal branch, or proves uniqueness.")
    ] = "auto",
    damping: Annotated[float, typer.Option(help="Weight of the new Q in equation (14), for --method picard.")] = 1.0,
    tol: Annotated[
        float | None, typer.Option(help="Accepted residual. (Default: 1e-12, more for very large payoffs.)")
    ] = None,
    max_steps: Annotated[int, typer.Option(help="Most plain iterations (per stage).")] = 10_000,
    order: Annotated[Order, typer.Option(help="paper: Algorithm 1's sweeps, opponents first.")] = "jacobi",
    restarts: Annotated[int, typer.Option(help="Look for other equilibria from this many random starts.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the random starts.")] = 0,
    state: StateOption = None,
    when: Annotated[int, typer.Option("--time", help="Show policies at this decision, counted from 0.")] = 0,
    certificate: Annotated[
        bool, typer.Option("--certificate", help="What can be checked: residual, bounds, exploitability.")
    ] = False,
    save: Annotated[Path | None, typer.Option(help="Keep the solution (.nc).")] = None,
    exact: Annotated[bool, typer.Option("--exact", help="Play a scene on joint positions, whatever its size.")] = False,
    crowd: Annotated[bool, typer.Option("--crowd", help="Play a scene as a crowd (MGE-FB), however small.")] = False,
    figure: FigureOption = None,
    animation: Annotated[Path | None, typer.Option(help="Show a scene step by step: .gif.")] = None,
    json: JsonOption = False,
) -> int:
    """Find a logit Markov quantal response equilibrium."""
    _check_target_file("--save", save, (".nc",))
    _check_target_file("--figure", figure, PICTURE_ENDINGS)
    _check_target_file("--animation", animation, (".gif",))
    scene = _scene(target)
    if scene is not None:
        unusable = {
            "--restarts": bool(restarts),
            "--state": bool(state),
            "--time": when != 0,
            "--save": save is not None,
        }
        unusable |= {"--discount": discount is not None, "--certificate": certificate, "--order": order != "jacobi"}
        _refuse("not for a scene", unusable)
        play = _which_game(exact, crowd)
        how: dict[str, Any] = {"method": method, "damping": damping, "tol": tol, "max_steps": max_steps}
        return _solve_scene(scene, play, beta, horizon, value, how, figure, animation, json)
    _refuse("for a scene only", {"--exact": exact, "--crowd": crowd, "--animation": animation is not None})
    given = _target(target)
    setting = _setting(given, beta, horizon, discount, value)
    _check_time(when, setting["horizon"])

    from quantal import report
    from quantal.solve import solve

    for text in state or ():
        report.parse_state(given.game, text)
    with _Waiting(f"solving {given.game.name or target}", quiet=json) as waiting:
        solution = solve(
            given.game,
            **setting,
            method=method,
            damping=damping,
            tol=tol,
            max_steps=max_steps,
            order=order,
            restarts=restarts,
            seed=seed,
            progress=waiting,
        )
    states = _states(solution, state or ())
    record = report.solution_record(solution, states, when, seconds=waiting.seconds)
    parts: list[RenderableType] = [report.summary(solution, waiting.seconds)]
    parts += [report.policies(solution, s, when) for s in states]
    parts += [table for s in states for table in report.others(solution, s, when)]
    if certificate:
        with _Waiting("certifying", quiet=json):
            proof = solution.certificate
        record["certificate"] = report.certificate_record(proof)
        parts.append(report.certificate(proof))
    written: list[str] = []
    if save is not None:
        from quantal import store

        store.save(solution, save)
        written.append(str(save))
    if figure is not None:
        from quantal import figures

        figures.save(figures.policy(solution, states[0], when), figure)
        written.append(str(figure))
    record["files"] = written
    parts += [f"written: {', '.join(written)}"] * bool(written)
    _tell(json, record, *parts)
    return DONE if solution.converged else NOT_CONVERGED


def _refuse(when: str, given: dict[str, bool]) -> None:
    for option, asked in given.items():
        if asked:
            raise ParameterError(f"{option}: {when}. Leave it out")


def _which_game(exact: bool, crowd: bool) -> Literal["auto", "exact", "crowd"]:
    if exact and crowd:
        raise ParameterError("--exact --crowd: expected at most one of them. Leave one out")
    return "exact" if exact else "crowd" if crowd else "auto"


def _solve_scene(
    scene: Scene,
    play: Literal["auto", "exact", "crowd"],
    beta: str | None,
    horizon: int | None,
    value: str | None,
    how: dict[str, Any],
    figure: Path | None,
    animation: Path | None,
    json: bool,
) -> int:
    """Solve a scene, and say when everyone arrives, where they wait and whom they meet."""
    from quantal import scene_report
    from quantal.journeys import journeys
    from quantal.solve import solve

    with _Waiting(f"solving {scene.title or scene.name}", quiet=json) as waiting:
        game = scene.game(play)
        solution = solve(
            game,
            beta=scene.beta_of(game) if beta is None else _numbers("--beta", beta),
            horizon=scene.horizon if horizon is None else horizon,
            value=scene.value if value is None else value,
            **how,
            progress=waiting,
        )
        found = journeys(scene, solution)
    record = scene_report.scene_record(found, waiting.seconds)
    parts: list[RenderableType] = [
        scene_report.summary(found, waiting.seconds),
        scene_report.journeys(found),
        scene_report.meetings(found),
    ]
    written: list[str] = []
    with _Waiting("drawing", quiet=json):
        if figure is not None:
            from quantal import crowd_figures, figures

            figures.save(crowd_figures.occupancy(found), figure)
            written.append(str(figure))
        if animation is not None:
            from quantal import crowd_figures

            crowd_figures.animate(found, animation)
            written.append(str(animation))
    record["files"] = written
    parts += [f"written: {', '.join(written)}"] * bool(written)
    _tell(json, record, *parts)
    return DONE if solution.converged else NOT_CONVERGED


@_command("Example: quantal view junction --out junction.html")
def view(
    target: Annotated[
        str, typer.Argument(metavar="SCENE", help="A scene of `quantal games`, or a scene file (.toml).")
    ],
    out: Annotated[Path | None, typer.Option(help="The page (.html). (Default: the scene's name, here.)")] = None,
    beta: BetaOption = None,
    horizon: Annotated[int | None, typer.Option(help="Number of decisions. (Default: the scene's own.)")] = None,
    value: ValueOption = None,
    damping: Annotated[float, typer.Option(help="Weight of the new occupancies, to begin with.")] = 1.0,
    certificate: Annotated[
        bool, typer.Option("--certificate/--no-certificate", help="Say what is certain; takes about as long again.")
    ] = True,
    open_it: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Show it in a browser. (Default: in a terminal.)")
    ] = None,
    json: JsonOption = False,
) -> int:
    """Solve a scene as a crowd, and write a page that shows it: a map, a time slider, policies where you point."""
    scene = _scene(target)
    if scene is None:
        raise ParameterError(
            f"{target}: quantal view draws scenes, which it plays as crowds: expected a scene file (.toml) or one of "
            "the scenes of quantal games. For a game, or a solution of one, use quantal solve --figure"
        )
    page_file = Path(f"{scene.name}.html") if out is None else out
    _check_target_file("--out", page_file, (".html",))

    import quantal
    from quantal import page
    from quantal.solve import solve

    with _Waiting(f"solving {scene.title or scene.name}", quiet=json) as waiting:
        solution = solve(
            scene.crowd(),
            beta=scene.beta if beta is None else _numbers("--beta", beta),
            horizon=scene.horizon if horizon is None else horizon,
            value=scene.value if value is None else value,
            damping=damping,
            progress=waiting,
        )
    asked = {"--beta": beta, "--horizon": horizon, "--value": value, "--damping": damping if damping != 1 else None}
    options = [f"{name} {given}" for name, given in asked.items() if given is not None]
    command = shlex.join(["quantal", "view", Path(target).name, *" ".join(options).split()])
    with _Waiting("drawing", quiet=json) as drawing:
        page.write(
            solution,
            page_file,
            scene=scene,
            certificate=certificate,
            made=f"Quantal {quantal.__version__}: {command}",
            progress=drawing,
        )
    parts = [str(solution.status)] * (not solution.converged) + [f"written: {page_file}"]
    if (sys.stdout.isatty() and not json) if open_it is None else open_it:
        import webbrowser

        if not webbrowser.open(page_file.resolve().as_uri()):
            parts.append("No browser could be started: open the page by hand.")
    record = {
        "scene": scene.name,
        "converged": solution.converged,
        "status": solution.status,
        "advice": str(solution.status),
        "residual": solution.residual,
        "steps": solution.steps,
        "seconds": waiting.seconds + drawing.seconds,
        "files": [str(page_file)],
    }
    _tell(json, record, *parts)
    return DONE if solution.converged else NOT_CONVERGED


@_command("Example: quantal path stag-hunt --betas 0:4:41 --figure branch.png")
def path(
    target: TargetArgument,
    betas: Annotated[str, typer.Option(help="Precisions: 0.1,0.5,1, or first:last:count.")] = "0:10:21",
    horizon: HorizonOption = None,
    discount: DiscountOption = None,
    value: ValueOption = None,
    tol: Annotated[
        float | None, typer.Option(help="Accepted residual. (Default: 1e-12, more for very large payoffs.)")
    ] = None,
    state: StateOption = None,
    every_state: Annotated[bool, typer.Option("--every-state", help="All states, in --out and --json.")] = False,
    out: Annotated[Path | None, typer.Option(help="Write every point (.csv).")] = None,
    figure: FigureOption = None,
    json: JsonOption = False,
) -> int:
    """Follow the principal branch over many precisions, alike for all agents, through its folds."""
    _check_target_file("--out", out, (".csv",))
    _check_target_file("--figure", figure, PICTURE_ENDINGS)
    given = _target(target)
    setting = _setting(given, None, horizon, discount, value)
    levels = _betas(betas)

    import numpy as np

    from quantal import listing, report
    from quantal.path import solve_path

    for text in state or ():
        report.parse_state(given.game, text)
    with _Waiting(f"following {given.game.name or target}", quiet=json) as waiting:
        found = solve_path(
            given.game,
            levels,
            horizon=setting["horizon"],
            discount=setting["discount"],
            value=setting["value"],
            tol=tol,
            progress=waiting,
        )
    states = _states(found[int(np.argmax(levels))], state or ())
    kept = [tuple(map(int, s)) for s in np.ndindex(*given.game.state_shape)] if every_state else states
    record = {**report.branch_record(found, kept), "seconds": waiting.seconds}
    parts = [report.branch(found, s, _screen().width) for s in states]
    written: list[str] = []
    if out is not None:
        listing.write_csv(out, report.BRANCH_COLUMNS, report.branch_rows(found, kept))
        written.append(str(out))
    if figure is not None:
        from quantal import figures

        figures.save(figures.branch(found, states[0]), figure)
        written.append(str(figure))
    record["files"] = written
    parts += [f"written: {', '.join(written)}"] * bool(written)
    _tell(json, record, *parts)
    return DONE if found.converged else NOT_CONVERGED


@_command("Example: quantal simulate pursuit-two --episodes 10000 --out games.parquet")
def simulate(
    target: TargetArgument,
    episodes: Annotated[int, typer.Option(min=1, help="How many.")] = 1_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same episodes.")] = 0,
    steps: Annotated[
        int | None,
        typer.Option(help="Decisions per episode. (Default: the horizon; 100 of endless play, 1 of one-shot.)"),
    ] = None,
    play: Annotated[Play, typer.Option(help="Draw from the policies, or take the most probable action.")] = "sampled",
    beta: BetaOption = None,
    horizon: HorizonOption = None,
    discount: DiscountOption = None,
    value: ValueOption = None,
    out: Annotated[Path | None, typer.Option(help="Write the episodes (.csv or .parquet).")] = None,
    json: JsonOption = False,
) -> int:
    """Play a game, and compare the scores with their exact expectations."""
    _check_target_file("--out", out, (".csv", ".parquet"))
    given = _target(target)

    from quantal import report, rollout
    from quantal.solve import solve

    solution = given.solution
    how: rollout.Play = "sampled" if play == "sampled" else "most_probable"
    with _Waiting(f"playing {given.game.name or target}", quiet=json) as waiting:
        if solution is None or (beta, horizon, discount, value) != (None, None, None, None):
            setting = _setting(given, beta, horizon, discount, value)
            solution = solve(given.game, **setting, progress=waiting)
        if steps is None and solution.horizon is None:
            steps = 1 if set(solution.parameters.discount) == {0.0} else 100
        played = rollout.simulate(given.game, solution, episodes, seed, steps=steps, play=how)
        exact = rollout.evaluate(given.game, solution, steps=steps, play=how)
        if out is not None:
            (played.to_csv if out.suffix.lower() == ".csv" else played.to_parquet)(out)
    rows = report.score_rows(played, exact)
    record = {
        "game": given.game.name,
        "converged": solution.converged,
        "episodes": episodes,
        "steps": exact.steps,
        "seed": seed,
        "play": play,
        "discount": exact.discount,
        "scores": rows,
        "seconds": waiting.seconds,
        "files": [str(out)] if out is not None else [],
    }
    parts: list[RenderableType] = [report.scores(played, exact)]
    parts += [f"The policies that were played did not converge. {solution.status}"] * (not solution.converged)
    parts += [f"written: {out}"] * (out is not None)
    _tell(json, record, *parts)
    return DONE if solution.converged else NOT_CONVERGED


def _learning_length(steps: int | None, episodes: int | None) -> dict[str, int | None]:
    """20,000 steps unless told otherwise."""
    if steps is None and episodes is None:
        steps = 20_000
    return {"steps": steps, "episodes": episodes}


@_command("Example: quantal train grid-two --method uce-q --steps 40000 --certificate")
def train(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A game of `quantal games`.")],
    method: Annotated[
        str,
        typer.Option(
            help="q-learning, uce-q, ece-q, rce-q, lce-q, nash-q, friend-q, foe-q, jal, fmq, nscp or fictitious-play."
        ),
    ] = "q-learning",
    steps: Annotated[int | None, typer.Option(min=1, help="How long to learn. (Default: 20000.)")] = None,
    episodes: Annotated[int | None, typer.Option(min=1, help="Or: how many episodes.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same run.")] = 0,
    discount: Annotated[float | None, typer.Option(help="Below 1. (Default: 0.9; 0 for one-shot games.)")] = None,
    episode_length: Annotated[
        int | None, typer.Option("--episode-length", min=1, help="Cut episodes here. (Default: the horizon, or 100.)")
    ] = None,
    state: StateOption = None,
    certificate: Annotated[bool, typer.Option("--certificate", help="Judge it: exploitability, signals.")] = False,
    json: JsonOption = False,
) -> int:
    """Let agents learn a game by play, and show what they learned."""
    given = _target(name)

    from quantal import learning_report, report
    from quantal.baselines import comparison

    length = episode_length or _episode(given)
    learner = comparison.learner_named(method)
    states = [report.parse_state(given.game, text) for text in state or ()] or [learning_report.start_state(given.game)]
    with _Waiting(f"learning {given.game.name or name}", quiet=json) as waiting:
        how: dict[str, Any] = {
            **_learning_length(steps, episodes),
            "discount": discount,
            "episode_length": length,
        }
        if method != "fictitious-play":
            how["progress"] = waiting
        (found,) = comparison.learn(given.game, learner, (seed,), **how)
        scores = comparison.scores(found, length)
    record = learning_report.learned_record(found, scores, length, states, waiting.seconds)
    parts: list[RenderableType] = [learning_report.summary(found, scores, length)]
    parts += [learning_report.policies(found, at) for at in states]
    if certificate:
        with _Waiting("judging", quiet=json):
            proof = found.certificate
        record["certificate"] = learning_report.judgement_record(proof)
        parts.append(str(proof))
    _tell(json, record, *parts)
    return DONE if found.converged else NOT_CONVERGED


def _episode(given: _Target) -> int:
    """Decisions of an episode: the game's own horizon, long enough to arrive where there is a goal."""
    if given.game.number_of_states == 1:
        return 1
    if given.horizon is not None and not given.game.absorbing.any():
        return given.horizon
    return 100


@_command("Example: quantal compare grid-two --methods q-learning,uce-q,lce-q --seeds 20 --figure learners.png")
def compare(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A game of `quantal games`.")],
    methods: Annotated[
        str, typer.Option(help="Names as for `quantal train`, with commas between them.")
    ] = "q-learning,uce-q,ece-q,rce-q,lce-q",
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, counted from 0.")] = 10,
    steps: Annotated[int | None, typer.Option(min=1, help="How long to learn. (Default: 20000.)")] = None,
    episodes: Annotated[int | None, typer.Option(min=1, help="Or: how many episodes.")] = None,
    discount: Annotated[float | None, typer.Option(help="Below 1. (Default: 0.9; 0 for one-shot games.)")] = None,
    episode_length: Annotated[
        int | None, typer.Option("--episode-length", min=1, help="Cut episodes here. (Default: the horizon, or 100.)")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the table (.csv).")] = None,
    figure: FigureOption = None,
    json: JsonOption = False,
) -> int:
    """Let several methods learn the same game, over many seeds, and judge them alike."""
    _check_target_file("--out", out, (".csv",))
    _check_target_file("--figure", figure, PICTURE_ENDINGS)
    given = _target(name)

    from quantal import comparisons, learning_report, listing
    from quantal.baselines import comparison

    with _Waiting(f"learning {given.game.name or name}", quiet=json) as waiting:
        found = comparison.compare(
            given.game,
            [part.strip() for part in methods.split(",")],
            range(seeds),
            **_learning_length(steps, episodes),
            discount=discount,
            episode_length=episode_length or _episode(given),
            events=comparisons.events(name, given.game),
            progress=waiting,
        )
    written: list[str] = []
    if out is not None:
        listing.write_csv(out, learning_report.CONTEST_COLUMNS, learning_report.contest_rows(found))
        written.append(str(out))
    if figure is not None:
        from quantal import figures

        figures.save(figures.contest(found), figure)
        written.append(str(figure))
    record = {**learning_report.contest_record(found), "seconds": waiting.seconds, "files": written}
    parts: list[RenderableType] = [learning_report.contest(found)]
    parts += [f"written: {', '.join(written)}"] * bool(written)
    _tell(json, record, *parts)
    return DONE if all(row.settled == 1.0 for row in found.contestants) else NOT_CONVERGED


@_command("Example: quantal reproduce fig4 --out results")
def reproduce(
    what: Annotated[What, typer.Argument(help="Which experiment of the paper.")] = "all",
    out: Annotated[Path, typer.Option(help="Directory for the tables (CSV) and figures; created.")] = Path(
        "out/reproduce"
    ),
    json: JsonOption = False,
) -> int:
    """Do the paper's experiments again, each number beside the paper's."""
    from quantal import comparisons, figures, listing, report

    names = list(comparisons.ALL) if what == "all" else [what]
    out.mkdir(parents=True, exist_ok=True)
    records: list[dict[str, Any]] = []
    converged = True
    for name in names:
        with _Waiting(f"reproducing {name}", quiet=json) as waiting:
            found = comparisons.ALL[name](progress=waiting)
            picture = figures.reproduction(found)
        files = [out / f"{name}.csv", out / f"{name}.png", out / f"{name}.svg"]
        listing.write_csv(files[0], report.COMPARISON_COLUMNS, report.comparison_rows(found))
        for file in files[1:]:
            figures.save(picture, file)
        written = [str(file) for file in files]
        converged = converged and found.converged
        records.append({**report.reproduction_record(found), "seconds": waiting.seconds, "files": written})
        if not json:  # each as soon as it is there
            _show(report.reproduction(found), f"written: {', '.join(written)}", "")
    if json:
        print(listing.to_json({"converged": converged, "reproductions": records}))
    return DONE if converged else NOT_CONVERGED


NEXT = """\
Where to look next
  quantal games                                      games that come with Quantal
  quantal solve pursuit-three --state 0,8,4 --certificate
                                                     one equilibrium, and what is certain about it
  quantal view junction                              who drives when, as a page in the browser
  quantal path stag-hunt --betas 0:4:41 --figure branch.png
                                                     how play changes with precision, through folds
  quantal reproduce all                              every experiment of the paper
  README.md                                          a game of your own in a few lines"""


@_command("Example: quantal demo --out results")
def demo(
    out: Annotated[Path, typer.Option(help="Directory for the tables (CSV) and figures; created.")] = Path("out/demo"),
    json: JsonOption = False,
) -> int:
    """Show what Quantal does: the paper's Figure 4, and games that people played."""
    from quantal import experiments, figures, listing, report

    out.mkdir(parents=True, exist_ok=True)
    files = [out / name for name in ("fig4.csv", "fig4.png", "published-games.csv", "published-games.png")]
    with _Waiting("solving the three-player pursuit game", quiet=json) as first:
        found = experiments.figure_4(progress=first)
    listing.write_csv(files[0], report.COMPARISON_COLUMNS, report.comparison_rows(found))
    if not json:
        _show(report.reproduction(found), f"{first.seconds:.1f} s", "")
    with _Waiting("solving twelve published games", quiet=json) as second:
        published = experiments.published_games(progress=second)
    listing.write_csv(files[2], report.PUBLISHED_COLUMNS, report.published_rows(published))
    if not json:
        _show(report.published(published), f"{second.seconds:.1f} s", "")
    figures.save(figures.figure_4(found), files[1])
    figures.save(figures.published(published), files[3])
    written = [str(file) for file in files]
    record = {
        "converged": found.converged and published.converged,
        "figure_4": report.reproduction_record(found),
        "published_games": report.published_record(published),
        "seconds": first.seconds + second.seconds,
        "files": written,
    }
    _tell(json, record, f"written: {', '.join(written)}", "", NEXT)
    return DONE if record["converged"] else NOT_CONVERGED
