"""``quantal reproduce | demo``: the paper's experiments, done again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from quantal.cli.app import DONE, NOT_CONVERGED, command
from quantal.cli.given import JsonOption
from quantal.cli.output import Waiting, show, tell

What = Literal["fig3", "fig4", "one-step", "pursuit-scores", "grid-table", "learners", "all"]


@command("Example: quantal reproduce fig4 --out results")
def reproduce(
    what: Annotated[What, typer.Argument(help="Which experiment of the paper.")] = "all",
    out: Annotated[Path, typer.Option(help="Directory for the tables (CSV) and figures; created.")] = Path(
        "out/reproduce"
    ),
    json: JsonOption = False,
) -> int:
    """Do the paper's experiments again, each number beside the paper's."""
    from quantal import experiments, figures
    from quantal.reports import paper, tables

    names = list(experiments.ALL) if what == "all" else [what]
    out.mkdir(parents=True, exist_ok=True)
    records: list[dict[str, Any]] = []
    converged = True
    for name in names:
        with Waiting(f"reproducing {name}", quiet=json) as waiting:
            found = experiments.ALL[name](progress=waiting)
            picture = figures.reproduction(found)
        files = [out / f"{name}.csv", out / f"{name}.png", out / f"{name}.svg"]
        tables.write_csv(files[0], paper.COMPARISON_COLUMNS, paper.comparison_rows(found))
        for file in files[1:]:
            figures.save(picture, file)
        written = [str(file) for file in files]
        converged = converged and found.converged
        records.append({**paper.reproduction_record(found), "seconds": waiting.seconds, "files": written})
        if not json:  # each as soon as it is there
            show(paper.reproduction(found), f"written: {', '.join(written)}", "")
    if json:
        print(tables.to_json({"converged": converged, "reproductions": records}))
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


@command("Example: quantal demo --out results")
def demo(
    out: Annotated[Path, typer.Option(help="Directory for the tables (CSV) and figures; created.")] = Path("out/demo"),
    json: JsonOption = False,
) -> int:
    """Show what Quantal does: the paper's Figure 4, and games that people played."""
    from quantal import experiments, figures
    from quantal.reports import paper, tables

    out.mkdir(parents=True, exist_ok=True)
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
