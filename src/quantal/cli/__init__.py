"""The command line: ``quantal games | solve | view | path | simulate | infer | train | compare | reproduce | demo``.

Every command prints tables for people, or with ``--json`` one JSON object for machines (keys in docs/command-line.md),
and ends with 0 done, 1 not converged, 2 bad input. What is said on the way goes to standard error.

Modules that take long to load (JAX, matplotlib, pandas) are imported where they are used, not above: a user who asks
for help should not wait for them.
"""

from quantal.cli import inferring, learning, playing, reproducing, solving, viewing
from quantal.cli.app import app, main

__all__ = ["app", "inferring", "learning", "main", "playing", "reproducing", "solving", "viewing"]
