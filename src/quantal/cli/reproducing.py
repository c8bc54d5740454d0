"""``quantal reproduce | demo``: the paper's experiments, done again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from quantal.cli.app import DONE, NOT_CONVERGED, command
from quantal.cli.given import JsonOption, make_directory
from quantal.cli.output import Waiting, show, tell
from quantal.errors import ParameterError

if TYPE_CHECKING:
    from quantal.experiments import Reproduction

What = Literal[
    "theorems",
    "pursuit-scores",
    "fig3",
    "fig4",
    "one-step",
    "rabbit-hole",
    "grid-table",
    "learners",
    "driving",
    "theorem-4",
    "online-inference",
    "all",
]
PACKAGES = ("jax", "numpy", "scipy", "matplotlib")
"""Whose versions the numbers and pictures depend on."""


@command("Example: quantal reproduce fig4 --out results")
def reproduce(
    what: Annotated[What, typer.Argument(help="Which experiment of the paper.")] = "all",
    only: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Only this one; may be repeated.")] = None,
    out: Annotated[Path, typer.Option(help="Directory for the report, the table and the figures; created.")] = Path(
        "out/reproduce"
    ),
    json: JsonOption = False,
) -> int:
    """Do the paper's experiments again: each number beside the paper's, and a report to read."""
    from quantal import experiments, figures
    from quantal.files import replacing
    from quantal.pages import report
    from quantal.reports import paper, tables

    wanted = set(only or ()) | ({what} if what != "all" or not only else set())
    unknown = sorted(wanted - {*experiments.ALL, "all"})
    if unknown:
        raise ParameterError(f"--only {unknown[0]}: expected one of {', '.join(experiments.ALL)}")
    names = [name for name in experiments.ALL if name in wanted or "all" in wanted]
    make_directory("--out", out)
    records: list[dict[str, Any]] = []
    kept: list[Reproduction] = []
    drawn: dict[str, list[report.Drawn]] = {}
    views: dict[str, str] = {}
    for k, name in enumerate(names):
        with Waiting(f"{name} ({k + 1} of {len(names)})", quiet=json) as waiting:
            found = experiments.ALL[name](progress=waiting)
            drawn[name] = []
            files: list[Path] = []
            for picture in figures.pictures(found):
                pair = [out / f"{picture.name}.{ending}" for ending in ("png", "svg")]
                for file in pair:
                    figures.save(picture.figure, file)
                drawn[name].append(report.Drawn(picture.name, pair[1].read_text(encoding="utf-8"), picture.caption))
                files += pair
            if (view := _view(found)) is not None:
                views[name] = view
                files.append(out / f"{name}.html")
                with replacing(files[-1]) as temporary:
                    temporary.write_text(views[name], encoding="utf-8")
        kept.append(found)
        written = [str(file) for file in files]
        records.append({**paper.reproduction_record(found), "seconds": waiting.seconds, "files": written})
        if not json:  # each as soon as it is there
            show(paper.reproduction(found), f"written: {', '.join(written)}", "")
    made: dict[str, Any] = {"command": _repeat(names, len(experiments.ALL)), "versions": _versions()}
    tables.write_csv(out / "results.csv", paper.RESULT_COLUMNS, [row for r in kept for row in paper.result_rows(r)])
    shown = {name: [(f"{d.name}.svg", d.caption) for d in each] for name, each in drawn.items()}
    for file, text in (
        ("report.html", report.page(kept, drawn, views=views, **made)),
        ("report.md", paper.markdown(kept, shown, **made)),
    ):
        with replacing(out / file) as temporary:
            temporary.write_text(text, encoding="utf-8")
    converged = all(found.converged for found in kept)
    reports = [str(out / name) for name in ("report.html", "report.md", "results.csv")]
    record = {"converged": converged, "reproductions": records, "files": reports}
    tell(json, record, paper.in_short(kept), f"written: {', '.join(reports)}")
    return DONE if converged else NOT_CONVERGED


def _view(found: Reproduction) -> str | None:
    """Make a page to play with, where there is something to play with."""
    import quantal
    from quantal.experiments import DrivingScene, Figure4
    from quantal.games.pursuit import I1
    from quantal.pages import crowds, games

    made = f"Quantal {quantal.__version__}: quantal reproduce {found.name}"
    if isinstance(found, DrivingScene):
        return crowds.page(found.solution, scene=found.journeys.scene, made=made)
    if isinstance(found, Figure4) and found.solution is not None:
        return games.page(found.solution, state=I1, made=made)
    return None


def _repeat(names: list[str], number: int) -> str:
    """What to type to get the same."""
    if len(names) == number:
        return "quantal reproduce"
    return " ".join(["quantal reproduce", *(f"--only {name}" for name in names)])


def _versions() -> dict[str, str]:
    import platform
    from importlib import metadata

    import quantal

    return {
        "quantal": quantal.__version__,
        **{name: metadata.version(name) for name in PACKAGES},
        "Python": platform.python_version(),
    }


NEXT = """\
Where to look next
  quantal games                                      games that come with Quantal
  quantal solve pursuit-three --state 0,8,4 --certificate
                                                     one equilibrium, and what is certain about it
  quantal view junction                              who drives when, as a page in the browser
  quantal path stag-hunt --betas 0:4:41 --figure branch.png
                                                     how play changes with precision, through folds
  quantal reproduce                                  every experiment of the paper
  README.md                                          a game of your own in a few lines"""


@command("Example: quantal demo --out results")
def demo(
    out: Annotated[Path, typer.Option(help="Directory for the tables (CSV) and figures; created.")] = Path("out/demo"),
    json: JsonOption = False,
) -> int:
    """Show what Quantal does: the paper's Figure 4, and games that people played."""
    from quantal import experiments, figures
    from quantal.reports import paper, tables

    make_directory("--out", out)
    files = [out / name for name in ("fig4.csv", "fig4.png", "published-games.csv", "published-games.png")]
    with Waiting("solving the three-player pursuit game", quiet=json) as first:
        found = experiments.figure_4(progress=first)
    tables.write_csv(files[0], paper.COMPARISON_COLUMNS, paper.comparison_rows(found))
    if not json:
        show(paper.reproduction(found), f"{first.seconds:.1f} s", "")
    with Waiting("solving twelve published games", quiet=json) as second:
        published = experiments.published_games(progress=second)
    tables.write_csv(files[2], paper.PUBLISHED_COLUMNS, paper.published_rows(published))
    if not json:
        show(paper.published(published), f"{second.seconds:.1f} s", "")
    figures.save(figures.figure_4(found), files[1])
    figures.save(figures.published(published), files[3])
    written = [str(file) for file in files]
    record = {
        "converged": found.converged and published.converged,
        "figure_4": paper.reproduction_record(found),
        "published_games": paper.published_record(published),
        "seconds": first.seconds + second.seconds,
        "files": written,
    }
    tell(json, record, f"written: {', '.join(written)}", "", NEXT)
    return DONE if record["converged"] else NOT_CONVERGED
