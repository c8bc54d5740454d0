"""Solutions in files: netCDF, readable by anything that reads netCDF, and complete.

The root group of a file is what `to_xarray` gives: policies, Q and values with labelled axes, next to the residuals.
The group ``record`` holds the rest (parameters, status, branch, notes, trace) and ``record/game`` the game itself, so
that `load` needs nothing else and gives back every number bit by bit. Further equilibria lie under ``others/0``, ...
in the same form. The root of a crowd's file holds what everyone expects instead (`quantal.store_crowd`). What a learner
learned is kept like a solution, with its learning curve and settings (`quantal.store_learned`).

A last line after netCDF's own contents, which other readers pass over, holds the format's number and a digest of all
bytes before it: a damaged file is known before the HDF5 library sees it (some make it hang).

Files are written beside their target and renamed (`quantal.files`): a file is the old one or the new one, never torn.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote

import numpy as np

from quantal import store_crowd, store_learned
from quantal.baselines.learned import Learned
from quantal.certify import certify
from quantal.crowds.game import CrowdGame, Interaction
from quantal.crowds.solution import CrowdSolution
from quantal.dynamics import Coupled, Independent
from quantal.errors import FileError, ParameterError
from quantal.files import existing, replacing
from quantal.game import MarkovGame
from quantal.solution import Branch, Parameters, PerAgent, Solution, Status
from quantal.trajectories import state_axes

FORMAT = 1
"""Raised whenever files are laid out differently."""
_MARK = "quantal_format"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_SEAL = re.compile(rb"\nquantal solution, format (\d+), sha256 ([0-9a-f]{64})\n\Z")
_SEAL_BYTES = 200
"""More than a seal has."""
_BLOCK_BYTES = 2**22


# ---------------------------------------------------------------------- labelled arrays


def to_xarray(solution: Solution | CrowdSolution | Learned) -> Any:
    """Give a solution as an `xarray.Dataset` with labelled axes.

    Variables ``policy_<agent>``, ``q_<agent>``, ``value_<agent>`` and ``residuals``. Axes: ``time`` (decisions),
    ``time_with_end`` (values have one time more), the state axes (``state_<agent>`` each, or ``state``), and
    ``action_<agent>``, all with their labels::

        solution.to_xarray()["policy_h1"].sel(state_h1="0", action_h1="stay", time=0)

    Of a crowd: ``occupancy`` and ``value`` (agent, time_with_end, cell), and ``policy_<kind>`` and ``q_<kind>``
    (agent_<kind>, time, cell, action_<kind>); who has a `count` is one agent.

    Of what was learned: ``policy_<agent>``, ``q_<agent>`` (over one's own action, or over everyone's),
    ``value_<agent>``, ``visited``, and where there are any ``joint``, ``favourite_<agent>`` and ``model_<agent>``.

    Returns
    -------
    xarray.Dataset
        A view of the solution's arrays where possible.

    Raises
    ------
    TooLargeError
        If a crowd's arrays would not fit into memory.
    """
    if isinstance(solution, CrowdSolution):
        return store_crowd.to_xarray(solution)
    if isinstance(solution, Learned):
        return store_learned.to_xarray(solution)
    # xarray takes longer to load than a small game to solve: only who needs it waits.
    import xarray as xr

    game, horizon = solution.game, solution.horizon
    axes = state_axes(game)
    coords: dict[str, Any] = {axis: list(labels) for axis, labels in zip(axes, game.state_labels, strict=True)}
    lead, after = ((), ()) if horizon is None else (("time",), ("time_with_end",))
    if horizon is not None:
        coords |= {"time": np.arange(horizon), "time_with_end": np.arange(horizon + 1)}
    variables: dict[str, Any] = {"residuals": ((*lead, *axes), solution.residuals)}
    for i, agent in enumerate(game.agents):
        coords[f"action_{agent}"] = list(game.actions[i])
        choice = (*lead, *axes, f"action_{agent}")
        variables[f"policy_{agent}"] = (choice, solution.policy[i])
        variables[f"q_{agent}"] = (choice, solution.q[i])
        variables[f"value_{agent}"] = ((*after, *axes), solution.value[i])
    attributes = {
        "title": game.name or "a game",
        "status": str(solution.status),
        "branch": str(solution.branch),
        "residual": solution.residual,
    }
    return xr.Dataset(variables, coords, attributes)


# ---------------------------------------------------------------------- writing


def save(solution: Solution | CrowdSolution | Learned, path: str | os.PathLike[str]) -> None:
    """Write a solution, or what was learned, with its game, to a netCDF file: whole or not at all.

    Parameters
    ----------
    solution
        Any solution, converged or not; or a learner's record. Its certificate is not written: `load` makes it again;
        nor is an interaction of a crowd that is a function of your own.
    path
        Replaced if it exists. By custom it ends in ``.nc``.

    Raises
    ------
    FileError
        If the directory cannot be written.
    ParameterError
        If this is no solution of `quantal.solve`, and no record of a learner of `quantal.baselines`.
    """
    if not isinstance(solution, (Solution, CrowdSolution, Learned)):
        raise ParameterError(
            "save: expected a solution that quantal.solve made, or what a learner of quantal.baselines learned: got a "
            f"{type(solution).__name__}"
        )
    with replacing(path) as temporary:
        if isinstance(solution, CrowdSolution):
            _write_crowd(solution, temporary)
        elif isinstance(solution, Learned):
            _write_learned(solution, temporary)
        else:
            _write(solution, temporary, "")
        with temporary.open("rb+") as file:
            digest = _digest(file, temporary.stat().st_size)
            file.write(f"\nquantal solution, format {FORMAT}, sha256 {digest}\n".encode())


def _digest(file: BinaryIO, size: int) -> str:
    """sha256 of the next `size` bytes."""
    digest = hashlib.sha256()
    while size > 0 and (block := file.read(min(size, _BLOCK_BYTES))):
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()


def _write(solution: Solution, file: Path, group: str) -> None:
    """Append a solution under a group."""
    _write_labelled(to_xarray(solution), file, group)
    trace = {"trace": solution.trace}
    facts = {
        "parameters": dataclasses.asdict(solution.parameters),
        "residual": solution.residual,
        "status": solution.status.name,
        "branch": solution.branch.name,
        "steps": solution.steps,
        "notes": solution.notes,
        "others": len(solution.others),
    }
    _append(file, f"{group}/record", trace, facts)
    arrays, facts = _take_apart(solution.game)
    _append(file, f"{group}/record/game", arrays, facts)
    for k, other in enumerate(solution.others):
        _write(other, file, f"{group}/others/{k}")


def _write_labelled(labelled: Any, file: Path, group: str) -> None:
    # A name may hold what netCDF forbids in names: such characters are written as in web addresses.
    labelled = labelled.rename({str(name): _name(str(name)) for name in labelled.variables})
    _dataset(labelled.assign_attrs({_MARK: FORMAT}), file, group)


def _write_learned(learned: Learned, file: Path) -> None:
    arrays, facts = store_learned.take_apart(learned)
    labelled = to_xarray(learned)
    _write_labelled(labelled.assign(visited=labelled["visited"].astype(np.uint8)), file, "")
    _append(file, "record", arrays, facts)
    _append(file, "record/game", *_take_apart(learned.game))


def _write_crowd(solution: CrowdSolution, file: Path) -> None:
    import xarray as xr  # late: see to_xarray

    game = solution.game
    rows, which = store_crowd.expected(solution)
    attributes = {_MARK: FORMAT, "title": game.name or "a crowd", "status": str(solution.status)}
    root = xr.Dataset(
        {"expected": (("distinct", "time", "cell"), rows), "distinct_of": ("agent", which)},
        {"agent": list(game.agents), "cell": list(game.cells), "time": np.arange(rows.shape[1])},
        attributes,
    )
    _dataset(root, file, "")
    facts = {"crowd": True, "parameters": dataclasses.asdict(solution.parameters), **store_crowd.facts_of(solution)}
    _append(file, "record", {"trace": solution.trace}, facts)
    _append(file, "record/game", *_take_apart(game))


def _take_apart(game: MarkovGame | CrowdGame) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and plain facts of a game."""
    if isinstance(game, CrowdGame):
        return store_crowd.take_apart(game)
    arrays: dict[str, np.ndarray] = {}
    for name in ("rewards", "final_rewards", "legal", "coordinates"):
        for i, array in enumerate(getattr(game, name)):
            arrays[f"{name}_{i}"] = array.astype(np.uint8) if array.dtype == bool else array
    dynamics = game.dynamics
    own = isinstance(dynamics, Independent)
    successors = dynamics.successors if isinstance(dynamics, Independent) else (dynamics.successors,)
    chances = dynamics.probabilities if isinstance(dynamics, Independent) else (dynamics.probabilities,)
    for i, (table, weights) in enumerate(zip(successors, chances, strict=True)):
        arrays[f"successors_{i}"], arrays[f"probabilities_{i}"] = table, weights
    assert game.start is not None
    uniform = not any(game.start.strides)  # a view of one number, however many states
    if not uniform:
        arrays["start"] = game.start
    facts = {
        "name": game.name,
        "picture": game.picture,
        "agents": game.agents,
        "actions": game.actions,
        "state_shape": game.state_shape,
        "state_labels": game.state_labels,
        "independent": own,
        "coordinates": len(game.coordinates),
    }
    return arrays, facts


