"""``quantal view``: a page that shows what was computed."""

from __future__ import annotations

import contextlib
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from quantal.cli.app import DONE, NOT_CONVERGED, command
from quantal.cli.given import (
    BetaOption,
    DiscountOption,
    HorizonOption,
    JsonOption,
    TargetArgument,
    ValueOption,
    betas_from,
    check_writable,
    numbers_from,
    read_target,
    refuse,
    scene_named,
    setting_for,
)
from quantal.cli.output import Waiting, tell
from quantal.crowds.solution import CrowdSolution
from quantal.errors import FileError, ParameterError
from quantal.scenes.scene import Scene


@dataclass(frozen=True)
class _Asked:
    """Options that change what is solved, as they were given."""

    beta: str | None
    betas: str | None
    horizon: int | None
    discount: str | None
    value: str | None
    damping: float

    def given(self) -> dict[str, str]:
        """By the names that they have on the command line."""
        options = {
            "--beta": self.beta,
            "--betas": self.betas,
            "--horizon": self.horizon,
            "--discount": self.discount,
            "--value": self.value,
            "--damping": f"{self.damping:g}" if self.damping != 1 else None,
        }
        return {name: str(text) for name, text in options.items() if text is not None}


@command("Example: quantal view stag-hunt --betas 0:4:41 --out stag-hunt.html")
def view(
    target: TargetArgument,
    out: Annotated[Path | None, typer.Option(help="The page (.html). (Default: the game's name, here.)")] = None,
    beta: BetaOption = None,
    betas: Annotated[
        str | None, typer.Option(help="Follow the branch, with a slider along it: 0.1,0.5,1, or first:last:count.")
    ] = None,
    horizon: HorizonOption = None,
    discount: DiscountOption = None,
    value: ValueOption = None,
    damping: Annotated[float, typer.Option(help="Weight of what is new, to begin with.")] = 1.0,
    exact: Annotated[bool, typer.Option("--exact", help="Play a scene on joint positions, not as a crowd.")] = False,
    certificate: Annotated[
        bool, typer.Option("--certificate/--no-certificate", help="Say what is certain; takes about as long again.")
    ] = True,
    open_it: Annotated[
        bool | None, typer.Option("--open/--no-open", help="Show it in a browser. (Default: in a terminal.)")
    ] = None,
    json: JsonOption = False,
) -> int:
    """Write a page that shows a game, a scene, or a saved solution: a map, sliders, policies where you put agents."""
    scene = scene_named(target)
    page_file = Path(f"{Path(target).stem if scene is None else scene.name}.html") if out is None else out
    check_writable("--out", page_file, (".html",))
    asked = _Asked(beta, betas, horizon, discount, value, damping)
    refuse("for a scene only", {"--exact": exact and scene is None})
    as_crowd = scene if not exact and betas is None else None
    if as_crowd is not None:
        refuse("not for a scene that is played as a crowd", {"--discount": discount is not None})
    options = " ".join(f"{name} {text}" for name, text in asked.given().items()) + " --exact" * exact

    import quantal

    made = f"Quantal {quantal.__version__}: {shlex.join(['quantal', 'view', Path(target).name, *options.split()])}"
    with Waiting(f"solving {target if scene is None else scene.title or scene.name}", quiet=json) as waiting:
        solved = _read(target, asked) if scene is None else None
        if solved is None:
            solved = _solve_crowd(as_crowd, asked, waiting) if as_crowd else _solve_exact(target, asked, waiting)
    with Waiting("drawing", quiet=json) as drawing:
        if isinstance(solved, CrowdSolution):
            from quantal.pages import crowds
            from quantal.scenes.reading import parse_scene

            if scene is None and solved.game.source:
                with contextlib.suppress(FileError):  # the file holds its scene, with grounds and lanes
                    scene = parse_scene(solved.game.source, f"{Path(target).stem}.toml")
            crowds.write(solved, page_file, scene=scene, certificate=certificate, made=made, progress=drawing)
        else:
            from quantal.pages import games

            games.write(solved, page_file, certificate=certificate, made=made)
    record = _record(solved, scene)
    parts = [record["advice"]] * (not solved.converged) + [f"written: {page_file}"]
    if (sys.stdout.isatty() and not json) if open_it is None else open_it:
        import webbrowser

        if not webbrowser.open(page_file.resolve().as_uri()):
            parts.append("No browser could be started: open the page by hand.")
    tell(json, {**record, "seconds": waiting.seconds + drawing.seconds, "files": [str(page_file)]}, *parts)
    return DONE if solved.converged else NOT_CONVERGED


def _read(target: str, asked: _Asked) -> Any:
    """Read the solution in a file, unless it is to be solved anew; None where the target is no file."""
    if not target.endswith(".nc"):
        return None
    from quantal import store
    from quantal.baselines.learned import Learned

    solution = store.load(target)
    again = asked.given()
    if isinstance(solution, CrowdSolution):
        refuse("this file holds a solution of a crowd, which is shown as it is", dict.fromkeys(again, True))
    if isinstance(solution, Learned) and not again:
        raise ParameterError(
            f"{target}: what {solution.method} learned: a page shows solutions. Use quantal simulate {target}, or give "
            "--beta to solve its game and show that"
        )
    return None if again else solution


def _solve_crowd(scene: Scene, asked: _Asked, waiting: Waiting) -> CrowdSolution:
    from quantal.solve import solve

    return solve(
        scene.crowd(),
        beta=scene.beta if asked.beta is None else numbers_from("--beta", asked.beta),
        horizon=scene.horizon if asked.horizon is None else asked.horizon,
        value=scene.value if asked.value is None else asked.value,
        damping=asked.damping,
        progress=waiting,
    )


def _solve_exact(target: str, asked: _Asked, waiting: Waiting) -> Any:
    """Solve a game, or follow its branch."""
    given = read_target(target)
    setting = setting_for(given, asked.beta, asked.horizon, asked.discount, asked.value)
    if asked.betas is None:
        from quantal.solve import solve

        return solve(given.game, **setting, damping=asked.damping, progress=waiting)
    refuse("not with --betas", {"--beta": asked.beta is not None, "--damping": asked.damping != 1})
    levels = betas_from(asked.betas)
    if max(levels) <= 0:
        raise ParameterError(f"--betas {asked.betas!r}: expected one above 0")
    from quantal.path import solve_path

    return solve_path(
        given.game,
        levels,
        horizon=setting["horizon"],
        discount=setting["discount"],
        value=setting["value"],
        progress=waiting,
    )


def _record(solved: Any, scene: Scene | None) -> dict[str, Any]:
    """What is said of it in JSON: of a path, of where it is least certain."""
    from quantal.path import Path as Branch

    each = list(solved) if isinstance(solved, Branch) else [solved]
    worst = max(each, key=lambda s: (not s.converged, s.residual))
    return {
        "scene": None if scene is None else scene.name,
        "game": getattr(worst.game, "name", None) or None,
        "converged": solved.converged,
        "status": worst.status,
        "advice": str(worst.status),
        "residual": worst.residual,
        "steps": sum(s.steps for s in each),
    }
