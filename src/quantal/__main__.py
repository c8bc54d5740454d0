"""``python -m quantal`` is the command line."""

from quantal.cli import main

main()
