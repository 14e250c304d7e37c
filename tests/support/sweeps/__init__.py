"""Sweeps for tests: plans, places and events that nobody measured."""
