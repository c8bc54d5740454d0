"""Pictures of records, fit to print: matplotlib figures, which `save` writes as PNG, SVG or PDF."""

from quantal.figures.branches import branch, draw_branch
from quantal.figures.learning import contest, learners
from quantal.figures.paper import (
    Picture,
    draw_published,
    figure_3,
    figure_4,
    grid_table,
    one_step,
    pictures,
    published,
    pursuit_scores,
    reproduction,
)
from quantal.figures.policies import draw_map, policy, policy_bars, policy_map
from quantal.figures.style import save

__all__ = [
    "Picture",
    "branch",
    "contest",
    "draw_branch",
    "draw_map",
    "draw_published",
    "figure_3",
    "figure_4",
    "grid_table",
    "learners",
    "one_step",
    "pictures",
    "policy",
    "policy_bars",
    "policy_map",
    "published",
    "pursuit_scores",
    "reproduction",
    "save",
]
