"""Records as tables for people and as rows and JSON for machines."""
