"""What commands are given: games, settings, states and files, checked before anyone waits."""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict

import typer

from quantal.crowds.solution import CrowdSolution
from quantal.errors import FileError, GameError, ParameterError
from quantal.game import MarkovGame
from quantal.scenes.scene import Scene
from quantal.solution import Solution

if TYPE_CHECKING:
    from quantal.baselines.learned import Learned

ValueRule = Literal["expected", "soft", "greedy"]


@dataclass(frozen=True)
class Target:
    """A game, the setting that suits it, and the solution if a file was named."""

    game: MarkovGame
    beta: float | Sequence[float]
    horizon: int | None
    discount: float | Sequence[float] | None
    value: str
    solution: Solution | None


def read_target(name: str) -> Target:
    """Find a game by name, or in a scene or solution file."""
    scene = scene_named(name)
    if scene is not None:
        game = exact_game(scene)
        return Target(game, scene.beta_of(game), scene.horizon, None, scene.value, None)
    solution = saved(name)
    if solution is not None:
        from quantal.baselines.learned import Learned

        if isinstance(solution, CrowdSolution):
            raise ParameterError(
                f"{name}: a crowd's solution: this command needs one of a Markov game. Use quantal view or simulate"
            )
        if isinstance(solution, Learned):  # the game, as it was learned: an equilibrium of it is looked for beside it
            return Target(solution.game, 1.0, None, solution.parameters.discount, "expected", None)
        p = solution.parameters
        discount = None if p.horizon is not None and set(p.discount) == {1.0} else p.discount
        return Target(solution.game, p.beta, p.horizon, discount, p.value, solution)
    from quantal import games

    if name not in games.CATALOGUE:
        from quantal.scenes.reading import shipped

        there = (*games.CATALOGUE, *shipped())
        near = difflib.get_close_matches(name, there, n=3, cutoff=0.4)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(there)}."
        raise GameError(f"no game or scene {name!r}. {hint}")
    game = games.build(name)
    entry = games.CATALOGUE[name]
    return Target(game, entry.beta, entry.horizon, entry.discount, "expected", None)


def saved(name: str) -> Solution | CrowdSolution | Learned | None:
    """Load the solution of this file, or what was learned, or None if it is not the name of a file."""
    if not name.endswith(".nc") and os.sep not in name:
        return None
    from quantal import store

    return store.load(name)


def scene_named(name: str) -> Scene | None:
    """Read the scene of this name, or None if it is not the name of a scene."""
    from quantal.scenes import reading as scenefile

    return scenefile.read_scene(name) if name.endswith(".toml") or name in scenefile.shipped() else None


def exact_game(scene: Scene) -> MarkovGame:
    """Build the game on joint positions, or refuse where it is too large."""
    from quantal.scenes.scene import EXACT_ENTRIES

    if scene.exact_entries > EXACT_ENTRIES:
        raise ParameterError(
            f"{scene.name}: this command needs the exact game, which has {scene.exact_entries:,} joint positions times "
            f"joint actions: expected at most {EXACT_ENTRIES:,}. Use quantal solve, which plays it as a crowd"
        )
    return scene.exact()


def which_game(exact: bool, crowd: bool) -> Literal["auto", "exact", "crowd"]:
    """Which game of a scene is asked for."""
    if exact and crowd:
        raise ParameterError("--exact --crowd: expected at most one of them. Leave one out")
    return "exact" if exact else "crowd" if crowd else "auto"


class Setting(TypedDict):
    """What `quantal.solve` is asked for."""

    beta: Any
    horizon: int | None
    discount: Any
    value: str


def setting_for(
    target: Target, beta: str | None, horizon: int | None, discount: str | None, value: str | None
) -> Setting:
    """Take what was asked for; a horizon or a discount given replaces both of the game's own."""
    if horizon is None and discount is None:
        length = (target.horizon, target.discount)
    else:
        length = (horizon, None if discount is None else numbers_from("--discount", discount))
    return {
        "beta": target.beta if beta is None else numbers_from("--beta", beta),
        "horizon": length[0],
        "discount": length[1],
        "value": target.value if value is None else value,
    }


def numbers_from(option: str, text: str) -> float | list[float]:
    """Read a number, or one per agent."""
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise ParameterError(
            f"{option} {text!r}: expected a number, or one per agent with commas between them"
        ) from None
    return numbers[0] if len(numbers) == 1 else numbers


MOST_BETAS = 100_000


def betas_from(text: str) -> list[float]:
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


def states_from(solution: Solution, given: Sequence[str]) -> list[tuple[int, ...]]:
    """Read states, or choose a telling one."""
    from quantal.reports import solutions

    if not given:
        return [solutions.telling_state(solution)]
    return [solutions.parse_state(solution.game, text) for text in given]


def check_time(when: int, horizon: int | None) -> None:
    """Refuse a decision that is not there."""
    last = 0 if horizon is None else max(0, horizon - 1)
    if not 0 <= when <= last:
        raise ParameterError(f"--time {when}: expected 0..{last}, decisions counted from 0")


def check_writable(option: str, path: Path | None, endings: tuple[str, ...]) -> None:
    """Refuse a file that could not be written, before anyone waits for what goes into it."""
    if path is None:
        return
    if path.suffix.lower() not in endings:
        raise ParameterError(f"{option} {path}: expected a name that ends in {' or '.join(endings)}")
    if not path.parent.is_dir():
        raise FileError(f"{option} {path}: there is no directory {path.parent}. Create it, or choose another")


def make_directory(option: str, path: Path) -> None:
    """Make a directory for results, with those around it, or say why not."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise FileError(f"{option} {path}: this is a file. Give a directory, which need not exist") from error
    except OSError as error:
        raise FileError(f"{option} {path}: {error.strerror}. Give a directory that can be made") from error


PICTURE_ENDINGS = (".png", ".svg", ".pdf")

TargetArgument = Annotated[
    str,
    typer.Argument(
        metavar="NAME|SCENE.toml|FILE.nc",
        help="A game or scene of `quantal games`, a scene file, or what --save has kept.",
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
ExactOption = Annotated[bool, typer.Option("--exact", help="Play a scene on joint positions, whatever its size.")]
CrowdOption = Annotated[bool, typer.Option("--crowd", help="Play a scene as a crowd (MGE-FB), however small.")]
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


def refuse(when: str, given: dict[str, bool]) -> None:
    """Refuse options that mean nothing here."""
    for option, asked in given.items():
        if asked:
            raise ParameterError(f"{option}: {when}. Leave it out")
