"""Moving pictures into files: .gif by Pillow, .mp4 (H.264, which every browser plays) by ffmpeg.

The ffmpeg is the one that matplotlib's settings name, where it is on the PATH; else that of the package
`imageio-ffmpeg`, which carries one (``quantal[video]``). No settings are changed for it.
"""

from __future__ import annotations

import importlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from matplotlib import rc_context, rcParams
from matplotlib.animation import AbstractMovieWriter, Animation, FFMpegWriter, PillowWriter

from quantal.errors import FileError, ParameterError
from quantal.files import replacing

FORMATS = (".gif", ".mp4")
DPI = 110
EVEN = "pad=ceil(iw/2)*2:ceil(ih/2)*2:color=white"
"""H.264 with colours at half the resolution, the only one that plays everywhere, has even sizes."""


def check_film(path: Path) -> None:
    """Raise `ParameterError` unless a film of this name can be written."""
    if path.suffix.lower() not in FORMATS:
        raise ParameterError(f"animation {path}: expected a name that ends in {' or '.join(FORMATS)}")
    if path.suffix.lower() == ".mp4" and ffmpeg() is None:
        raise ParameterError(
            f"animation {path}: expected a program ffmpeg, which writes .mp4: found none on the PATH. Install it, or "
            'one for Python alone (pip install imageio-ffmpeg, part of "quantal[video]"), or write a .gif'
        )


def ffmpeg() -> str | None:
    """Find the program that writes .mp4, or None."""
    found = shutil.which(str(rcParams["animation.ffmpeg_path"]))
    if found is not None:
        return found
    try:
        return importlib.import_module("imageio_ffmpeg").get_ffmpeg_exe()
    except (ImportError, RuntimeError):  # not installed; installed without a program for this machine
        return None


def save_film(
    film: Animation, path: Path, per_second: float, progress: Callable[[int, int], object] | None = None
) -> None:
    """Write an animation whole or not at all; `progress` is told each frame, and how many there are.

    Raises
    ------
    ParameterError
        If the name does not end in .gif or .mp4, or no ffmpeg is there to write .mp4.
    FileError
        If the file cannot be written.
    """
    check_film(path)
    moving = path.suffix.lower() == ".mp4"
    with replacing(path) as temporary, rc_context({"animation.ffmpeg_path": ffmpeg()} if moving else {}):
        named = temporary.with_suffix(path.suffix.lower())  # writers go by the ending of the name
        options = ["-vf", EVEN, "-pix_fmt", "yuv420p", "-movflags", "+faststart"]
        writer: AbstractMovieWriter = (
            FFMpegWriter(fps=per_second, codec="h264", extra_args=options) if moving else PillowWriter(fps=per_second)  # type: ignore[arg-type]
        )
        try:
            film.save(named, writer=writer, dpi=DPI, progress_callback=progress)  # type: ignore[arg-type]
            named.replace(temporary)
        except subprocess.CalledProcessError as error:
            said = (str(error.stderr or "").strip() or str(error)).splitlines()[-1]
            raise FileError(
                f"{path}: {ffmpeg()} could not write it: {said}. "
                "Is it built with an encoder for H.264? A .gif needs none"
            ) from error
        finally:
            named.unlink(missing_ok=True)
