"""Pictures of a branch: how play changes with precision, through folds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from scipy.interpolate import Akima1DInterpolator

from quantal.errors import ParameterError
from quantal.figures.policies import legal_actions
from quantal.figures.style import COLOURS, DASHES, INK, Place, label_ends, sheet, style
from quantal.path import Path

# ---------------------------------------------------------------------- branches


def branch(path: Path, state: tuple[int, ...], ax: Place | None = None) -> Figure:
    """Policies at a state along the branch, one panel per agent; folds are ringed; in `ax`, or a new figure.

    A stationary branch is drawn through its folds, as the curve that it is; over a horizon there is one point per beta.
    """
    game = path[0].game
    agents = [i for i in range(game.number_of_agents) if len(legal_actions(game, i, state)) > 1]
    if not agents:
        raise ParameterError(f"figure: at {game.state_name(state)} nobody has a choice. Choose another state")
    with style():
        drawn = sheet(ax, len(agents), min(3.3 * len(agents) + 0.4, 10.0), 2.9, sharey=True)
        each = drawn.panels
        for axes, i in zip(each, agents, strict=True):
            draw_branch(axes, path, i, state)
            axes.set_title(game.agents[i])
        top = max(float(_curve(path, i, state)[1].max()) for i in agents)
        _probability_axis(each[0], 1.0 if top > 0.6 else 0.6)
        for axes, i in zip(each, agents, strict=True):
            _name_curves(axes, path, i, state)
        each[0].set_ylabel("probability")
        where = f", at {game.state_name(state)}" if game.number_of_states > 1 else ""
        when = ", first decision" if path[0].horizon is not None else ""
        drawn.head(f"{game.name or 'branch'}{where}{when}")
    return drawn.figure


def _probability_axis(axes: Axes, top: float) -> None:
    axes.set_ylim(-0.02 * top, 1.02 * top)
    axes.yaxis.set_major_locator(MultipleLocator(0.25 if top > 0.6 else 0.1))


def draw_branch(
    axes: Axes,
    path: Path,
    agent: int,
    state: tuple[int, ...],
    *,
    actions: Sequence[str] | None = None,
    colour: str | None = None,
) -> None:
    """Draw one agent's policy at a state along the branch.

    Parameters
    ----------
    axes
        Where to draw.
    path
        From `quantal.solve_path`.
    agent, state
        Whose policy, and where.
    actions
        Which actions; all legal ones unless given.
    colour
        Of every curve; one each unless given.
    """
    game = path[0].game
    betas, play = _curve(path, agent, state)
    axes.set_xlim(0 if min(path.betas) < 0.1 * max(path.betas) else min(path.betas), max(path.betas))
    axes.set_xlabel(r"precision $\beta$")
    for k, action in enumerate(legal_actions(game, agent, state)):
        if actions is not None and game.actions[agent][action] not in actions:
            continue
        ink = colour or COLOURS[k % len(COLOURS)]
        # Through folds a dashed curve cannot be followed; elsewhere dashes tell curves apart that coincide.
        dashes = "-" if path.folds else DASHES[k % 4]
        axes.plot(betas, play[:, action], color=ink, linestyle=dashes, solid_capstyle="round", clip_on=False)
        for fold in path.folds:
            p = fold.policy[agent][state][action]
            axes.plot(fold.beta, p, "o", color=ink, markerfacecolor="white", markersize=5, markeredgewidth=1.3)
    for fork in path.bifurcations:
        axes.plot(fork.beta, 0, "^", color=INK, markersize=5, clip_on=False)


def _name_curves(axes: Axes, path: Path, agent: int, state: tuple[int, ...]) -> None:
    """Write the actions' names at the right ends of the curves."""
    game = path[0].game
    betas, play = _curve(path, agent, state)
    ends = [
        (float(play[-1, action]), game.actions[agent][action], COLOURS[k % len(COLOURS)])
        for k, action in enumerate(legal_actions(game, agent, state))
    ]
    label_ends(axes, ends, float(betas[-1]), gap=0.07)


def _curve(path: Path, agent: int, state: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Betas and policies (points, A_i) to draw through: finely interpolated where the branch was followed."""
    top = max(path.betas)
    if not path.trail:
        order = np.argsort(path.betas, kind="stable")
        time = () if path[0].horizon is None else (0,)
        play = np.stack([path[k].policy[agent][(*time, *state)] for k in order])
        return np.array(path.betas)[order], play
    betas = np.array([step.beta for step in path.trail])
    play = np.stack([step.policy[agent][state] for step in path.trail])
    keep = np.concatenate([[True], np.abs(np.diff(betas)) > 1e-12 * top])
    betas, play = betas[keep], play[keep]
    if betas.size < 3:
        return betas, play
    steps = np.hypot(np.diff(betas) / top, np.linalg.norm(np.diff(play, axis=0), axis=1))
    length = np.concatenate([[0.0], np.cumsum(steps)])
    fine = np.unique(np.concatenate([length, np.linspace(0, length[-1], 600)]))
    # Local cubics: the curve is smooth and, unlike a spline, does not swing around folds.
    through = Akima1DInterpolator(length, np.column_stack([betas, play]), method="makima")(fine)
    return through[:, 0], through[:, 1:]
