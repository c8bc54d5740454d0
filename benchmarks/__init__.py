"""Measurements. `make bench` (python -m benchmarks) prints the tables; nothing here is a test."""
