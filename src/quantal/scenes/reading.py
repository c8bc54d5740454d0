"""Scene files: a map drawn in letters, and who is on it, in TOML (docs/scenes.md).

Everything is checked, from the outside in: TOML, keys and types (`quantal.scenes.schema`), map, kinds, agents. The
first mistake is reported with its line, what was expected, what was found and what to do.
"""

from __future__ import annotations

import datetime
import difflib
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from quantal.crowds.game import CrowdGame, Kind, Member, reachable, steps_to
from quantal.errors import FileError
from quantal.files import existing
from quantal.game import MarkovGame
from quantal.maps import DIAGONAL, ORTHOGONAL, STAY, WALL, Map
from quantal.scenes.scene import Play, Scene

if TYPE_CHECKING:
    from quantal.scenes.schema import Document, Mover, Wishes

TAB = "\t"
ARROWS = {"left": "<", "right": ">", "up": "^", "down": "v"}
OPPOSITE = {"<": ">", ">": "<", "^": "v", "v": "^"}

LEGEND: dict[str, tuple[str, str]] = {
    WALL: ("wall", ""),
    ".": ("floor", ""),
    "<": ("road", "<"),
    ">": ("road", ">"),
    "^": ("road", "^"),
    "v": ("road", "v"),
    "+": ("road", ""),
    "=": ("zebra", ""),
}
"""What letters mean unless a file says otherwise: ground, and the directions in which its lane may be left."""


def read_scene(path: str | os.PathLike[str]) -> Scene:
    """Read a scene file, or a scene that comes with Quantal, by name.

    Raises
    ------
    FileError
        If there is no such file, or anything in it is wrong: the message names the line and the key, what was
        expected, what was found and what to do.
    """
    given = Path(path)
    name = given.name.removesuffix(".toml")
    if not given.exists() and len(given.parts) == 1 and name in shipped():
        return parse_scene(_shipped_text(name), f"{name}.toml")
    if not given.exists() and not given.suffix:
        near = difflib.get_close_matches(name, shipped(), n=1)
        hint = f"Did you mean {near[0]}?" if near else f"Scenes that come with Quantal: {', '.join(shipped())}."
        raise FileError(f"{given}: no such scene. {hint} A file of your own ends in .toml")
    file = existing(given)
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FileError(
            f"{file}: expected text in UTF-8: got byte {error.object[error.start]:#04x} at {error.start}. "
            "Is this a scene file?"
        ) from error
    except OSError as error:
        raise FileError(f"{file}: cannot be read ({error.strerror})") from error
    return parse_scene(text, str(file))


def parse_scene(text: str, name: str = "scene") -> Scene:
    """Read a scene from the text of its file; `name` begins every message.

    Raises
    ------
    FileError
        If anything in it is wrong.
    """
    return _Reader(_Source(name, text.removeprefix("\ufeff"))).scene()  # some editors begin files with this mark


def load_scene(path: str | os.PathLike[str], play: Play = "auto") -> CrowdGame | MarkovGame:
    """Read a scene file (or a scene that comes with Quantal, by name) and make its game.

    Parameters
    ----------
    path
        The file, or ``"junction"``, ``"four-way-stop"``, ``"warehouse"``.
    play
        `crowd`: agents meet each other's occupancy (MGE-FB). `exact`: the Markov game on joint positions. `auto`: the
        exact one where it is small, else the crowd.

    Raises
    ------
    FileError
        If anything in the file is wrong; the message names its place, what was expected, what was found.
    """
    return read_scene(path).game(play)


def shipped() -> tuple[str, ...]:
    """Names of the scenes that come with Quantal."""
    return tuple(sorted(file.name.removesuffix(".toml") for file in _folder().iterdir() if file.name.endswith(".toml")))


def heading(name: str) -> dict[str, Any]:
    """Title, horizon and number of agents of a scene that comes with Quantal, without checking the rest."""
    data = tomllib.loads(_shipped_text(name))
    return {
        "title": data["title"],
        "horizon": data["horizon"],
        "agents": sum(agent.get("count", 1) for agent in data["agents"]),
    }


def _folder() -> Traversable:
    return resources.files("quantal.scenes")


def _shipped_text(name: str) -> str:
    return (_folder() / f"{name}.toml").read_text(encoding="utf-8")


# ---------------------------------------------------------------------- where things stand in the file


Keys = tuple[str | int, ...]


