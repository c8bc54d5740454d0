"""One HTML file that opens from disk and reaches for nothing else: how every page is put together.

A page is made of ``frame.html``, the template of its kind (``crowds``, ``games``: markup and script), what all kinds
share (``page.css``, ``shared.js``), and a record as JSON, in which arrays are packed. Its security policy names the
hashes of its script and its style, so that nothing that a game is called can run.
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
import re
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import numpy as np

from quantal.files import replacing
from quantal.reports.tables import to_json


def assemble(kind: str, title: str, record: dict[str, Any]) -> str:
    """Put a page together.

    Parameters
    ----------
    kind
        Whose templates: ``KIND.html`` and ``KIND.js``.
    title
        Plain text.
    record
        What the script reads.
    """
    style = _template("page.css")
    script = _template("shared.js") + _template(f"{kind}.js")
    filled = {
        "title": html.escape(title),
        "style": style,
        "style_hash": _digest(style),
        "script": script,
        "script_hash": _digest(script),
        "main": _template(f"{kind}.html"),
        "data": _harmless(to_json(record)),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: filled[found[1]], _template("frame.html"))


def write(text: str, path: str | os.PathLike[str]) -> None:
    """Write a page, whole or not at all.

    Raises
    ------
    FileError
        If the file cannot be written.
    """
    with replacing(path) as file:
        file.write_text(text, encoding="utf-8")


def _template(name: str) -> str:
    return (resources.files("quantal.pages") / "templates" / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """What the page's security policy knows its script and its style by: no other one runs."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")


def _harmless(text: str) -> str:
    """Write JSON so that nothing in it can end the element that it stands in."""
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


# ---------------------------------------------------------------------- numbers in a page


def packed(array: np.ndarray) -> dict[str, Any]:
    """Pack an array for a page: little-endian numbers of four bytes, compressed by zlib, in base64."""
    kind = "int32" if array.dtype.kind in "iu" else "float32"
    raw = np.ascontiguousarray(array, dtype=np.dtype(kind).newbyteorder("<")).tobytes()
    return {"shape": array.shape, "type": kind, "zlib": base64.b64encode(zlib.compress(raw, 9)).decode("ascii")}


def unpacked(given: dict[str, Any]) -> np.ndarray:
    """Undo `packed`."""
    raw = zlib.decompress(base64.b64decode(given["zlib"]))
    return np.frombuffer(raw, dtype=np.dtype(given["type"]).newbyteorder("<")).reshape(given["shape"])


# ---------------------------------------------------------------------- words in a page


def power(x: float) -> str:
    """Write a number as people do: 0.25, but 3×10⁻¹²."""
    if x == 0 or 1e-3 <= abs(x) < 1e4 or not np.isfinite(x):
        return f"{x:.3g}"
    digits, exponent = f"{x:.0e}".split("e")
    return f"{digits}×10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}"


def marks_of(names: Sequence[str]) -> list[str]:
    """One character per name that tells them apart: its last digit, its initial, or else a letter in order."""
    rules: tuple[Callable[[str], str], ...] = (
        lambda name: name[-1] if name[-1].isdigit() else name[0].upper(),
        lambda name: name[0].upper(),
    )
    for rule in rules:
        marks = [rule(name) for name in names]
        if max(Counter(marks).values()) == 1:
            return marks
    return [chr(ord("a") + k % 26) for k in range(len(names))]
