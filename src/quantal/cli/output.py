"""What commands print: tables for people, JSON for machines, a progress bar for what takes long."""

from __future__ import annotations

import os
import threading
import time
from types import TracebackType
from typing import Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

PIPED_WIDTH = 120
"""Columns of a table that goes into a file or a pipe."""
PATIENCE = 1.0
"""Seconds before a progress bar appears."""


def screen() -> Console:
    """Standard output for people; a file or a pipe is as wide as a table needs, and without colours."""
    screen = Console(highlight=False, markup=False, emoji=False)
    if not screen.is_terminal and "COLUMNS" not in os.environ:
        screen.width = PIPED_WIDTH
    return screen


def show(*parts: RenderableType) -> None:
    """Print parts for people."""
    console = screen()
    for part in parts:
        console.print(part)


def tell(json: bool, record: dict[str, Any], *parts: RenderableType) -> None:
    """Print a record as JSON, or the parts for people."""
    if json:
        from quantal.reports.tables import to_json

        print(to_json(record))
    else:
        show(*parts)


class Waiting:
    """A progress bar on standard error for what takes over a second; silent in a pipe and with --json."""

    def __init__(self, what: str, *, quiet: bool) -> None:
        screen = Console(stderr=True)
        self._bar: Progress | None = None
        self._timer: threading.Timer | None = None
        self._lock = threading.Lock()
        self._share: float | None = None
        if screen.is_terminal and not quiet:
            columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=screen, transient=True)
            self._task = self._bar.add_task(what, total=None)

    def __call__(self, share: float) -> None:
        """Set the share done."""
        if self._bar is not None:
            self._bar.update(self._task, total=1.0, completed=share)

    def __enter__(self) -> Waiting:
        self.began = time.perf_counter()
        if self._bar is not None:
            self._timer = threading.Timer(PATIENCE, self._appear)
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds = time.perf_counter() - self.began
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
            if self._bar is not None:
                self._bar.stop()
                self._bar = None

    def _appear(self) -> None:
        with self._lock:
            if self._bar is not None:
                self._bar.start()
