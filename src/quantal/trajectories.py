"""What was played: episodes of states, actions and rewards, from a simulation or an experiment.

An episode of L decisions is x_0, a_0, r_0, x_1, ..., a_{L-1}, r_{L-1}, x_L and a final reward. Episodes lie side by
side in arrays, shorter ones padded with -1. In files there is one row for each state that was visited:

    episode, time, one column per state axis, ``action_<agent>``, ``reward_<agent>``

with states and actions by their labels. The row of the last state has no actions, and the final rewards for rewards.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Integer
from numpy.typing import ArrayLike

from quantal.crowds.game import CrowdGame
from quantal.errors import FileError, ParameterError
from quantal.files import existing, replacing
from quantal.game import MarkovGame
from quantal.request import per_agent
from quantal.solution import PerAgent

CHUNK_ROWS = 2**20
"""Rows of a file that are made, or counted, at a time."""


def state_axes(game: MarkovGame | CrowdGame) -> tuple[str, ...]:
    """Names of the state axes, in files and in labelled arrays; a crowd has one for each member."""
    if isinstance(game, CrowdGame) or game.product:
        return tuple(f"state_{agent}" for agent in game.agents)
    if len(game.state_shape) == 1:
        return ("state",)
    return tuple(f"state_{k}" for k in range(len(game.state_shape)))


def smallest(count: int) -> np.dtype:
    """The smallest signed integers that hold 0..count-1, and -1."""
    return np.min_scalar_type(-count)


@dataclass(frozen=True, eq=False, kw_only=True)
class Trajectories:
    """Episodes of play; made by `quantal.simulate`, `from_arrays`, `from_csv` or `from_parquet`.

    Attributes
    ----------
    agents, state_labels, action_labels
        Names: the agents', and per state axis and per agent what the numbers below stand for.
    axes
        Names of the state axes.
    states
        Index on every state axis, (episodes, T + 1, axes); -1 after the end of an episode, and where
        the state after the last decision was not observed.
    actions
        (episodes, T, agents); -1 after the end of an episode.
    lengths
        Decisions in each episode, (episodes,).
    rewards
        (episodes, T, agents), 0 after the end; None if they were not recorded.
    final_rewards
        (episodes, agents); None if rewards were not recorded.
    discount
        Per agent, how `score` weighs a reward one step later.
    """

    agents: tuple[str, ...]
    axes: tuple[str, ...]
    state_labels: tuple[tuple[str, ...], ...] = field(repr=False)
    action_labels: tuple[tuple[str, ...], ...] = field(repr=False)
    actions: Integer[np.ndarray, "episodes T agents"] = field(repr=False)
    states: Integer[np.ndarray, "episodes T+1 axes"] = field(repr=False)
    lengths: Integer[np.ndarray, " episodes"] = field(repr=False)
    rewards: Float[np.ndarray, "episodes T agents"] | None = field(default=None, repr=False)
    final_rewards: Float[np.ndarray, "episodes agents"] | None = field(default=None, repr=False)
    discount: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.discount:
            object.__setattr__(self, "discount", (1.0,) * len(self.agents))
        for name in ("states", "actions", "lengths", "rewards", "final_rewards"):
            if (array := getattr(self, name)) is not None:
                view = array.view()  # read-only through us; the caller's own array is left alone
                view.setflags(write=False)
                object.__setattr__(self, name, view)

    # ------------------------------------------------------------------ making

    @staticmethod
    def from_arrays(
        game: MarkovGame,
        states: ArrayLike,
        actions: ArrayLike,
        *,
        rewards: ArrayLike | None = None,
        final_rewards: ArrayLike | None = None,
        discount: float | Sequence[float] = 1.0,
    ) -> Trajectories:
        """Make trajectories of a game from index arrays.

        Parameters
        ----------
        game
            Whose states and actions the numbers stand for.
        states
            Integers (episodes, T + 1, axes), or (episodes, T, axes) if the state after the last
            decision was not observed; the last axis may be left out where there is one.
        actions
            Integers (episodes, T, agents); an episode ends where -1 begins.
        rewards, final_rewards
            (episodes, T, agents) and (episodes, agents).
        discount
            For `score`; a number or one per agent.

        Raises
        ------
        ParameterError
            If shapes disagree, a number is out of range or an action is illegal; names the episode,
            the time and the agent.
        """
        chosen = _integers(actions, "actions")
        places = _integers(states, "states")
        agents, axes = game.number_of_agents, len(game.state_shape)
        if chosen.ndim != 3 or chosen.shape[-1] != agents:
            raise ParameterError(
                f"actions: expected (episodes, T, {agents}), the last axis over "
                f"{', '.join(game.agents)}: got {chosen.shape}"
            )
        episodes, steps = chosen.shape[:2]
        if places.ndim == 2 and axes == 1:
            places = places[..., None]
        if places.shape == (episodes, steps, axes):
            places = np.concatenate([places, np.full((episodes, 1, axes), -1)], axis=1)
        if places.shape != (episodes, steps + 1, axes):
            raise ParameterError(
                f"states: expected ({episodes}, {steps + 1}, {axes}) for actions {chosen.shape} and "
                f"{axes} state axes: got {places.shape}"
            )
        over = (chosen < 0).all(axis=-1)
        lengths = np.where(over.any(axis=-1), over.argmax(axis=-1) if steps else 0, steps)
        played = np.arange(steps) < lengths[:, None]
        _check_ranges(game, places, chosen, lengths, played)
        bad = first_illegal(game, places[:, :-1][played], chosen[played])
        if bad is not None:
            row, message = bad
            episode, time = (int(k[row]) for k in np.nonzero(played))
            raise ParameterError(f"episode {episode}, time {time}: {message}")
        paid, final = _rewards_of(rewards, final_rewards, chosen.shape)
        if paid is not None:
            paid[~played] = 0.0
        after = np.arange(steps + 1) > lengths[:, None]
        return Trajectories(
            agents=game.agents,
            axes=state_axes(game),
            state_labels=game.state_labels,
            action_labels=game.actions,
            states=np.where(after[..., None], -1, places).astype(smallest(max(game.state_shape))),
            actions=np.where(played[..., None], chosen, -1).astype(smallest(max(game.action_counts))),
            lengths=lengths,
            rewards=paid,
            final_rewards=final,
            discount=tuple(map(float, per_agent(game, "discount", discount))),
        )

    # ------------------------------------------------------------------ reading

    @cached_property
    def score(self) -> PerAgent:
        """Discounted sum of rewards per agent and episode, final rewards included: (episodes,) each.

        Raises
        ------
        ParameterError
            If rewards were not recorded.
        """
        if self.rewards is None or self.final_rewards is None:
            raise ParameterError("score: these trajectories have no rewards. Give rewards= (or reward columns)")
        scores = []
        for i, discount in enumerate(self.discount):
            weights = discount ** np.arange(self.rewards.shape[1])
            last = discount**self.lengths
            scores.append(self.rewards[..., i] @ weights + last * self.final_rewards[:, i])
        return PerAgent(self.agents, tuple(scores))

    def counts(self, game: MarkovGame, *, by_time: bool = False) -> tuple[np.ndarray, ...]:
        """How often each agent chose each action in each state.

        Parameters
        ----------
        game
            The game, or one with the same states and actions.
        by_time
            Count every decision time by itself.

        Returns
        -------
        tuple
            Integer arrays (*states, A_i) per agent; (T, *states, A_i) by time.

        Raises
        ------
        ParameterError
            If the game has other agents, states or actions.
        """
        self._check_game(game)
        steps, states = self.actions.shape[1], game.number_of_states
        times = steps if by_time else 1
        totals = [np.zeros(times * states * a, dtype=np.int64) for a in game.action_counts]
        size = max(1, CHUNK_ROWS // max(1, steps))
        for first in range(0, len(self), size):
            part = slice(first, first + size)
            episode, time = np.nonzero(np.arange(steps) < self.lengths[part, None])
            where = np.moveaxis(self.states[part][episode, time].astype(np.intp), -1, 0)
            cell = np.ravel_multi_index(tuple(where), game.state_shape)
            if by_time:
                cell += time * states
            for i, total in enumerate(totals):
                count = game.action_counts[i]
                cells = cell * count + self.actions[part][episode, time, i]
                total += np.bincount(cells, minlength=total.size)
        lead = (steps,) if by_time else ()
        return tuple(total.reshape(*lead, *game.state_shape, -1) for total in totals)

    def _check_game(self, game: MarkovGame) -> None:
        for what, mine, theirs in (
            ("agents", self.agents, game.agents),
            ("state labels", self.state_labels, game.state_labels),
            ("actions", self.action_labels, game.actions),
        ):
            if mine != theirs:
                raise ParameterError(
                    f"these trajectories are of another game: {what}: expected {_short(theirs)}: got {_short(mine)}"
                )

    def __len__(self) -> int:
        return self.actions.shape[0]

    def __repr__(self) -> str:
        shortest, longest = (int(self.lengths.min()), int(self.lengths.max())) if len(self) else (0, 0)
        steps = f"{longest}" if shortest == longest else f"{shortest} to {longest}"
        without = "" if self.rewards is not None else "; no rewards"
        return f"<Trajectories: {len(self)} episodes of {steps} decisions; agents {', '.join(self.agents)}{without}>"

    # ------------------------------------------------------------------ files

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a CSV file, whole or not at all; columns as in ``help("quantal.trajectories")``.

        Raises
        ------
        FileError
            If the directory cannot be written.
        """
        # pyarrow takes longer to load than a small game to solve: only who needs it waits.
        import pyarrow as pa
        import pyarrow.csv

        columns = self._columns()
        labels = (label for names in (*self.state_labels, *self.action_labels) for label in names)
        plain = all(label and not set(label) & set(',"\r\n') for label in labels)
        options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="none" if plain else "needed")
        schema = pa.schema([(name, pa.string() if words else kind) for name, kind, words in columns])
        with replacing(path) as temporary, temporary.open("wb") as file:
            header = [name for name, _, _ in columns]
            file.write((",".join(map(_quoted, header)) + "\n").encode())
            with pyarrow.csv.CSVWriter(file, schema, write_options=options) as writer:
                for table in self._tables():
                    writer.write_table(table.cast(schema))

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write a Parquet file, whole or not at all; columns as in ``help("quantal.trajectories")``.

        Raises
        ------
        FileError
            If the directory cannot be written.
        """
        import pyarrow as pa  # late: see to_csv
        import pyarrow.parquet

        schema = pa.schema([(name, kind) for name, kind, _ in self._columns()])
        with (
            replacing(path) as temporary,
            pyarrow.parquet.ParquetWriter(temporary, schema) as writer,
        ):
            for table in self._tables():
                writer.write_table(table)

    @staticmethod
    def from_csv(
        path: str | os.PathLike[str],
        game: MarkovGame | CrowdGame,
        *,
        discount: float | Sequence[float] = 1.0,
    ) -> Trajectories:
        """Read a CSV file with the columns of ``help("quantal.trajectories")``, in any order.

        Episodes are numbered anew, in increasing order. The last row of an episode may be left out (the
        state after the last decision is then unknown), and so may all reward columns; further columns are
        ignored.

        Parameters
        ----------
        path
            The file.
        game
            Whose agents, states and actions the columns hold; of a crowd, members' cells.
        discount
            For `score`; a number or one per agent.

        Raises
        ------
        FileError
            If the file is missing or does not hold play of this game; names the line and column, what was
            expected and what was found.
        """
        import pyarrow as pa  # late: see to_csv
        import pyarrow.csv

        file = existing(path)
        wanted = _Wanted.of(game)
        header = _header(file)
        present = wanted.check_columns(file, header)
        kinds = {name: _kind(pa, wanted, name) for name in present}
        breaks = any("\n" in x for names in wanted.labels.values() for x in names)
        try:
            table = pyarrow.csv.read_csv(
                file,
                parse_options=pyarrow.csv.ParseOptions(newlines_in_values=breaks, ignore_empty_lines=False),
                convert_options=pyarrow.csv.ConvertOptions(
                    column_types=kinds,
                    include_columns=present,
                    strings_can_be_null=True,
                    null_values=[""],
                    quoted_strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid as error:
            raise _diagnosis(file, wanted, present, error) from error
        return _from_table(file, game, wanted, table, "line", 2, discount)

    @staticmethod
    def from_parquet(
        path: str | os.PathLike[str],
        game: MarkovGame | CrowdGame,
        *,
        discount: float | Sequence[float] = 1.0,
    ) -> Trajectories:
        """Read a Parquet file with the columns of ``help("quantal.trajectories")``; see `from_csv`.

        Raises
        ------
        FileError
            If the file is missing, torn, or does not hold play of this game; names the row (counted from
            1) and column, what was expected and what was found.
        """
        import pyarrow as pa  # late: see to_csv
        import pyarrow.parquet

        file = existing(path)
        wanted = _Wanted.of(game)
        try:
            schema = pyarrow.parquet.read_schema(file)
            present = wanted.check_columns(file, schema.names)
            table = pyarrow.parquet.read_table(file, columns=present)
        except (pa.ArrowInvalid, OSError) as error:
            raise FileError(
                f"{file}: not a whole Parquet file ({error}). Write it again with to_parquet, or read a "
                "CSV file with from_csv"
            ) from error
        for name in present:
            kind = _kind(pa, wanted, name)
            if table[name].type == kind:
                continue
            try:
                table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(kind))
            except pa.ArrowInvalid as error:
                raise FileError(
                    f"{file}: column {name!r}: expected {_noun(kind)}: got {table[name].type} ({error})"
                ) from error
        return _from_table(file, game, wanted, table, "row", 1, discount)

    def _columns(self) -> list[tuple[str, Any, bool]]:
        """Per column: name, type, and whether it holds labels."""
        import pyarrow as pa  # late: see to_csv

        words = pa.dictionary(pa.int32(), pa.string())
        columns: list[tuple[str, Any, bool]] = [
            ("episode", pa.int64(), False),
            ("time", pa.int64(), False),
        ]
        columns += [(axis, words, True) for axis in self.axes]
        columns += [(f"action_{agent}", words, True) for agent in self.agents]
        if self.rewards is not None:
            columns += [(f"reward_{agent}", pa.float64(), False) for agent in self.agents]
        return columns

    def _tables(self) -> Iterator[Any]:
        """Yield the rows, some whole episodes at a time."""
        import pyarrow as pa  # late: see to_csv

        schema = pa.schema([(name, kind) for name, kind, _ in self._columns()])
        steps = self.actions.shape[1]
        size = max(1, CHUNK_ROWS // (steps + 1))
        times = np.arange(steps + 1)
        for first in range(0, len(self), size):
            part = slice(first, first + size)
            lengths, states = self.lengths[part], self.states[part]
            shown = (times <= lengths[:, None]) & (states >= 0).all(axis=-1)
            episode, time = np.nonzero(shown)
            last = time == lengths[episode]
            arrays = [pa.array(episode + first), pa.array(time)]
            for k, labels in enumerate(self.state_labels):
                arrays.append(_labelled(pa, states[episode, time, k], labels, None))
            before = np.minimum(time, max(0, steps - 1))
            for i, labels in enumerate(self.action_labels):
                chosen = self.actions[part][episode, before, i] if steps else np.zeros_like(time)
                arrays.append(_labelled(pa, chosen, labels, last))
            if self.rewards is not None and self.final_rewards is not None:
                for i in range(len(self.agents)):
                    final = self.final_rewards[part][episode, i]
                    paid = self.rewards[part][episode, before, i] if steps else final
                    arrays.append(pa.array(np.where(last, final, paid) + 0.0))  # -0 would be written as such
            yield pa.Table.from_arrays(arrays, schema=schema)


# ---------------------------------------------------------------------- checking arrays


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]} ..."


def _integers(array: ArrayLike, what: str) -> np.ndarray:
    found = np.asarray(array)
    if found.dtype.kind not in "iu":
        raise ParameterError(
            f"{what}: expected integers: got dtype {found.dtype}. Convert them, for example with .astype(int)"
        )
    return found.astype(np.int64)


def _rewards_of(
    rewards: ArrayLike | None, final: ArrayLike | None, shape: tuple[int, ...]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    if rewards is None:
        if final is not None:
            raise ParameterError("final_rewards: given without rewards. Give both, or none")
        return None, None
    paid = np.array(rewards, dtype=np.float64)
    last = np.zeros((shape[0], shape[2])) if final is None else np.array(final, dtype=np.float64)
    for what, found, expected in (
        ("rewards", paid, shape),
        ("final_rewards", last, (shape[0], shape[2])),
    ):
        if found.shape != expected:
            raise ParameterError(f"{what}: expected shape {expected}: got {found.shape}")
    return paid, last


def _check_ranges(
    game: MarkovGame,
    states: np.ndarray,
    actions: np.ndarray,
    lengths: np.ndarray,
    played: np.ndarray,
) -> None:
    """Raise `ParameterError` at the first number that stands for nothing."""
    counts = np.array(game.action_counts)
    wrong = ((actions < 0) | (actions >= counts)) & played[..., None]
    if wrong.any():
        episode, time, i = (int(k) for k in np.unravel_index(int(wrong.argmax()), wrong.shape))
        raise ParameterError(
            f"episode {episode}, time {time}: action of {game.agents[i]}: expected 0..{counts[i] - 1}: "
            f"got {actions[episode, time, i]}"
        )
    shape = np.array(game.state_shape)
    times = np.arange(states.shape[1])
    wrong = ((states < 0) | (states >= shape)) & (times < lengths[:, None])[..., None]
    # The state after the last decision may be unknown.
    last = (times == lengths[:, None])[..., None]
    wrong |= ((states < -1) | (states >= shape)) & last
    if wrong.any():
        episode, time, k = (int(n) for n in np.unravel_index(int(wrong.argmax()), wrong.shape))
        raise ParameterError(
            f"episode {episode}, time {time}: state axis {k}: expected 0..{shape[k] - 1}: got "
            f"{states[episode, time, k]}"
        )


def first_illegal(
    game: MarkovGame,
    states: Integer[np.ndarray, "rows axes"],
    actions: Integer[np.ndarray, "rows agents"],
) -> tuple[int, str] | None:
    """Find the first row whose action is illegal in its state; None if there is none.

    Returns
    -------
    tuple
        The row, and a message that names state, agent and the legal actions.
    """
    found: tuple[int, str] | None = None
    for i, mask in enumerate(game.legal):
        place = tuple(0 if n == 1 else states[:, k] for k, n in enumerate(mask.shape[:-1]))
        bad = ~mask[(*place, actions[:, i])]
        if bad.any() and (found is None or int(bad.argmax()) < found[0]):
            row = int(bad.argmax())
            state = tuple(map(int, states[row]))
            legal = np.broadcast_to(mask, (*game.state_shape, mask.shape[-1]))[state]
            names = ", ".join(np.array(game.actions[i])[legal])
            found = (
                row,
                f"action of {game.agents[i]} at state {game.state_name(state)}: "
                f"{game.actions[i][int(actions[row, i])]!r} is illegal there: expected one of {names}",
            )
    return found


# ---------------------------------------------------------------------- files


@dataclass(frozen=True)
class _Wanted:
    """Which columns a file of a game's play has, and the labels in them."""

    labels: dict[str, tuple[str, ...]]
    axes: tuple[str, ...]
    actions: tuple[str, ...]
    rewards: tuple[str, ...]

    @staticmethod
    def of(game: MarkovGame | CrowdGame) -> _Wanted:
        axes = state_axes(game)
        actions = tuple(f"action_{agent}" for agent in game.agents)
        places = (game.cells,) * len(axes) if isinstance(game, CrowdGame) else game.state_labels
        labels = dict(zip((*axes, *actions), (*places, *game.actions), strict=True))
        return _Wanted(labels, axes, actions, tuple(f"reward_{agent}" for agent in game.agents))

    def check_columns(self, file: Path, found: Sequence[str]) -> list[str]:
        """Return the columns to read; `FileError` if one is missing or there twice."""
        needed = ["episode", "time", *self.axes, *self.actions]
        rewarded = any(name in found for name in self.rewards)
        expected = [*needed, *(self.rewards if rewarded else ())]
        missing = [name for name in expected if name not in found]
        if missing:
            raise FileError(
                f"{file}: no column {missing[0]!r}: expected {', '.join(expected)}: got {', '.join(found) or 'none'}"
            )
        twice = [name for name in expected if list(found).count(name) > 1]
        if twice:
            raise FileError(f"{file}: column {twice[0]!r} is there more than once. Rename one")
        return expected


