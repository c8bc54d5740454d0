"""``quantal simulate``: play."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import RenderableType

from quantal.cli.app import DONE, NOT_CONVERGED, command
from quantal.cli.given import (
    BetaOption,
    DiscountOption,
    HorizonOption,
    JsonOption,
    TargetArgument,
    ValueOption,
    check_writable,
    read_target,
    setting_for,
)
from quantal.cli.output import Waiting, tell

Play = Literal["sampled", "most-probable"]


@command("Example: quantal simulate pursuit-two --episodes 10000 --out games.parquet")
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
    check_writable("--out", out, (".csv", ".parquet"))
    given = read_target(target)

    from quantal import rollout
    from quantal.reports import plays
    from quantal.solve import solve

    solution = given.solution
    how: rollout.Play = "sampled" if play == "sampled" else "most_probable"
    with Waiting(f"playing {given.game.name or target}", quiet=json) as waiting:
        if solution is None or (beta, horizon, discount, value) != (None, None, None, None):
            setting = setting_for(given, beta, horizon, discount, value)
            solution = solve(given.game, **setting, progress=waiting)
        if steps is None and solution.horizon is None:
            steps = 1 if set(solution.parameters.discount) == {0.0} else 100
        played = rollout.simulate(given.game, solution, episodes, seed, steps=steps, play=how)
        exact = rollout.evaluate(given.game, solution, steps=steps, play=how)
        if out is not None:
            (played.to_csv if out.suffix.lower() == ".csv" else played.to_parquet)(out)
    rows = plays.score_rows(played, exact)
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
    parts: list[RenderableType] = [plays.scores(played, exact)]
    parts += [f"The policies that were played did not converge. {solution.status}"] * (not solution.converged)
    parts += [f"written: {out}"] * (out is not None)
    tell(json, record, *parts)
    return DONE if solution.converged else NOT_CONVERGED
