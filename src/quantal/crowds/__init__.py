"""Many agents on one map: the game, its layout for the engine, its passes, its record."""
