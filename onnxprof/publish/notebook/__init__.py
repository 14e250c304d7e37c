"""Runs in a notebook: HTML and figures."""