def _kind(pa: Any, wanted: _Wanted, name: str) -> Any:
    if name in wanted.labels:
        return pa.dictionary(pa.int32(), pa.string())
    return pa.float64() if name in wanted.rewards else pa.int64()


def _noun(kind: Any) -> str:
    return {"int64": "whole numbers", "double": "numbers"}.get(str(kind), "labels")


def _quoted(text: str) -> str:
    special = set(text) & set(',"\r\n')
    return '"' + text.replace('"', '""') + '"' if special else text


def _labelled(pa: Any, index: np.ndarray, labels: tuple[str, ...], none: np.ndarray | None) -> Any:
    """A column of labels; null where `none`."""
    indices = pa.array(index.astype(np.int32), mask=none)
    return pa.DictionaryArray.from_arrays(indices, pa.array(labels, pa.string()))


def _header(file: Path) -> list[str]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            return next(csv.reader(lines), [])
    except (UnicodeDecodeError, csv.Error) as error:
        raise FileError(f"{file}: not a CSV file in UTF-8 ({error}). Export it as CSV") from error


def _int64(text: str) -> int:
    number = int(text)
    if not -(2**63) <= number < 2**63:
        raise ValueError
    return number


def _diagnosis(file: Path, wanted: _Wanted, present: list[str], error: Exception) -> FileError:
    """Find the line that pyarrow could not read, slowly."""
    kinds = dict.fromkeys(("episode", "time"), _int64) | dict.fromkeys(wanted.rewards, float)
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            reader = csv.reader(lines)
            header = next(reader, [])
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    return FileError(
                        f"{file}, line {reader.line_num}: expected {len(header)} columns, as in the "
                        f"header: got {len(row)}"
                    )
                for name, text in zip(header, row, strict=True):
                    if name not in present or name not in kinds or text == "":
                        continue
                    try:
                        kinds[name](text)
                    except ValueError:
                        noun = "a number" if kinds[name] is float else "a whole number"
                        return FileError(
                            f"{file}, line {reader.line_num}, column {name!r}: expected {noun}: got {text!r}"
                        )
    except (UnicodeDecodeError, csv.Error) as worse:
        return FileError(f"{file}: not a CSV file in UTF-8 ({worse}). Export it as CSV")
    return FileError(f"{file}: not a CSV file that can be read ({error})")


