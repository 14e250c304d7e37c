"""Measurements whose steps take what a script says."""
