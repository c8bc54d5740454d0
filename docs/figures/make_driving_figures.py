"""Make the driving scene's pictures: ``python docs/figures/make_driving_figures.py`` writes them beside this script.

driving.png and driving.gif: where the three cars and the pedestrian are, over time. driving-study.png: how long cars
wait, whom they meet, and in which order they pass the zebra, for many precisions and weights (a minute or two).
"""

from pathlib import Path

import quantal as qt
from quantal import figures
from quantal.experiments import driving as studies
from quantal.figures import crowds as crowd_figures
from quantal.scenes.journeys import journeys

HERE = Path(__file__).parent

if __name__ == "__main__":
    scene = qt.read_scene("junction")
    solution = qt.solve(scene.crowd(), beta=scene.beta, horizon=scene.horizon)
    record = journeys(scene, solution)
    figures.save(crowd_figures.occupancy(record, times=range(12)), HERE / "driving.png")
    crowd_figures.animate(record, HERE / "driving.gif")
    figures.save(crowd_figures.driving_study(studies.driving_study()), HERE / "driving-study.png")
