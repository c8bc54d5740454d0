"""Pictures of scenes: what is drawn stands where, and is as large as, the record says."""

import math
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Circle
from PIL import Image, ImageSequence

import quantal as qt
from quantal.errors import FileError, ParameterError
from quantal.experiments.driving import DrivingPlay, DrivingStudy
from quantal.figures import crowds as crowd_figures
from quantal.figures import films
from quantal.figures.style import COLOURS
from quantal.scenes.journeys import Journey, Journeys, journeys
from quantal.scenes.reading import parse_scene

YARD = """horizon = 6
map = '''
..=..
.#>#.
.....
'''
[kinds.walker]
beta = 2.0
[[agents]]
name = "ann"
kind = "walker"
start = [0, 0]
goal = [2, 0]
[[agents]]
name = "bob"
kind = "walker"
start = [0, 4]
goal = [2, 4]
weight = 2.0
"""


@pytest.fixture(scope="module")
def record():
    scene = parse_scene(YARD, "yard.toml")
    return journeys(scene, qt.solve(scene.crowd(), beta=scene.beta, horizon=scene.horizon))


def panels(figure):
    return [axes for axes in figure.axes if axes.get_title("left")]


def test_discs_are_as_large_as_it_is_likely(record):
    figure = crowd_figures.occupancy(record, times=[0, 2])
    full = None  # the size of what is certain
    for axes, time in zip(panels(figure), (0, 2), strict=True):
        (discs,) = axes.collections
        drawn = {}
        for path, colour in zip(discs.get_paths(), discs.get_facecolors(), strict=True):
            box = path.get_extents()
            centre = (box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2
            cell = record.scene.map.number[round(centre[0]), round(centre[1])]
            drawn[tuple(np.round(colour[:3], 3)), cell] = box.width / 2
        full = full or max(drawn.values())
        for k, journey in enumerate(record.each):
            rgb = tuple(round(int(COLOURS[k][j : j + 2], 16) / 255, 3) for j in (1, 3, 5))
            for cell, p in enumerate(journey.occupancy[time]):
                # The area is the probability: sure at the start, a share of it later; the smallest are left out.
                expected = full * math.sqrt(p) if p > crowd_figures.SEEN else 0.0
                assert drawn.get((rgb, cell), 0.0) == pytest.approx(expected, abs=1e-3)


def test_goals_are_rings_and_walls_are_not_cells(record):
    figure = crowd_figures.occupancy(record, times=[0])
    (axes,) = panels(figure)
    rings = [p for p in axes.patches if isinstance(p, Circle)]
    assert [(round(p.center[0]), round(p.center[1])) for p in rings] == [(0, 2), (4, 2)]
    # One background for the walls, one square for each of the 13 cells, three bars for the zebra.
    assert len(axes.patches) - len(rings) == 1 + 13 + 3


def test_times_cover_what_happens(record):
    figure = crowd_figures.occupancy(record)
    titles = [axes.get_title("left") for axes in panels(figure)]
    assert titles[0] == r"$\tau$ = 0"
    assert 3 <= len(titles) <= crowd_figures.PANELS


@pytest.mark.parametrize("times", [[], [7], [-1]])
def test_times_that_are_not_there_are_refused(record, times):
    with pytest.raises(ParameterError, match=r"times=.*: expected times 0\.\.6"):
        crowd_figures.occupancy(record, times)


def frames_of(file):
    """Frames of a film as colours, (frames, height, width, 3); of an MP4 as ffmpeg decodes them."""
    if file.suffix == ".gif":
        with Image.open(file) as film:
            return np.stack([np.asarray(frame.convert("RGB"), dtype=int) for frame in ImageSequence.Iterator(film)])
    program = films.ffmpeg()
    said = subprocess.run([program, "-i", file], capture_output=True, text=True, check=False).stderr
    assert "h264" in said
    assert "yuv420p" in said  # what every browser plays
    width, height = map(int, re.search(r", (\d+)x(\d+)", said).groups())
    raw = [program, "-v", "error", "-i", file, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    pixels = np.frombuffer(subprocess.run(raw, capture_output=True, check=True).stdout, dtype=np.uint8)
    return pixels.reshape(-1, height, width, 3).astype(int)


@pytest.mark.parametrize("ending", [".gif", ".mp4"])
def test_the_animation_has_a_frame_for_every_step(record, tmp_path, ending):
    file = tmp_path / f"yard{ending}"
    shares = []
    crowd_figures.animate(record, file, progress=shares.append)
    last = max(int(axes.get_title("left").split("= ")[1]) for axes in panels(crowd_figures.occupancy(record)))
    assert shares == pytest.approx(np.arange(1, last + 5) / (last + 4))
    frames = frames_of(file)
    # The last picture stays for three more, which Pillow may keep as one longer frame.
    assert last + 1 <= len(frames) <= last + 4
    moved = np.abs(frames[2] - frames[0]).max(axis=2) > 50
    assert moved.any()
    # Only agents move: the corners, where walls, margins and the legend are, stay as they are.
    assert not moved[:, -5:].any()
    assert np.abs(frames[:, -5:] - frames[0, -5:]).max() < 12
    assert [f.name for f in tmp_path.iterdir()] == [file.name]


def test_an_animation_that_cannot_be_is_refused_before_anything_is_drawn(record, tmp_path, monkeypatch):
    with pytest.raises(ParameterError, match=r"yard\.webm: expected a name that ends in \.gif or \.mp4"):
        crowd_figures.animate(record, tmp_path / "yard.webm")
    with pytest.raises(ParameterError, match=r"per_second=0\.0: expected steps a second, above 0"):
        crowd_figures.animate(record, tmp_path / "yard.gif", per_second=0.0)
    monkeypatch.setattr(films, "ffmpeg", lambda: None)
    with pytest.raises(ParameterError, match=r"yard\.mp4: expected a program ffmpeg.*pip install.*or write a \.gif"):
        crowd_figures.animate(record, tmp_path / "yard.mp4")
    assert list(tmp_path.iterdir()) == []


def test_an_ffmpeg_on_the_path_comes_first_and_one_that_fails_is_quoted(record, tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho 'Unknown encoder h264' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert films.ffmpeg() == str(program)
    with pytest.raises(FileError, match=r"yard\.mp4: .*ffmpeg could not write it: Unknown encoder h264.*A \.gif"):
        crowd_figures.animate(record, tmp_path / "yard.mp4")
    assert list(tmp_path.iterdir()) == [program]


def test_without_any_ffmpeg_there_is_none(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert films.ffmpeg() is not None  # that of imageio-ffmpeg
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    assert films.ffmpeg() is None


def test_many_agents_are_drawn_as_kinds(record):
    # Twelve copies of the two: one colour for their kind, sized by the expected number, the fullest cell in full.
    one = record.each[0]
    many = Journeys(record.scene, record.solution, (one,) * 12, np.zeros((12, 12)))
    assert isinstance(one, Journey)
    (axes,) = panels(crowd_figures.occupancy(many, times=[0]))
    (discs,) = axes.collections
    assert len(discs.get_paths()) == 1
    assert len(np.unique(discs.get_facecolors(), axis=0)) == 1


def test_a_count_is_drawn_by_how_many_are_there(record):
    # Two members, one of them forty people: its disc is full where more than anywhere on the way are expected.
    scene = parse_scene(YARD.replace('name = "bob"', 'name = "bob"\ncount = 40'))
    counted = journeys(scene, qt.solve(scene.crowd(), beta=scene.beta, horizon=scene.horizon))
    figure = crowd_figures.occupancy(counted, times=[0, 2])
    (legend,) = figure.legends
    *names, scale = [text.get_text() for text in legend.get_texts()]
    assert names == ["ann", "bob"]
    (full,) = re.findall(r"full disc: ([\d.]+) people or more", scale)
    # All forty stand in one cell at first; ann is one fortieth of them.
    assert 1 < float(full) <= 40
    (discs,) = panels(figure)[0].collections
    one, forty = sorted(path.get_extents().width for path in discs.get_paths())
    assert one / forty == pytest.approx(math.sqrt(1 / float(full)), rel=1e-6)


def test_cells_of_wide_maps_are_not_made_too_small():
    # 30 cells side by side in four columns would be a sixteenth of an inch; two columns fill the page.
    assert crowd_figures._columns(10, 30, 6) == 2
    # As many columns as before where cells are large enough, or the figure would be too tall.
    assert crowd_figures._columns(12, 9, 6) == 4
    assert crowd_figures._columns(12, 64, 64) == 4


def test_lanes_show_all_their_arrows():
    text = YARD.replace(".#>#.", ".#>x.") + '[legend]\nx = { ground = "road", lane = "<^" }\n'
    scene = parse_scene(text)
    axes = Figure().subplots()
    crowd_figures.draw_ground(axes, scene)
    tips = [tuple(np.sign(np.round(line.get_xydata()[1] - np.round(line.get_xydata()[1]), 6))) for line in axes.lines]
    assert tips == [(1, 0), (-1, 0), (0, -1)]


def test_the_study_is_framed_where_everything_is_as_in_the_paper():
    def play(beta, mu):
        return DrivingPlay(
            beta=beta, mu=mu, converged=mu < 60, waits=(int(mu > 10),) * 3, zebra=(6, 5, 7), crossed=3, order=(1, 0, 2),
            expected_zebra=(6.0, 5.0, 7.0), with_pedestrian=1 / (1 + mu), among_cars=0.0, shortest=True,
            as_in_paper=mu > 10,
        )  # fmt: skip

    betas, mus = (1.0, 3.0), (0.0, 20.0, 60.0)
    study = DrivingStudy(betas, mus, tuple(tuple(play(b, m) for m in mus) for b in betas))
    figure = crowd_figures.driving_study(study)
    first = figure.axes[0]
    assert [t.get_text() for t in first.texts] == ["0", "1", "1"] * 2
    frame = [line for line in first.lines if line.get_linewidth() > 1]
    struck = [line for line in first.lines if line.get_linewidth() < 1]
    # Two rows of two cells: a closed line of eight sides; two settings that did not converge.
    assert len(frame) == 8
    assert len(struck) == 2
    with pytest.raises(ParameterError, match=r"beta=2.0: expected one of the study's, 1, 3"):
        crowd_figures.driving_study(study, beta=2.0)
