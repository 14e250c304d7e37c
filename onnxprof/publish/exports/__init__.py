"""Stored runs in the forms that trackers of benchmarks read."""
