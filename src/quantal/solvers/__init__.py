"""One algorithm a file; they do not import each other. `quantal.solve` picks."""
