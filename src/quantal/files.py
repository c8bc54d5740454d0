"""Files are written whole or not at all: into a temporary file beside the target, which is renamed at the end."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Generator
from pathlib import Path

from quantal.errors import FileError


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Generator[Path]:
    """Give a temporary path in the same directory; on success it replaces `path`, on failure it is removed.

    A reader sees the old file or the new one, never half of one, whenever the program stops.

    Raises
    ------
    FileError
        If the directory does not exist or cannot be written.
    """
    target = _path(path)
    if target.is_dir():
        raise FileError(f"{target}: is a directory. Give the name of a file")
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    except OSError as error:
        raise FileError(
            f"{target}: cannot write into {target.parent} ({error.strerror}). Create the directory, or choose another"
        ) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # the rename must not reach the disk before the contents
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # mkstemp's files are private, ordinary ones are not
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _path(given: object) -> Path:
    if not isinstance(given, (str, os.PathLike)) or "\0" in str(given):
        raise FileError(f"expected the name of a file: got {given!r}")
    return Path(given)


def existing(path: str | os.PathLike[str]) -> Path:
    """Return the path of a file that is there.

    Raises
    ------
    FileError
        If there is none.
    """
    found = _path(path)
    if found.is_dir():
        raise FileError(f"{found}: is a directory. Give the name of a file")
    if not found.exists():
        raise FileError(f"{found}: no such file. Check the name; the current directory is {Path.cwd()}")
    return found
