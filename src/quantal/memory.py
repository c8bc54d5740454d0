"""How much memory there is, and a refusal, in time, to ask for more."""

from __future__ import annotations

import os
from pathlib import Path

from quantal.errors import TooLargeError


def available() -> int | None:
    """Bytes that this process may still take; `None` where the system does not say."""
    limits = [limit for limit in (_free_memory(), _container_limit()) if limit is not None]
    return min(limits, default=None)


def require(needed: int, what: str, remedy: str) -> None:
    """Raise `TooLargeError` if `what` needs more bytes than there are; nothing is allocated.

    Parameters
    ----------
    needed
        Bytes at the peak.
    what
        What needs them; begins the message.
    remedy
        What to do instead; ends the message.
    """
    there = available()
    if there is not None and needed > there:
        raise TooLargeError(f"{what} needs {readable(needed)} of memory: {readable(there)} are free. {remedy}")


def readable(size: float) -> str:
    """Write a number of bytes for people: 1.5 GiB."""
    units = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
    power = 0
    while size >= 1024 and power < len(units) - 1:
        size, power = size / 1024, power + 1
    return f"{size:.4g} {units[power]}"


def _free_memory() -> int | None:
    """What the kernel would give without swapping."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    except (OSError, ValueError, IndexError):
        pass
    try:  # not Linux: all the memory there is
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None


def _container_limit() -> int | None:
    """What a control group leaves this container."""
    try:
        root = Path("/sys/fs/cgroup")
        most = int((root / "memory.max").read_text())
        return max(0, most - int((root / "memory.current").read_text()))
    except (OSError, ValueError):  # no such group, or "max"
        return None
