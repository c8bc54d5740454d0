"""Make the README's picture: ``python docs/figures/make_readme_figure.py`` writes readme.png beside this script.

Left: an equilibrium of the paper's three-player pursuit game. Middle: the principal branch of a stag hunt, which turns
back twice on its way from uniform play to the Nash equilibrium. Right: equilibria of published 2x2 games beside what
people played.
"""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

import quantal as qt
from quantal import experiments, figures
from quantal.figures.style import COLOURS, FAINT, style

HERE = Path(__file__).parent


def draw() -> Figure:
    """Solve everything and draw it."""
    pursuit = qt.solve(qt.games.pursuit.three_players(), beta=1.0, horizon=3)
    branch = qt.solve_path(qt.games.coordination.stag_hunt(), np.linspace(0, 4, 81).tolist(), discount=0.0)
    played = experiments.published_games()
    with style():
        figure = Figure(figsize=(10, 3.5), layout="constrained")
        left, middle, right = figure.subplots(1, 3, width_ratios=[1, 1.15, 1])
        figures.draw_map(left, pursuit, qt.games.pursuit.I2)
        left.set_title("Two hunters and a prey: the first move")
        names = ((0, "cautious hunter", (1.45, 0.29)), (1, "eager hunter", (1.7, 0.87)))
        for agent, name, place in names:
            figures.draw_branch(middle, branch, agent, (0,), actions=("stag",), colour=COLOURS[agent])
            middle.text(*place, name, color=COLOURS[agent])
        for fold in branch.folds:
            middle.axvline(fold.beta, color=FAINT, linewidth=0.8, linestyle=":", zorder=0)
        middle.set_ylim(-0.02, 1.02)
        middle.set_ylabel("probability of hunting the stag")
        middle.set_title("A stag hunt: the branch through its folds")
        figures.draw_published(right, played)
        right.set_title("Twelve games that people played")
    return figure


if __name__ == "__main__":
    figures.save(draw(), HERE / "readme.png")