@dataclass(frozen=True)
class _Source:
    """The text of a file, and where in it a key stands."""

    name: str
    text: str

    def error(self, keys: Keys, what: str, row: int | None = None, who: str = "") -> FileError:
        """Make an error that names the file, the line and the key."""
        line = self.line(keys)
        if line is not None and row is not None:
            line += row + self._first_row(line)
        place = f"{self.name}, line {line}" if line is not None else self.name
        return FileError(f"{place}: {who or _dotted(keys)}: {what}")

    def line(self, keys: Keys) -> int | None:
        """Line, from 1, of the deepest part of a key's path that has one of its own."""
        lines = self._lines
        for end in range(len(keys), 0, -1):
            if keys[:end] in lines:
                return lines[keys[:end]]
        return None

    @cached_property
    def _lines(self) -> dict[Keys, int]:
        """Lines of tables and keys, as far as they can be told without parsing values."""
        found: dict[Keys, int] = {}
        counts: dict[str, int] = {}
        table: Keys = ()
        fence = ""  # inside a text of several lines nothing is a key
        for number, line in enumerate(self.text.split("\n"), 1):
            if fence:
                fence = "" if fence in line else fence
                continue
            if match := re.match(r"\s*\[\[\s*([\w-]+)\s*\]\]", line):
                k = counts[match[1]] = counts.get(match[1], -1) + 1
                table = (match[1], k)
                found.setdefault((match[1],), number)
                found[table] = number
            elif match := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
                table = tuple(part.strip().strip("\"'") for part in match[1].split("."))
                found.setdefault(table, number)
            elif match := re.match(r"""\s*("[^"]*"|'[^']*'|[\w.-]+)\s*=""", line):
                key = match[1]
                parts = (key[1:-1],) if key[0] in "\"'" else tuple(key.split("."))
                found.setdefault(table + parts, number)
                for mark in ('"""', "'''"):
                    if line.count(mark) == 1:
                        fence = mark
        return found

    def _first_row(self, line: int) -> int:
        """Lines between a key and the first row of its drawing."""
        return int(re.search(r'("""|\'\'\')\s*$', self.text.split("\n")[line - 1]) is not None)


def _dotted(keys: Keys) -> str:
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text or "file"


def _nearest(word: str, known: Iterable[str]) -> str:
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"Expected one of {', '.join(known)}"


# ---------------------------------------------------------------------- from text to scene


