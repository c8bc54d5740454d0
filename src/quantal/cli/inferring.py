"""``quantal infer``: rewards, goals and precision from observed play."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import RenderableType

from quantal.cli.app import DONE, NOT_CONVERGED, command
from quantal.cli.given import (
    PICTURE_ENDINGS,
    BetaOption,
    CrowdOption,
    DiscountOption,
    ExactOption,
    FigureOption,
    HorizonOption,
    JsonOption,
    Target,
    TargetArgument,
    ValueOption,
    check_writable,
    numbers_from,
    read_target,
    refuse,
    scene_named,
    setting_for,
    which_game,
)
from quantal.cli.output import Waiting, tell
from quantal.crowds.game import CrowdGame
from quantal.errors import ParameterError
from quantal.game import MarkovGame

if TYPE_CHECKING:
    from quantal.infer import Feature, Features
    from quantal.trajectories import Trajectories

What = Literal["precision", "rewards", "goals"]
Method = Literal["likelihood", "matching"]

FEATURE_FORMS = "together, waits, distance:AGENT, distance:CELL, goal:CELL, at:CELL or action:NAME"


@command(
    "Examples: quantal infer pursuit-two --data games.csv\n\n"
    "quantal infer pursuit-two --data games.csv --what rewards --feature h=together --feature p=together\n\n"
    'quantal infer junction --data play.csv --what goals --goals "car 3=r1c1,r2c8"'
)
def infer(
    target: TargetArgument,
    data: Annotated[
        Path, typer.Option(help="Observed play (.csv or .parquet), as `quantal simulate --out` writes it.")
    ],
    what: Annotated[What, typer.Option(help="What to estimate.")] = "precision",
    feature: Annotated[
        list[str] | None,
        typer.Option(help=f"For rewards: AGENT=FEATURE, which is {FEATURE_FORMS}. (Default, in a scene: all it has.)"),
    ] = None,
    goals: Annotated[
        list[str] | None,
        typer.Option(help="For goals, in a scene: AGENT=CELL,CELL,...; may be repeated."),
    ] = None,
    prior: Annotated[
        list[str] | None, typer.Option(help="For goals: AGENT=P,P,... of its candidates. (Default: equal.)")
    ] = None,
    method: Annotated[
        Method, typer.Option(help="For rewards: maximum likelihood through the equilibrium, or feature matching.")
    ] = "likelihood",
    per_agent: Annotated[bool, typer.Option(help="For precision: one for each agent.")] = False,
    episode: Annotated[int, typer.Option(min=0, help="For goals: which episode to follow.")] = 0,
    beta: BetaOption = None,
    horizon: HorizonOption = None,
    discount: DiscountOption = None,
    value: ValueOption = None,
    exact: ExactOption = False,
    crowd: CrowdOption = False,
    figure: FigureOption = None,
    json: JsonOption = False,
) -> int:
    """Estimate precision, rewards or goals from observed play, with standard errors."""
    check_writable("--figure", figure, PICTURE_ENDINGS)
    unused = {"--feature": (feature, "rewards"), "--goals": (goals, "goals"), "--prior": (prior, "goals")}
    for option, (given, needed) in unused.items():
        refuse(f"it is for --what {needed}", {option: given is not None and what != needed})
    refuse("it is for --what precision", {"--per-agent": per_agent and what != "precision"})
    if what == "goals":
        refuse("goals are of a crowd's members", {"--exact": exact, "--discount": discount is not None})
        return _goals(target, data, goals or [], prior or [], episode, beta, horizon, value, figure, json)
    game, setting = _posed(target, which_game(exact, crowd), beta, horizon, discount, value)
    played = _read(data, game)

    from quantal import infer as inference
    from quantal.reports import inference as report

    with Waiting(f"inferring {what} of {game.name or target}", quiet=json) as waiting:
        if what == "precision":
            refuse("it is what is estimated", {"--beta": beta is not None})
            del setting["beta"]
            estimate = inference.precision(game, played, per_agent=per_agent, progress=waiting, **setting)
        else:
            features = _features(target, game, feature or [])
            if method == "matching":
                setting["play"] = setting.pop("value")
                estimate = inference.match(game, features, played, progress=waiting, **setting)
            else:
                estimate = inference.rewards(game, features, played, progress=waiting, **setting)
    record = report.estimate_record(estimate)
    record = {"game": game.name, "what": what, "method": method, "episodes": len(played), **record}
    parts: list[RenderableType] = [report.estimate_table(estimate, what), *report.estimate_remarks(estimate)]
    if figure is not None:
        from quantal import figures
        from quantal.figures import inference as drawings

        profiles = []
        if isinstance(estimate, inference.Estimate) and what == "precision":
            known = [
                name for name, error in zip(estimate.names, estimate.standard_errors, strict=True) if error < 1e300
            ]
            profiles = [estimate.profile(name) for name in known]
        if profiles and isinstance(estimate, inference.Estimate):
            points = [
                (row.agent, row.observed, row.predicted, row.choices) for row in estimate.fitted() if row.predicted > 0
            ]
            picture = drawings.precision(profiles, points)
        else:
            picture = drawings.estimates(report.estimate_rows(estimate), what)
        figures.save(picture, figure)
        parts.append(f"written: {figure}")
    record |= {"seconds": waiting.seconds, "files": [str(figure)] if figure is not None else []}
    tell(json, record, *parts)
    return DONE if estimate.converged else NOT_CONVERGED


def _posed(
    target: str,
    play: Literal["auto", "exact", "crowd"],
    beta: str | None,
    horizon: int | None,
    discount: str | None,
    value: str | None,
) -> tuple[MarkovGame | CrowdGame, dict[str, Any]]:
    """What was played, and on which terms: a scene as `quantal simulate` plays it."""
    scene = scene_named(target)
    if scene is None:
        refuse("for a scene only", {"--exact": play == "exact", "--crowd": play == "crowd"})
        found = read_target(target)
        return found.game, {**setting_for(found, beta, horizon, discount, value)}
    game = scene.game(play)
    if isinstance(game, MarkovGame):
        found = Target(game, scene.beta_of(game), scene.horizon, None, scene.value, None)
        return game, {**setting_for(found, beta, horizon, discount, value)}
    refuse("a crowd is not discounted", {"--discount": discount is not None})
    return game, {
        "beta": scene.beta_of(game) if beta is None else numbers_from("--beta", beta),
        "horizon": scene.horizon if horizon is None else horizon,
        "value": scene.value if value is None else value,
    }


def _read(data: Path, game: MarkovGame | CrowdGame) -> Trajectories:
    from quantal.trajectories import Trajectories

    ending = data.suffix.lower()
    if ending not in (".csv", ".parquet"):
        raise ParameterError(f"--data {data}: expected a name that ends in .csv or .parquet")
    return Trajectories.from_csv(data, game) if ending == ".csv" else Trajectories.from_parquet(data, game)


# ---------------------------------------------------------------------- rewards


def _features(target: str, game: MarkovGame | CrowdGame, given: Sequence[str]) -> Features:
    from quantal.infer import Features, scene_features

    scene = scene_named(target)
    if not given:
        if scene is None:
            raise ParameterError(f"--what rewards: expected --feature AGENT=FEATURE, which is {FEATURE_FORMS}")
        return scene_features(scene, game)
    wanted: dict[str, list[Feature]] = {}
    for text in given:
        agent, form = _pair("--feature", text)
        wanted.setdefault(agent, []).append(_feature(game, agent, form))
    return Features.of(game, wanted, keep=scene is not None)


def _feature(game: MarkovGame | CrowdGame, agent: str, form: str) -> Feature:
    from quantal.infer import features

    kind, _, rest = form.partition(":")
    if kind == "together" and not rest:
        if isinstance(game, CrowdGame):
            raise ParameterError(
                f"--feature {agent}=together: a crowd's agents meet as occupancy. Leave it out, or --exact"
            )
        return features.collision(game, agent)
    if kind == "waits" and not rest:
        return features.waiting(game, agent)
    if kind == "distance" and rest:
        return (
            features.distance(game, agent, rest) if rest in game.agents else features.distance(game, agent, cell=rest)
        )
    if kind == "goal" and rest:
        return features.goal(game, agent, rest)
    if kind == "at" and rest:
        return features.indicator(game, agent, at=rest)
    if kind == "action" and rest:
        return features.indicator(game, agent, action=rest)
    raise ParameterError(f"--feature {agent}={form}: expected {FEATURE_FORMS}")


def _pair(option: str, text: str) -> tuple[str, str]:
    agent, equals, rest = text.partition("=")
    if not (agent and equals and rest):
        raise ParameterError(f"{option} {text!r}: expected AGENT=..., for example {option} 'p=...'")
    return agent, rest


# ---------------------------------------------------------------------- goals


def _goals(
    target: str,
    data: Path,
    given: Sequence[str],
    priors: Sequence[str],
    episode: int,
    beta: str | None,
    horizon: int | None,
    value: str | None,
    figure: Path | None,
    json: bool,
) -> int:
    scene = scene_named(target)
    if scene is None:
        raise ParameterError(f"--what goals: {target} is no scene: expected one of `quantal games`, or a scene file")
    if not given:
        raise ParameterError("--what goals: expected --goals AGENT=CELL,CELL,...")
    candidates = {agent: rest.split(",") for agent, rest in (_pair("--goals", text) for text in given)}
    prior: dict[str, list[float]] = {}
    for text in priors:
        agent, rest = _pair("--prior", text)
        odds = numbers_from("--prior", rest)
        prior[agent] = odds if isinstance(odds, list) else [odds]
    played = _read(data, scene.crowd())
    if episode >= len(played):
        raise ParameterError(f"--episode {episode}: the data have {len(played)}, counted from 0")

    from quantal import infer as inference
    from quantal.reports import inference as report

    with Waiting(f"inferring goals in {scene.title or target}", quiet=json) as waiting:
        beliefs = inference.goals(
            scene.crowd(),
            candidates,
            beta=scene.beta if beta is None else numbers_from("--beta", beta),
            horizon=scene.horizon if horizon is None else horizon,
            value=scene.value if value is None else value,
            prior=prior or None,
            progress=waiting,
        )
        odds = [beliefs.posterior]
        for time in range(int(played.lengths[episode]) + 1):
            numbers = played.states[episode, time]
            if (numbers < 0).any():
                break
            beliefs.observe([names[k] for names, k in zip(played.state_labels, numbers, strict=True)])
            if beliefs.decisions:
                odds.append(beliefs.posterior)
    record = {
        "scene": scene.name,
        "what": "goals",
        "converged": beliefs.converged,
        "episode": episode,
        "decisions": beliefs.decisions,
        "posterior": odds[-1],
        "history": odds,
        "most_probable": beliefs.most_probable,
        "seconds": waiting.seconds,
        "files": [str(figure)] if figure is not None else [],
    }
    parts: list[RenderableType] = [report.beliefs_table(odds)]
    if not beliefs.converged:
        parts.append("Not converged: at some goals no equilibrium was found to tolerance. Try a smaller --beta.")
    if figure is not None:
        from quantal import figures
        from quantal.figures import inference as drawings

        figures.save(drawings.beliefs(odds), figure)
        parts.append(f"written: {figure}")
    tell(json, record, *parts)
    return DONE if beliefs.converged else NOT_CONVERGED