def _name(name: str) -> str:
    """Write what HDF5 cannot have in a name as web addresses do."""
    return name.replace("%", "%25").replace("/", "%2F").replace("\0", "%00")


def _append(file: Path, group: str, arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
    """Add arrays and facts (as JSON) to a group."""
    import xarray as xr  # late: see to_xarray

    variables: dict[str, Any] = {
        name: (tuple(f"{name}_axis{k}" for k in range(array.ndim)), array) for name, array in arrays.items()
    }
    # Labels of a large map are more than an attribute can hold.
    variables["facts"] = (("facts_axis0",), np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8))
    _dataset(xr.Dataset(variables), file, group)


def _dataset(dataset: Any, file: Path, group: str) -> None:
    # No fill value: NaN is a number like any other here, and must come back as it was.
    encoding = {str(name): {"_FillValue": None} for name in dataset.variables}
    dataset.to_netcdf(
        file,
        mode="a" if file.stat().st_size else "w",
        group=group or None,
        engine="h5netcdf",
        encoding=encoding,
    )


# ---------------------------------------------------------------------- reading


def load(
    path: str | os.PathLike[str], game: MarkovGame | CrowdGame | None = None
) -> Solution | CrowdSolution | Learned:
    """Read a solution, or what was learned, that `save` wrote.

    Parameters
    ----------
    path
        The file.
    game
        The game that was solved, to be used instead of the copy in the file; the two must be equal. Needed of a crowd
        whose interaction is a function of your own, which no file holds.

    Returns
    -------
    Solution, CrowdSolution or Learned
        Equal to the saved one bit by bit. Its certificate is computed when asked for; a crowd's policies, Q and values
        are, too.

    Raises
    ------
    FileError
        If the file is missing, empty, torn, damaged, foreign, of another version, or of another game; says which, and
        what to do.
    """
    file = existing(path)
    _check_seal(file)
    facts = _parts(file, "record")[1]
    if facts.get("crowd"):
        if game is not None and not isinstance(game, CrowdGame):
            raise FileError(f"{file}: a solution of a crowd: expected its CrowdGame: got {game!r}. Leave game out")
        return _read_crowd(file, game)
    if game is not None and not isinstance(game, MarkovGame):
        raise FileError(f"{file}: a solution of a MarkovGame: got {game!r}. Leave game out")
    solution = _read_learned(file) if facts.get("learned") else _read(file, "")
    if game is None:
        return solution
    _check_same(file, solution.game, game)
    return dataclasses.replace(solution, game=game) if isinstance(solution, Learned) else _with_game(solution, game)


