"""Make people.png, how precisely people chose in twelve games: ``python docs/figures/make_people_figure.py``."""

from pathlib import Path

import quantal as qt
from quantal import figures
from quantal.figures import inference

HERE = Path(__file__).parent

if __name__ == "__main__":
    published = qt.games.experiments.selten_chmura_2008()
    found = qt.infer.precision([e.game for e in published], [list(e.counts) for e in published], per_agent=True)
    points = [(row.agent, row.observed, row.predicted, row.choices) for row in found.fitted()]
    figures.save(inference.precision([found.profile(name) for name in found.names], points), HERE / "people.png")
