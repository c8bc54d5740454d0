"""Maps drawn in letters: declared, read and checked, played, and told as journeys."""