def _check_seal(file: Path) -> None:
    """Raise `FileError` unless the file is what `save` of this format wrote, byte for byte."""
    again = "Take another copy, or solve and save again"
    size = file.stat().st_size
    with file.open("rb") as contents:
        head = contents.read(len(_HDF5))
        if not head:
            raise FileError(f"{file}: empty (0 bytes). {again}")
        if head != _HDF5:
            raise FileError(
                f"{file}: not a netCDF-4 file: expected it to begin with {_HDF5!r}: got {head!r}. Give a file that "
                "solution.save wrote"
            )
        contents.seek(max(0, size - _SEAL_BYTES))
        seal = _SEAL.search(contents.read())
        contents.seek(0)
        if seal is None:
            if not _mentions(contents, _MARK.encode()):
                raise FileError(
                    f"{file}: a netCDF or HDF5 file, but not one of Quantal's solutions (or no more than the beginning "
                    f"of one: {size} bytes). Give a file that solution.save wrote"
                )
            raise FileError(f"{file}: torn, or changed by another program ({size} bytes, without their seal). {again}")
        version = int(seal[1])
        if version != FORMAT:
            newer = "Install a newer Quantal" if version > FORMAT else "Solve again, or load it with an older Quantal"
            raise FileError(f"{file}: format {version}: this Quantal reads format {FORMAT}. {newer}")
        if _digest(contents, size - len(seal[0])) != seal[2].decode():
            raise FileError(
                f"{file}: damaged ({size} bytes): its contents are not those that were written (the digest differs). "
                f"{again}"
            )


def _mentions(contents: BinaryIO, word: bytes) -> bool:
    tail = b""
    while block := contents.read(_BLOCK_BYTES):
        if word in tail + block:
            return True
        tail = block[-len(word) :]
    return False


def _open(file: Path, group: str) -> Any:
    import xarray as xr  # late: see to_xarray

    with xr.open_dataset(file, engine="h5netcdf", group=group or None, decode_cf=False, cache=False) as dataset:
        return dataset.load()