class _Reader:
    """Checks a file from the outside in: TOML, keys, map, kinds, agents; the first mistake ends it."""

    def __init__(self, source: _Source) -> None:
        self.source = source
        self.error = source.error

    def scene(self) -> Scene:
        """Read everything."""
        given = self._document()
        self.given = given
        self._read_map(given)
        self.places = self._read_places(given.places)
        movers = list(given.kinds.items())
        for name, mover in movers:
            self._check_grounds(("kinds", name), mover.rewards or {}, mover.ground or ())
        kinds = tuple(self._kind(name, mover) for name, mover in movers)
        self.kinds = {kind.name: kind for kind in kinds}
        members, betas = self._members(given)
        return Scene(
            name=Path(self.source.name).name.removesuffix(".toml"),
            title=given.title,
            about=given.about,
            horizon=given.horizon,
            value=given.value,
            beta=betas,
            map=self.map,
            drawing=self.drawing,
            ground=self.ground,
            lanes=self.lanes,
            kinds=kinds,
            members=members,
            kind_weights=self._weights(given.weights, list(given.kinds)),
            nearness=tuple(given.nearness),
            final_interaction=given.final_interaction,
            text=self.source.text,
        )

    # ------------------------------------------------------------------ keys

    def _document(self) -> Document:
        try:
            data = tomllib.loads(self.source.text)
        except tomllib.TOMLDecodeError as error:
            raise self._not_toml(str(error)) from error
        from pydantic import ValidationError

        from quantal.scenes.schema import Document

        try:
            return Document.model_validate(data)
        except ValidationError as error:
            raise self._schema_error(data, error.errors()) from None

    def _not_toml(self, said: str) -> FileError:
        """Put the place where everyone looks for it."""
        where = re.search(r" \(at line (\d+), column (\d+)\)$", said)
        place = f", line {where[1]}" if where else ""
        what = f"column {where[2]}: {said[: where.start()]}" if where else said
        remedy = "docs/scenes.md shows a scene file"
        if "('agents',)" in said:
            remedy = "Every agent has a table of its own, in double brackets: [[agents]]"
        return FileError(f"{self.source.name}{place}: not TOML: {what}. {remedy}")

    def _schema_error(self, data: Mapping[str, Any], errors: Sequence[Any]) -> FileError:
        # An unknown key is most often a misspelt one, which another error then misses.
        problem = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
        keys: Keys = tuple(part for part in problem["loc"] if part != "[key]")
        kind, got, key = problem["type"], problem["input"], str(keys[-1]) if keys else ""
        if kind == "extra_forbidden" and len(keys) > 1 and key in _known_keys(()):
            said = "unknown key here: it belongs to the whole scene. Move it above the first table"
        elif kind == "extra_forbidden":
            said = f"unknown key. {_nearest(key, _known_keys(keys))}"
        elif kind == "missing":
            elsewhere = _table_with(key, data) if len(keys) == 1 else ""
            remedy = f"It stands under {elsewhere}: move it above the first table" if elsewhere else ""
            said = f"expected this key: got none. {remedy or _REMEDY.get(key, 'Add it')}"
        else:
            expected = problem["msg"].removeprefix("Input should be ").removeprefix("String should ")
            expected = expected.replace("greater than or equal to", "at least").replace("greater than", "more than")
            expected = expected.replace("less than or equal to", "at most")
            if kind in ("string_too_long", "string_too_short"):
                expected = "one letter" if keys[:1] == ("legend",) and len(keys) == 2 else "at least one letter"
            said = f"expected {_EXPECTED.get(kind, expected)}: got {_as_written(got)}"
            if len(keys) == 1 and kind.endswith("_type") and (remedy := _REMEDY.get(key)):
                said += f". {remedy}"
        more = f" ({len(errors) - 1} more to correct)" if len(errors) > 1 else ""
        return self.error(keys, said + more, who=_whose(data, keys))

    # ------------------------------------------------------------------ map

    def _read_map(self, given: Document) -> None:
        legend = LEGEND | {letter: (meant.ground, meant.lane) for letter, meant in given.legend.items()}
        rows = _rows(given.map)
        if not rows:
            raise self.error(("map",), 'expected rows of letters: got nothing. Draw it between """ and """')
        width = Counter(map(len, rows)).most_common(1)[0][0]
        for r, row in enumerate(rows):
            if len(row) != width:
                remedy = f"Fill it up with {WALL!r}" if len(row) < width else "Shorten it"
                remedy += ", or take the blank line out" * (not row)
                raise self.error(
                    ("map",),
                    f"row {r} {row!r}: expected {width} letters, like the other rows: got {len(row)}. {remedy}",
                    row=r,
                )
            for c, letter in enumerate(row):
                if letter not in legend and letter.isspace():
                    raise self.error(
                        ("map",),
                        f"row {r}, column {c}: {'a tab' if letter == TAB else 'a blank'}: expected a letter in every "
                        f"cell. Begin rows at the left edge, and draw what nobody enters as {WALL!r}",
                        row=r,
                    )
                if letter not in legend:
                    raise self.error(
                        ("map",),
                        f"row {r}, column {c}: unknown letter {letter!r}: expected one of {' '.join(legend)}. Correct "
                        f'it, or say under [legend] what it means: {letter!r} = {{ ground = "floor" }}',
                        row=r,
                    )
        normal = tuple("".join(WALL if legend[x][0] == "wall" else "." for x in row) for row in rows)
        self.map, self.drawing = Map(normal), tuple(rows)
        if not self.map.cells:
            raise self.error(("map",), "expected at least one cell that is not a wall: got none. Open one")
        marks = [rows[y][x] for x, y in self.map.cells]
        self.ground = tuple(legend[mark][0] for mark in marks)
        self.lanes = tuple(legend[mark][1] for mark in marks)

    def _read_places(self, drawing: str) -> dict[str, list[tuple[int, int]]]:
        """Cells (row, column) of every mark of the second drawing; dots, walls and blanks mark nothing."""
        rows = _rows(drawing)
        height, width = len(self.drawing), len(self.drawing[0])
        places: dict[str, list[tuple[int, int]]] = {}
        if len(rows) > height:
            raise self.error(("places",), f"expected at most {height} rows, like the map: got {len(rows)}", row=height)
        for r, row in enumerate(rows):
            if len(row) > width:
                raise self.error(
                    ("places",),
                    f"row {r} {row!r}: expected at most {width} letters, like the map: got {len(row)}",
                    row=r,
                )
            for c, letter in enumerate(row):
                if letter not in " .#":
                    places.setdefault(letter, []).append((r, c))
        return places

    # ------------------------------------------------------------------ kinds

    def _check_grounds(self, keys: Keys, rewards: Mapping[str, float], ground: Sequence[str]) -> None:
        known = list(dict.fromkeys(self.ground))
        for key, names in (("rewards", rewards), ("ground", ground)):
            for name in names:
                if name not in known:
                    raise self.error((*keys, key), f"no {name!r} on the map. {_nearest(name, known)}")

    def _kind(self, name: str, mover: Mover) -> Kind:
        if mover.lanes and mover.diagonal:
            raise self.error(
                ("kinds", name, "diagonal"), "expected lanes or diagonal moves: got both. Lanes have four directions"
            )
        steps = ORTHOGONAL | (DIAGONAL if mover.diagonal else {}) | STAY
        moves = self.map.moves(steps)
        ground = np.array(self.ground)
        allowed = np.isin(ground, mover.ground) if mover.ground is not None else np.ones(len(ground), dtype=bool)
        legal = moves.legal & allowed[:, None] & allowed[moves.successors]
        if mover.lanes:
            for a, arrow in enumerate(ARROWS[step] for step in ORTHOGONAL):
                leaves = np.array([not lane or arrow in lane for lane in self.lanes])
                against = np.array([OPPOSITE[arrow] in lane and arrow not in lane for lane in self.lanes])
                legal[:, a] &= leaves & ~against[moves.successors[:, a]]
        successors, chances = moves.successors[..., None], None
        if mover.pace < 1:
            own = np.broadcast_to(np.arange(len(ground))[:, None, None], successors.shape)
            successors = np.concatenate([successors, own], axis=2)
            chances = np.broadcast_to([mover.pace, 1 - mover.pace], successors.shape)
        return Kind(
            name,
            actions=moves.names,
            successors=successors,
            probabilities=chances,
            legal=legal,
            rewards=self._rewards(mover),
        )

    def _rewards(self, *wishes: Wishes) -> np.ndarray:
        """R(x), (n,), from the first of these that says something."""
        step = _first_said("step", wishes, -1.0)
        extra = cast(dict[str, float], _first_said("rewards", wishes, {}))
        return np.array([step + extra.get(ground, 0.0) for ground in self.ground])

    def _weights(self, given: Any, names: list[str]) -> np.ndarray | None:
        if given is None:
            return None
        weights = np.zeros((len(names), len(names)))
        shape = f"{len(names)} x {len(names)} numbers, who feels by who is felt, in the order {', '.join(names)}"
        if isinstance(given, list):
            rows = cast(list[Any], given)
            for row in rows:
                if not isinstance(row, list) or len(cast(list[Any], row)) != len(names) or len(rows) != len(names):
                    sizes = " + ".join(str(len(cast(list[Any], r))) if isinstance(r, list) else repr(r) for r in rows)
                    raise self.error(("weights",), f"expected {shape}: got {len(rows)} rows of {sizes}")
            pairs = [((a, b), x) for a, row in enumerate(rows) for b, x in enumerate(row)]
            if not rows:
                raise self.error(("weights",), f"expected {shape}: got no rows")
        elif isinstance(given, dict):
            pairs = []
            for a, row in cast(dict[str, Any], given).items():
                if not isinstance(row, dict):
                    raise self.error(
                        ("weights", a), f"expected a table: weights.{a} = {{ {names[0]} = 1.0 }}: got {row!r}"
                    )
                for b, x in cast(dict[str, Any], row).items():
                    for kind in (a, b):
                        if kind not in names:
                            raise self.error(("weights", a, b), f"no kind {kind!r}. {_nearest(kind, names)}")
                    pairs.append(((names.index(a), names.index(b)), x))
        else:
            raise self.error(("weights",), f"expected {shape}: got {given!r}")
        for (a, b), x in pairs:
            if isinstance(x, bool) or not isinstance(x, (int, float)) or not np.isfinite(x):
                raise self.error(("weights", names[a], names[b]), f"expected a finite number: got {x!r}")
            weights[a, b] = x
        return weights

    # ------------------------------------------------------------------ agents

    def _members(self, given: Document) -> tuple[tuple[Member, ...], tuple[float, ...]]:
        members: list[Member] = []
        betas: list[float] = []
        seen: dict[str, int] = {}
        shared: dict[tuple[Any, ...], np.ndarray] = {}
        for k, agent in enumerate(given.agents):
            keys: Keys = ("agents", k)
            who = f"agent {agent.name!r}"
            if agent.name in seen:
                raise self.error(
                    (*keys, "name"),
                    f"expected a name of its own: got that of entry {seen[agent.name]}, too. Rename one, or use count",
                    who=who,
                )
            seen[agent.name] = k
            if agent.kind not in given.kinds:
                raise self.error(
                    (*keys, "kind"), f"no kind {agent.kind!r}. {_nearest(agent.kind, given.kinds)}", who=f"{who}, kind"
                )
            mover, kind = given.kinds[agent.kind], self.kinds[agent.kind]
            self._check_grounds(keys, agent.rewards or {}, ())
            wishes = (agent, mover)
            beta = _first_said("beta", wishes, None)
            if beta is None:
                raise self.error(
                    (*keys, "beta"),
                    f"expected a precision, here or under [kinds.{agent.kind}]: got none. Add beta = 1.0",
                    who=f"{who}, beta",
                )
            start = self._start(keys, who, kind, agent.start)
            goal = None if agent.goal is None else self._place((*keys, "goal"), f"{who}, goal", kind, agent.goal)
            if goal is not None:
                self._check_way(keys, who, kind, start, goal)
            own = None
            if agent.step is not None or agent.rewards is not None:
                key = (agent.kind, agent.step, tuple(sorted((agent.rewards or {}).items())), agent.rewards is None)
                own = shared.setdefault(key, self._rewards(agent, mover))
            members.append(
                Member(
                    agent.name,
                    agent.kind,
                    start=start,
                    goal=goal,
                    goal_reward=_first_said("goal_reward", wishes, 0.0),
                    present_at_goal=_first_said("present_at_goal", wishes, False),
                    weight=_first_said("weight", wishes, 1.0),
                    count=agent.count,
                    horizon=_first_said("horizon", wishes, None),
                    rewards=own,
                )
            )
            betas.append(float(beta))
        return tuple(members), tuple(betas)

    def _start(self, keys: Keys, who: str, kind: Kind, given: Any) -> int | np.ndarray:
        """A cell, or a distribution (n,): uniform over several, or by the weights of a table."""
        keys, who = (*keys, "start"), f"{who}, start"
        if isinstance(given, dict):
            return self._weighed(keys, who, kind, cast(dict[str, Any], given))
        if isinstance(given, str) and len(self.places.get(given, ())) > 1:
            given = [list(place) for place in self.places[given]]
        several = isinstance(given, list) and any(isinstance(part, (list, str)) for part in cast(list[Any], given))
        cells = sorted({self._place(keys, who, kind, part) for part in (given if several else [given])})
        if len(cells) == 1:
            return cells[0]
        start = np.zeros(len(self.map))
        start[cells] = 1 / len(cells)
        return start

    def _weighed(self, keys: Keys, who: str, kind: Kind, given: dict[str, Any]) -> np.ndarray:
        """A distribution (n,) by the weights of places; a mark's is shared by the cells that it marks."""
        start = np.zeros(len(self.map))
        for name, weight in given.items():
            if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 < weight < np.inf:
                raise self.error(
                    keys,
                    f"{name}: expected a weight above 0: got {_as_written(weight)}. Leave out where none is",
                    who=who,
                )
            places = self.places.get(name, ())
            there = [list(place) for place in places] if len(places) > 1 else [name]
            for part in there:
                start[self._place(keys, who, kind, part)] += weight / len(there)
        if not given:
            raise self.error(keys, "expected places and weights: got none. Name one: { r0c0 = 1.0 }", who=who)
        return start / start.sum()

    def _place(self, keys: Keys, who: str, kind: Kind, given: Any) -> int:
        """Return the number of a cell given by mark, label, or [row, column]."""
        height, width = len(self.drawing), len(self.drawing[0])
        if isinstance(given, str) and given in self.places:
            if len(self.places[given]) > 1:
                raise self.error(
                    keys, f"expected one cell: got mark {given!r}, drawn {len(self.places[given])} times", who=who
                )
            row, column = self.places[given][0]
        elif isinstance(given, str) and (match := re.fullmatch(r"r(\d+)c(\d+)", given)):
            row, column = int(match[1]), int(match[2])
        elif isinstance(given, str):
            marks = ", ".join(map(repr, self.places)) or "none"
            raise self.error(
                keys,
                f"no place {given!r}: expected a mark of places ({marks}), a label like r0c0, or [row, column]",
                who=who,
            )
        elif isinstance(given, list) and len(given) == 2 and all(type(part) is int for part in given):
            row, column = given
        else:
            raise self.error(keys, f"expected a mark, a label like r0c0, or [row, column]: got {given!r}", who=who)
        if not (0 <= row < height and 0 <= column < width):
            raise self.error(
                keys, f"row {row}, column {column} is off the map: expected 0..{height - 1}, 0..{width - 1}", who=who
            )
        cell = self.map.number.get((column, row))
        if cell is None or kind.walls[cell]:
            what = "a wall" if cell is None else f"{self.ground[cell]}, where no {kind.name} may be"
            near = self._nearest_free(kind, row, column)
            raise self.error(
                keys,
                f"row {row}, column {column} ({self.drawing[row]!r}) is {what}: expected a cell that a {kind.name} may "
                f"enter{near}",
                who=who,
            )
        return cell

    def _nearest_free(self, kind: Kind, row: int, column: int) -> str:
        free = np.flatnonzero(~kind.walls)
        if not free.size:
            return ""
        apart = np.abs(self.map.coordinates[free] - (column, row)).sum(axis=1)
        return f", like {self.map.labels[free[apart.argmin()]]}"

    def _check_way(self, keys: Keys, who: str, kind: Kind, start: int | np.ndarray, goal: int) -> None:
        steps = steps_to(kind, goal)
        starts = np.array([start]) if isinstance(start, int) else np.flatnonzero(start)
        lost = starts[steps[starts] < 0]
        if lost.size:
            first, labels = int(lost[0]), self.map.labels
            reached = reachable(kind, np.array([first]), None)
            apart = np.abs(self.map.coordinates[reached] - self.map.coordinates[goal]).sum(axis=1)
            nearest = int(reached[apart.argmin()])
            got = "no way out of it" if reached.size == 1 else f"one that ends at {labels[nearest]}, if not earlier"
            raise self.error(
                (*keys, "goal"),
                f"{labels[goal]} cannot be reached from {labels[first]} by moves of a {kind.name}: expected a way: got "
                f"{got}. Check walls, ground and the arrows of lanes there",
                who=f"{who}, goal",
            )


