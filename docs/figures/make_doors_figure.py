"""Make doors.png, the tutorial's crowd at two doors: ``python docs/figures/make_doors_figure.py``.

The scene is read from the tutorial itself, so that text and picture cannot differ.
"""

from pathlib import Path

import quantal as qt
from quantal import figures
from quantal.figures.crowds import occupancy
from quantal.scenes.journeys import journeys
from quantal.scenes.reading import parse_scene

HERE = Path(__file__).parent

if __name__ == "__main__":
    tutorial = (HERE.parent / "tutorials" / "crowd.md").read_text(encoding="utf-8")
    scene = parse_scene(tutorial.split("SCENE = '''")[1].split("'''")[0], "doors")
    crowd = scene.crowd()
    solution = qt.solve(crowd, beta=scene.beta_of(crowd), horizon=scene.horizon)
    figures.save(occupancy(journeys(scene, solution), times=range(0, 12, 2)), HERE / "doors.png")
