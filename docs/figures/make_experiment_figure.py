"""Make experiment.png, play of people beside logit equilibria: ``python docs/figures/make_experiment_figure.py``."""

from pathlib import Path

import quantal as qt
from quantal import experiments, figures

HERE = Path(__file__).parent

if __name__ == "__main__":
    published = qt.games.experiments.selten_chmura_2008()
    found = qt.infer.precision([e.game for e in published], [list(e.counts) for e in published])
    figures.save(figures.published(experiments.published_games(round(found.value, 3))), HERE / "experiment.png")
