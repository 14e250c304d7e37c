"""Sizes of free axes: what a user may write for them, and which sizes a model then has."""