_EXPECTED = {
    "too_short": "at least one entry",
    "model_type": "a table of keys",
    "dict_type": "a table of keys",
    "list_type": "a list, in [ ]",
    "string_type": "a text, in quotes",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "string_pattern_mismatch": "directions out of < > ^ v",
}
"""By pydantic's name of the error, what should have stood there."""


def _as_written(value: Any) -> str:
    """Write a value about as it stands in the file."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (datetime.date, datetime.time)) else repr(value)


_REMEDY = {
    "horizon": "Add horizon = 20, the number of decisions",
    "map": 'Draw one between """ and """',
    "kinds": "Say how agents move, under [kinds.NAME]",
    "agents": "Put someone on the map, under [[agents]]",
    "start": 'Add start = "A", a mark of places, or start = [row, column]',
}


def _rows(drawing: str) -> list[str]:
    """Rows of a drawing without blank ones below it."""
    rows = [row.rstrip() for row in drawing.split("\n")]
    while rows and not rows[-1]:
        rows.pop()
    return rows


def _first_said(key: str, wishes: Sequence[Wishes], default: Any) -> Any:
    return next((said for wish in wishes if (said := getattr(wish, key)) is not None), default)


def _known_keys(keys: Keys) -> list[str]:
    """Keys of the table that an unknown one stands in."""
    from quantal.scenes.schema import Agent, Document, Ground, Mover

    tables = {"agents": Agent, "kinds": Mover, "legend": Ground}
    return list((tables[str(keys[0])] if len(keys) > 2 else Document).model_fields)


def _table_with(key: str, data: Mapping[str, Any]) -> str:
    """Name a table in which a key of the whole scene stands, as every key below a table's name belongs to it."""
    for name, table in data.items():
        each = cast(list[Any], table) if isinstance(table, list) else [table]
        if any(isinstance(entry, dict) and key in entry for entry in each):
            return f"[[{name}]]" if isinstance(table, list) else f"[{name}]"
        if isinstance(table, dict) and (below := _table_with(key, cast(dict[str, Any], table))):
            return f"[{name}.{below.strip('[]')}]"
    return ""


def _whose(data: Mapping[str, Any], keys: Keys) -> str:
    """Name a key by its agent where that has a name."""
    if len(keys) >= 2 and keys[0] == "agents" and isinstance(keys[1], int):
        agent = data["agents"][keys[1]]
        if isinstance(agent, dict) and isinstance(name := cast(dict[str, Any], agent).get("name"), str):
            return ", ".join([f"agent {name!r}", *([_dotted(keys[2:])] if keys[2:] else [])])
    return ""
