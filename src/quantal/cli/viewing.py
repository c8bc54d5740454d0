"""``quantal view``: a page that shows what was computed."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from quantal.cli.app import DONE, NOT_CONVERGED, command
from quantal.cli.given import BetaOption, JsonOption, ValueOption, check_writable, numbers_from, scene_named
from quantal.cli.output import Waiting, tell
from quantal.errors import ParameterError


@command("Example: quantal view junction --out junction.html")
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
    scene = scene_named(target)
    if scene is None:
        raise ParameterError(
            f"{target}: quantal view draws scenes, which it plays as crowds: expected a scene file (.toml) or one of "
            "the scenes of quantal games. For a game, or a solution of one, use quantal solve --figure"
        )
    page_file = Path(f"{scene.name}.html") if out is None else out
    check_writable("--out", page_file, (".html",))

    import quantal
    from quantal.pages import crowds as page
    from quantal.solve import solve

    with Waiting(f"solving {scene.title or scene.name}", quiet=json) as waiting:
        solution = solve(
            scene.crowd(),
            beta=scene.beta if beta is None else numbers_from("--beta", beta),
            horizon=scene.horizon if horizon is None else horizon,
            value=scene.value if value is None else value,
            damping=damping,
            progress=waiting,
        )
    asked = {"--beta": beta, "--horizon": horizon, "--value": value, "--damping": damping if damping != 1 else None}
    options = [f"{name} {given}" for name, given in asked.items() if given is not None]
    command = shlex.join(["quantal", "view", Path(target).name, *" ".join(options).split()])
    with Waiting("drawing", quiet=json) as drawing:
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
    tell(json, record, *parts)
    return DONE if solution.converged else NOT_CONVERGED
