"""Settings of the test run. Types and axes are checked through pytest's options in pyproject.toml."""

import os

os.environ.setdefault("MPLBACKEND", "Agg")

from hypothesis import settings

# A first call compiles, so no deadline; the same examples on every machine.
settings.register_profile("quantal", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("quantal")
