"""``quantal simulate``: play."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import RenderableType

from quantal.cli.app import DONE, NOT_CONVERGED, command
from quantal.cli.given import (
    BetaOption,
    CrowdOption,
    DiscountOption,
    ExactOption,
    HorizonOption,
    JsonOption,
    Target,
    TargetArgument,
    ValueOption,
    check_writable,
    numbers_from,
    read_target,
    refuse,
    saved,
    scene_named,
    setting_for,
    which_game,
)
from quantal.cli.output import Waiting, tell
from quantal.crowds.game import CrowdGame
from quantal.crowds.solution import CrowdSolution
from quantal.game import MarkovGame
from quantal.solution import Solution

if TYPE_CHECKING:
    from quantal.baselines.learned import Learned

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
    exact: ExactOption = False,
    crowd: CrowdOption = False,
    signal: Annotated[
        bool,
        typer.Option("--signal/--no-signal", help="Of what was learned: follow the common signal, if there is one."),
    ] = True,
    out: Annotated[Path | None, typer.Option(help="Write the episodes (.csv or .parquet).")] = None,
    json: JsonOption = False,
) -> int:
    """Play a game or a crowd, and compare the scores with their exact expectations."""
    check_writable("--out", out, (".csv", ".parquet"))
    game, solution, setting = _to_play(target, which_game(exact, crowd), beta, horizon, discount, value)

    from quantal import rollout, rollout_crowd
    from quantal.baselines.judgement import joint_play, separated
    from quantal.baselines.learned import Learned
    from quantal.reports import plays
    from quantal.solve import solve

    how: rollout.Play = "sampled" if play == "sampled" else "most_probable"
    learned = solution if isinstance(solution, Learned) else None
    followed = signal and learned is not None and learned.joint is not None
    with Waiting(f"playing {game.name or target}", quiet=json) as waiting:
        if solution is None:
            solution = solve(game, **setting, progress=waiting)
        if steps is None and solution.horizon is None:
            steps = 1 if set(solution.parameters.discount) == {0.0} else 100
        whole: Any = joint_play(solution) if followed else solution
        on: Any = whole.game if followed else game
        played = rollout.simulate(on, whole, episodes, seed, steps=steps, play=how)
        expected = rollout.evaluate(on, whole, steps=steps, play=how)
        if learned is not None and followed:
            played = separated(played, learned.game)
        if out is not None:
            (played.to_csv if out.suffix.lower() == ".csv" else played.to_parquet)(out)
    scores = expected.score
    if isinstance(game, CrowdGame):
        scores = {name: scores[game.agents[i]] for name, i in rollout_crowd.persons(game)}
    record = {
        "game": game.name,
        "converged": solution.converged,
        "episodes": episodes,
        "steps": expected.steps,
        "seed": seed,
        "play": play,
        "signal": followed,
        "discount": solution.parameters.discount,
        "scores": plays.score_rows(played, scores),
        "seconds": waiting.seconds,
        "files": [str(out)] if out is not None else [],
    }
    parts: list[RenderableType] = [plays.scores(played, scores, how)]
    parts += ["The common signal is followed; --no-signal: everyone plays its own part alone."] * followed
    if learned is not None and any(learned.parameters.discount):
        rates = ", ".join(f"{d:g}" for d in sorted(set(learned.parameters.discount)))
        parts.append(f"Scores are discounted by {rates} a step, as they were learned; those of quantal train are not.")
    parts += [f"The policies that were played did not converge. {solution.status}"] * (not solution.converged)
    parts += [f"written: {out}"] * (out is not None)
    tell(json, record, *parts)
    return DONE if solution.converged else NOT_CONVERGED


def _to_play(
    target: str,
    which: Literal["auto", "exact", "crowd"],
    beta: str | None,
    horizon: int | None,
    discount: str | None,
    value: str | None,
) -> tuple[MarkovGame | CrowdGame, Solution | CrowdSolution | Learned | None, dict[str, Any]]:
    """Find the game, its solution where a file holds the one that is asked for, and else what to solve it with."""
    scene, asked = scene_named(target), (beta, horizon, discount, value) != (None, None, None, None)
    if scene is None:
        refuse("for a scene only", {"--exact": which == "exact", "--crowd": which == "crowd"})
        kept = saved(target)
        if isinstance(kept, CrowdSolution):
            p = kept.parameters
            game = kept.game
            own: dict[str, Any] = {"beta": p.beta, "horizon": p.horizon, "value": p.value}
            solution = None if asked else kept
        else:
            from quantal.baselines.learned import Learned

            given = read_target(target)
            if isinstance(kept, Learned):
                return kept.game, None if asked else kept, {**setting_for(given, beta, horizon, discount, value)}
            return given.game, None if asked else given.solution, {**setting_for(given, beta, horizon, discount, value)}
    else:
        game, solution = scene.game(which), None
        own = {"beta": scene.beta_of(game), "horizon": scene.horizon, "value": scene.value}
        if isinstance(game, MarkovGame):
            given = Target(game, own["beta"], scene.horizon, None, scene.value, None)
            return game, None, {**setting_for(given, beta, horizon, discount, value)}
    refuse("not for a crowd", {"--discount": discount is not None})
    new = {"beta": None if beta is None else numbers_from("--beta", beta), "horizon": horizon, "value": value}
    return game, solution, own | {name: said for name, said in new.items() if said is not None}
