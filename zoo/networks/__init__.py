"""Definitions of our own, in torch; imported by maintainers' exports only."""
