"""``quantal games | solve | path``: what there is, its equilibria, their branches."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

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
    StateOption,
    TargetArgument,
    ValueOption,
    betas_from,
    check_time,
    check_writable,
    numbers_from,
    read_target,
    refuse,
    scene_named,
    setting_for,
    states_from,
    which_game,
)
from quantal.cli.output import Waiting, screen, tell
from quantal.scenes.scene import Scene

Method = Literal["auto", "picard", "newton", "continuation"]
Order = Literal["jacobi", "paper"]


@command("Example: quantal games pursuit-three")
def games(
    name: Annotated[str | None, typer.Argument(help="Show this one, with its map.")] = None, json: JsonOption = False
) -> int:
    """List the games that come with Quantal, or show one."""
    from quantal import games
    from quantal.reports import catalogue
    from quantal.scenes import reading as scenefile

    if name is None:
        scenes = {name: scenefile.heading(name) for name in scenefile.shipped()}
        record = {**catalogue.catalogue_record(games.CATALOGUE), **catalogue.scenes_record(scenes)}
        tell(json, record, catalogue.catalogue(games.CATALOGUE), catalogue.scenes(scenes))
        return DONE
    scene = scene_named(name)
    if scene is not None:
        tell(json, {"scene": scene.record(), "exact_entries": scene.exact_entries}, catalogue.scene_card(scene))
        return DONE
    game = games.build(name)
    entry = games.CATALOGUE[name]
    tell(json, catalogue.game_record(name, entry, game), catalogue.game_card(name, entry, game))
    return DONE


@command("Example: quantal solve pursuit-three --state 0,8,4 --certificate --figure policy.png")
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
    exact: ExactOption = False,
    crowd: CrowdOption = False,
    figure: FigureOption = None,
    animation: Annotated[Path | None, typer.Option(help="Show a scene step by step: .gif or .mp4.")] = None,
    json: JsonOption = False,
) -> int:
    """Find a logit Markov quantal response equilibrium."""
    check_writable("--save", save, (".nc",))
    check_writable("--figure", figure, PICTURE_ENDINGS)
    check_writable("--animation", animation, (".gif", ".mp4"))
    if animation is not None:
        from quantal.figures.films import check_film

        check_film(animation)
    scene = scene_named(target)
    if scene is not None:
        unusable = {
            "--restarts": bool(restarts),
            "--state": bool(state),
            "--time": when != 0,
        }
        unusable |= {"--discount": discount is not None, "--certificate": certificate, "--order": order != "jacobi"}
        refuse("not for a scene", unusable)
        play = which_game(exact, crowd)
        how: dict[str, Any] = {"method": method, "damping": damping, "tol": tol, "max_steps": max_steps}
        return _solve_scene(scene, play, beta, horizon, value, how, save, figure, animation, json)
    refuse("for a scene only", {"--exact": exact, "--crowd": crowd, "--animation": animation is not None})
    given = read_target(target)
    setting = setting_for(given, beta, horizon, discount, value)
    check_time(when, setting["horizon"])

    from quantal.reports import solutions
    from quantal.solve import solve

    for text in state or ():
        solutions.parse_state(given.game, text)
    with Waiting(f"solving {given.game.name or target}", quiet=json) as waiting:
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
    states = states_from(solution, state or ())
    record = solutions.solution_record(solution, states, when, seconds=waiting.seconds)
    parts: list[RenderableType] = [solutions.summary(solution, waiting.seconds)]
    parts += [solutions.policies(solution, s, when) for s in states]
    parts += [table for s in states for table in solutions.others(solution, s, when)]
    if certificate:
        with Waiting("certifying", quiet=json):
            proof = solution.certificate
        record["certificate"] = solutions.certificate_record(proof)
        parts.append(solutions.certificate(proof))
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
    tell(json, record, *parts)
    return DONE if solution.converged else NOT_CONVERGED


def _solve_scene(
    scene: Scene,
    play: Literal["auto", "exact", "crowd"],
    beta: str | None,
    horizon: int | None,
    value: str | None,
    how: dict[str, Any],
    save: Path | None,
    figure: Path | None,
    animation: Path | None,
    json: bool,
) -> int:
    """Solve a scene, and say when everyone arrives, where they wait and whom they meet."""
    from quantal.reports import scenes as scene_report
    from quantal.scenes.journeys import journeys
    from quantal.solve import solve

    with Waiting(f"solving {scene.title or scene.name}", quiet=json) as waiting:
        game = scene.game(play)
        solution = solve(
            game,
            beta=scene.beta_of(game) if beta is None else numbers_from("--beta", beta),
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
    if save is not None:
        from quantal import store

        store.save(solution, save)
        written.append(str(save))
    with Waiting("drawing", quiet=json) as drawing:
        if figure is not None:
            from quantal import figures
            from quantal.figures import crowds as crowd_figures

            figures.save(crowd_figures.occupancy(found), figure)
            written.append(str(figure))
        if animation is not None:
            from quantal.figures import crowds as crowd_figures

            crowd_figures.animate(found, animation, progress=drawing)
            written.append(str(animation))
    record["files"] = written
    parts += [f"written: {', '.join(written)}"] * bool(written)
    tell(json, record, *parts)
    return DONE if solution.converged else NOT_CONVERGED


@command("Example: quantal path stag-hunt --betas 0:4:41 --figure branch.png")
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
    check_writable("--out", out, (".csv",))
    check_writable("--figure", figure, PICTURE_ENDINGS)
    given = read_target(target)
    setting = setting_for(given, None, horizon, discount, value)
    levels = betas_from(betas)

    import numpy as np

    from quantal.path import solve_path
    from quantal.reports import branches, solutions, tables

    for text in state or ():
        solutions.parse_state(given.game, text)
    with Waiting(f"following {given.game.name or target}", quiet=json) as waiting:
        found = solve_path(
            given.game,
            levels,
            horizon=setting["horizon"],
            discount=setting["discount"],
            value=setting["value"],
            tol=tol,
            progress=waiting,
        )
    states = states_from(found[int(np.argmax(levels))], state or ())
    kept = [tuple(map(int, s)) for s in np.ndindex(*given.game.state_shape)] if every_state else states
    record = {**branches.branch_record(found, kept), "seconds": waiting.seconds}
    parts = [branches.branch(found, s, screen().width) for s in states]
    written: list[str] = []
    if out is not None:
        tables.write_csv(out, branches.BRANCH_COLUMNS, branches.branch_rows(found, kept))
        written.append(str(out))
    if figure is not None:
        from quantal import figures

        figures.save(figures.branch(found, states[0]), figure)
        written.append(str(figure))
    record["files"] = written
    parts += [f"written: {', '.join(written)}"] * bool(written)
    tell(json, record, *parts)
    return DONE if found.converged else NOT_CONVERGED