def _read_crowd(file: Path, given: CrowdGame | None) -> CrowdSolution:
    labelled = _open(file, "")
    arrays, facts = _parts(file, "record")
    game_arrays, game_facts = _parts(file, "record/game")
    interaction: Interaction | None = None
    if game_facts["interaction"]:
        if given is None:
            raise FileError(
                f"{file}: this crowd's interaction is a function, which no file holds: expected game=. Give load the "
                "CrowdGame that was solved"
            )
        interaction = given.interaction
    game = store_crowd.put_together(game_arrays, game_facts, interaction)
    if given is not None:
        _check_same(file, game, given)
        game = given
    rows, which = labelled["expected"].values, labelled["distinct_of"].values
    return store_crowd.restored(game, rows, which, arrays["trace"], _parameters(facts), facts)


def _read_learned(file: Path) -> Learned:
    labelled = _open(file, "")
    game = _put_together(*_parts(file, "record/game"))
    plain = {unquote(str(name)): labelled[name].values for name in labelled.data_vars}
    return store_learned.put_together(game, plain, *_parts(file, "record"))


def _parameters(facts: dict[str, Any]) -> Parameters:
    given: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in facts["parameters"].items()}
    return Parameters(**given)


def _read(file: Path, group: str) -> Solution:
    labelled = _open(file, group)
    arrays, facts = _parts(file, f"{group}/record")
    game = _put_together(*_parts(file, f"{group}/record/game"))

    def per_agent(what: str) -> PerAgent:
        return PerAgent(game.agents, tuple(labelled[_name(f"{what}_{agent}")].values for agent in game.agents))

    return Solution(
        game=game,
        policy=per_agent("policy"),
        q=per_agent("q"),
        value=per_agent("value"),
        residual=facts["residual"],
        residuals=labelled["residuals"].values,
        status=Status[facts["status"]],
        branch=Branch[facts["branch"]],
        trace=arrays["trace"],
        steps=facts["steps"],
        parameters=_parameters(facts),
        notes=tuple(facts["notes"]),
        others=tuple(_read(file, f"{group}/others/{k}") for k in range(facts["others"])),
        certifier=certify,
    )


def _parts(file: Path, group: str) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and facts of a group."""
    dataset = _open(file, group)
    arrays = {str(name): dataset[name].values for name in dataset.data_vars}
    text = arrays.pop("facts").tobytes().decode()
    return arrays, json.loads(text)


def _put_together(arrays: dict[str, np.ndarray], facts: dict[str, Any]) -> MarkovGame:
    agents = len(facts["agents"])

    def each(name: str, count: int) -> tuple[np.ndarray, ...]:
        return tuple(arrays[f"{name}_{i}"] for i in range(count))

    tables = agents if facts["independent"] else 1
    successors, chances = each("successors", tables), each("probabilities", tables)
    return MarkovGame(
        state_shape=tuple(facts["state_shape"]),
        rewards=each("rewards", agents),
        dynamics=Independent(successors, chances) if facts["independent"] else Coupled(successors[0], chances[0]),
        actions=tuple(map(tuple, facts["actions"])),
        agents=tuple(facts["agents"]),
        final_rewards=each("final_rewards", agents),
        legal=tuple(mask.astype(bool) for mask in each("legal", agents)),
        start=arrays.get("start"),
        state_labels=tuple(map(tuple, facts["state_labels"])),
        coordinates=each("coordinates", facts["coordinates"]),
        name=facts["name"],
        picture=facts["picture"],
    )


def _differences(mine: MarkovGame | CrowdGame, theirs: MarkovGame | CrowdGame) -> Iterator[str]:
    """Names of what differs between two games."""
    (arrays, facts), (others, claims) = _take_apart(mine), _take_apart(theirs)
    yield from (name for name in facts if facts[name] != claims[name] and name != "source")
    if arrays.keys() != others.keys():
        yield ", ".join(sorted(arrays.keys() ^ others.keys()))
    yield from (
        name for name in arrays.keys() & others.keys() if not np.array_equal(arrays[name], others[name], equal_nan=True)
    )


def _check_same(file: Path, stored: MarkovGame | CrowdGame, given: MarkovGame | CrowdGame) -> None:
    differs = next(_differences(stored, given), None)
    if differs is not None:
        raise FileError(
            f"{file}: a solution of another game: expected {given!r}: got {stored!r}, which differs in {differs}. "
            "Leave game out to use the one in the file"
        )


def _with_game(solution: Solution, game: MarkovGame) -> Solution:
    others = tuple(_with_game(other, game) for other in solution.others)
    return dataclasses.replace(solution, game=game, others=others)
