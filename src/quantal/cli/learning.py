"""``quantal train | compare``: learners."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType

from quantal.cli.app import DONE, NOT_CONVERGED, command
from quantal.cli.given import (
    PICTURE_ENDINGS,
    FigureOption,
    JsonOption,
    StateOption,
    Target,
    check_writable,
    read_target,
)
from quantal.cli.output import Waiting, tell


def _learning_length(steps: int | None, episodes: int | None) -> dict[str, int | None]:
    """20,000 steps unless told otherwise."""
    if steps is None and episodes is None:
        steps = 20_000
    return {"steps": steps, "episodes": episodes}


@command("Example: quantal train grid-two --method uce-q --steps 40000 --certificate")
def train(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A game of `quantal games`.")],
    method: Annotated[
        str,
        typer.Option(
            help="q-learning, uce-q, ece-q, rce-q, lce-q, nash-q, friend-q, foe-q, jal, fmq, nscp or fictitious-play."
        ),
    ] = "q-learning",
    steps: Annotated[
        int | None, typer.Option(min=1, help="How long to learn: decisions in all. (Default: 20000.)")
    ] = None,
    episodes: Annotated[int | None, typer.Option(min=1, help="Or how many episodes; give one of the two.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same run.")] = 0,
    discount: Annotated[float | None, typer.Option(help="Below 1. (Default: 0.9; 0 for one-shot games.)")] = None,
    episode_length: Annotated[
        int | None,
        typer.Option(
            "--episode-length",
            min=1,
            help="Decisions after which an episode is cut, in learning and in scoring. (Default: 1 for one-shot games; "
            "the game's horizon where nobody arrives anywhere; else 100.)",
        ),
    ] = None,
    state: StateOption = None,
    certificate: Annotated[bool, typer.Option("--certificate", help="Judge it: exploitability, signals.")] = False,
    save: Annotated[Path | None, typer.Option(help="Keep what was learned (.nc), for quantal simulate.")] = None,
    json: JsonOption = False,
) -> int:
    """Let agents learn a game by play, and show what they learned."""
    check_writable("--save", save, (".nc",))
    given = read_target(name)

    from quantal.baselines import comparison
    from quantal.reports import learners as learning_report
    from quantal.reports import solutions

    length = episode_length or _episode(given)
    learner = comparison.learner_named(method)
    states = [solutions.parse_state(given.game, text) for text in state or ()] or [
        learning_report.start_state(given.game)
    ]
    with Waiting(f"learning {given.game.name or name}", quiet=json) as waiting:
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
        with Waiting("judging", quiet=json):
            proof = found.certificate
        record["certificate"] = learning_report.judgement_record(proof)
        parts.append(str(proof))
    if save is not None:
        from quantal import store

        store.save(found, save)
        parts.append(f"written: {save}")
    record["files"] = [str(save)] * (save is not None)
    tell(json, record, *parts)
    return DONE if found.converged else NOT_CONVERGED


def _episode(given: Target) -> int:
    """Decisions of an episode: the game's own horizon, long enough to arrive where there is a goal."""
    if given.game.number_of_states == 1:
        return 1
    if given.horizon is not None and not given.game.absorbing.any():
        return given.horizon
    return 100


@command("Example: quantal compare grid-two --methods q-learning,uce-q,lce-q --seeds 20 --figure learners.png")
def compare(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A game of `quantal games`.")],
    methods: Annotated[
        str, typer.Option(help="Names as for `quantal train`, with commas between them.")
    ] = "q-learning,uce-q,ece-q,rce-q,lce-q",
    seeds: Annotated[int, typer.Option(min=1, help="How many seeds, counted from 0.")] = 10,
    steps: Annotated[
        int | None, typer.Option(min=1, help="How long to learn: decisions in all. (Default: 20000.)")
    ] = None,
    episodes: Annotated[int | None, typer.Option(min=1, help="Or how many episodes; give one of the two.")] = None,
    discount: Annotated[float | None, typer.Option(help="Below 1. (Default: 0.9; 0 for one-shot games.)")] = None,
    episode_length: Annotated[
        int | None,
        typer.Option(
            "--episode-length",
            min=1,
            help="Decisions after which an episode is cut, in learning and in scoring. (Default: 1 for one-shot games; "
            "the game's horizon where nobody arrives anywhere; else 100.)",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the table (.csv).")] = None,
    figure: FigureOption = None,
    json: JsonOption = False,
) -> int:
    """Let several methods learn the same game, over many seeds, and judge them alike."""
    check_writable("--out", out, (".csv",))
    check_writable("--figure", figure, PICTURE_ENDINGS)
    given = read_target(name)

    from quantal import experiments
    from quantal.baselines import comparison
    from quantal.reports import learners as learning_report
    from quantal.reports import tables

    with Waiting(f"learning {given.game.name or name}", quiet=json) as waiting:
        found = comparison.compare(
            given.game,
            [part.strip() for part in methods.split(",")],
            range(seeds),
            **_learning_length(steps, episodes),
            discount=discount,
            episode_length=episode_length or _episode(given),
            events=experiments.events(name, given.game),
            progress=waiting,
        )
    written: list[str] = []
    if out is not None:
        tables.write_csv(out, learning_report.CONTEST_COLUMNS, learning_report.contest_rows(found))
        written.append(str(out))
    if figure is not None:
        from quantal import figures

        figures.save(figures.contest(found), figure)
        written.append(str(figure))
    record = {**learning_report.contest_record(found), "seconds": waiting.seconds, "files": written}
    parts: list[RenderableType] = [learning_report.contest(found)]
    parts += [f"written: {', '.join(written)}"] * bool(written)
    tell(json, record, *parts)
    return DONE if all(row.settled == 1.0 for row in found.contestants) else NOT_CONVERGED