def _decoded(column: Any, labels: tuple[str, ...]) -> tuple[np.ndarray, str | None, int]:
    """Indices of labels (-1 where empty), and the first unknown label with its row."""
    known = {label: k for k, label in enumerate(labels)}
    kind = smallest(max(2, len(labels)))  # -2 is for unknown labels
    pieces: list[np.ndarray] = []
    offset = 0
    for chunk in column.chunks:
        words = chunk.dictionary.to_pylist()
        table = np.array([*(known.get(word, -2) for word in words), -1], dtype=kind)
        indices = np.asarray(chunk.indices.fill_null(len(words)))
        piece = table[indices]
        if (piece == -2).any():
            row = int((piece == -2).argmax())
            return piece, words[int(indices[row])], offset + row
        pieces.append(piece)
        offset += len(piece)
    return np.concatenate(pieces) if pieces else np.zeros(0, dtype=kind), None, 0


def _from_table(
    file: Path,
    game: MarkovGame | CrowdGame,
    wanted: _Wanted,
    table: Any,
    unit: str,
    first: int,
    discount: float | Sequence[float],
) -> Trajectories:
    """Check the columns and lay episodes side by side; row k of the table is `unit` k + `first`."""

    def fail(row: int, column: str, message: str) -> FileError:
        return FileError(f"{file}, {unit} {row + first}, column {column!r}: {message}")

    rows = table.num_rows
    empty = {name: np.asarray(table[name].is_null()) for name in table.column_names}
    blank = np.logical_and.reduce(list(empty.values())) if rows else np.zeros(0, dtype=bool)
    for name in ("episode", "time", *wanted.axes):
        lacking = empty[name] & ~blank
        if lacking.any():
            what = "a label" if name in wanted.labels else "a whole number"
            raise fail(int(lacking.argmax()), name, f"expected {what}: it is empty")
    numbers = {name: np.asarray(table[name].fill_null(0)) for name in ("episode", "time")}
    indices: dict[str, np.ndarray] = {}
    for name, labels in wanted.labels.items():
        indices[name], unknown, row = _decoded(table[name], labels)
        if unknown is not None:
            some = ", ".join(labels[:20]) + (" ..." if len(labels) > 20 else "")
            raise fail(row, name, f"expected one of {some}: got {unknown!r}")

    # Rows may come in any order: sort, and remember where each was.
    order = np.flatnonzero(~blank)
    episode, time = numbers["episode"][order], numbers["time"][order]
    ascending = (np.diff(episode) > 0) | ((np.diff(episode) == 0) & (np.diff(time) > 0))
    if not ascending.all():
        sorting = np.lexsort((time, episode))
        order, episode, time = order[sorting], episode[sorting], time[sorting]
    begins = np.flatnonzero(np.diff(episode, prepend=episode[:1] - 1))
    number = np.repeat(np.arange(begins.size), np.diff(begins, append=order.size))
    expected = np.arange(order.size) - begins[number]
    wrong = time != expected
    if wrong.any():
        k = int(wrong.argmax())
        raise fail(
            int(order[k]),
            "time",
            f"expected {expected[k]} (each episode counts 0, 1, 2, ... without gaps or repetitions): got "
            f"{time[k]} in episode {episode[k]}",
        )

    del expected, wrong, episode
    states = np.stack([indices[name][order] for name in wanted.axes], axis=-1)
    actions = np.stack([indices[name][order] for name in wanted.actions], axis=-1)
    last = np.zeros(order.size, dtype=bool)
    last[np.append(begins[1:], order.size)[: begins.size] - 1] = True
    none = actions < 0
    idle = none.all(axis=-1) & last
    lacking = none & ~idle[:, None]
    if lacking.any():
        k, i = (int(n) for n in np.unravel_index(int(lacking.argmax()), lacking.shape))
        raise fail(
            int(order[k]),
            wanted.actions[i],
            f"expected one of {', '.join(game.actions[i])}: it is empty (only the last row of an episode "
            "has no actions)",
        )
    choosing = ~idle
    if isinstance(game, MarkovGame):  # who has arrived in a crowd may do anything: `quantal.infer` looks at the others
        bad = first_illegal(game, states[choosing], actions[choosing])
        if bad is not None:
            k, message = bad
            raise FileError(f"{file}, {unit} {int(order[choosing][k]) + first}: {message}")

    episodes = begins.size
    lengths = np.bincount(number[choosing], minlength=episodes)
    steps = int(lengths.max(initial=0))
    places = tuple(wanted.labels[name] for name in wanted.axes)
    laid_states = np.full((episodes, steps + 1, len(wanted.axes)), -1, smallest(max(map(len, places))))
    laid_states[number, time] = states
    laid_actions = np.full((episodes, steps, game.number_of_agents), -1, smallest(max(map(len, game.actions))))
    laid_actions[number[choosing], time[choosing]] = actions[choosing]
    rewards = final = None
    if wanted.rewards[0] in table.column_names:
        rewards = np.zeros(laid_actions.shape)
        final = np.zeros((episodes, game.number_of_agents))
        for i, name in enumerate(wanted.rewards):
            paid = np.asarray(table[name].fill_null(0.0))[order]
            lacking = (empty[name][order] & ~idle) | ~np.isfinite(paid)
            if lacking.any():
                k = int(lacking.argmax())
                got = "it is empty" if empty[name][order[k]] else f"got {paid[k]}"
                raise fail(int(order[k]), name, f"expected a finite number: {got}")
            rewards[number[choosing], time[choosing], i] = paid[choosing]
            final[number[idle], i] = paid[idle]
    return Trajectories(
        agents=game.agents,
        axes=wanted.axes,
        state_labels=places,
        action_labels=game.actions,
        states=laid_states,
        actions=laid_actions,
        lengths=lengths,
        rewards=rewards,
        final_rewards=final,
        discount=tuple(map(float, per_agent(game, "discount", discount))),
    )
