"""How tables look, and how they are written: CSV and JSON."""

from __future__ import annotations

import csv
import enum
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from rich import box
from rich.table import Table

from quantal.files import replacing


def new_table(title: str) -> Table:
    """Begin a table in our style."""
    return Table(
        title=title, title_justify="left", title_style="bold", header_style="", box=box.SIMPLE_HEAD, pad_edge=False
    )


def number(x: float) -> str:
    """Write a number for people: four significant digits."""
    return f"{x:.4g}" if x == 0 or abs(x) >= 1e-3 or not math.isfinite(x) else f"{x:.1e}"


def write_csv(path: str | os.PathLike[str], header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows to a file, whole or not at all; None becomes an empty cell.

    Raises
    ------
    FileError
        If the directory cannot be written.
    """
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def to_json(record: Any) -> str:
    """Write plain objects as JSON; what is not finite becomes null, as JSON has no word for it."""
    return json.dumps(_plain(record), ensure_ascii=False, allow_nan=False)


def _plain(x: Any) -> Any:
    if isinstance(x, Mapping):
        return {str(key): _plain(value) for key, value in x.items()}
    if isinstance(x, (np.ndarray, np.generic)):
        return _plain(x.tolist())
    if isinstance(x, enum.Enum):
        return x.name.lower()
    if isinstance(x, (str, bool, int)) or x is None:
        return x
    if isinstance(x, float):
        return x if math.isfinite(x) else None
    return [_plain(item) for item in x]
