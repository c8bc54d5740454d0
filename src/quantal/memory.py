"""How much memory there is, and a refusal, in time, to ask for more."""

from __future__ import annotations

import os
from pathlib import Path

from quantal.errors import TooLargeError

MEMINFO = Path("/proc/meminfo")
GROUP = Path("/sys/fs/cgroup")


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


def readable(size: int) -> str:
    """Write a number of bytes for people: 1.5 GiB."""
    units = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
    amount, unit = float(size), 0
    while amount >= 1024 and unit < len(units) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{amount:.4g} {units[unit]}"


def _free_memory() -> int | None:
    """What the kernel would give without swapping."""
    try:
        for line in MEMINFO.read_text().splitlines():
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
        most = int((GROUP / "memory.max").read_text())
        return max(0, most - int((GROUP / "memory.current").read_text()))
    except (OSError, ValueError):  # no such group, or "max"
        return None
