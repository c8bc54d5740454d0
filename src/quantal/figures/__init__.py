"""Pictures of records, fit to print: matplotlib figures, which `save` writes as PNG, SVG or PDF.

Whatever draws a picture takes ``ax``, which says where: axes (several panels stand side by side within them), a
sequence of axes, one for each panel in order (headings are then the caller's), or a figure or subfigure, in which
panels are laid out. Without it the picture is a new figure. What is returned is the whole figure.
"""

from quantal.figures.branches import branch, draw_branch
from quantal.figures.crowds import animate, driving_study, occupancy
from quantal.figures.inference import beliefs, estimates, fit, precision
from quantal.figures.learning import contest, learners
from quantal.figures.paper import (
    Picture,
    draw_published,
    driving,
    figure_3,
    figure_4,
    grid_table,
    one_step,
    parted,
    pictures,
    published,
    pursuit_scores,
    reproduction,
)
from quantal.figures.policies import draw_map, policy, policy_bars, policy_map
from quantal.figures.style import save
from quantal.figures.theorems import causal_entropy, online_inference, rabbit_hole, theorems

__all__ = [
    "Picture",
    "animate",
    "beliefs",
    "branch",
    "causal_entropy",
    "contest",
    "draw_branch",
    "draw_map",
    "draw_published",
    "driving",
    "driving_study",
    "estimates",
    "figure_3",
    "figure_4",
    "fit",
    "grid_table",
    "learners",
    "occupancy",
    "one_step",
    "online_inference",
    "parted",
    "pictures",
    "policy",
    "policy_bars",
    "policy_map",
    "precision",
    "published",
    "pursuit_scores",
    "rabbit_hole",
    "reproduction",
    "save",
    "theorems",
]
