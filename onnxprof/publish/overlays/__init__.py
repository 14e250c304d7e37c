"""Formats of other viewers."""
