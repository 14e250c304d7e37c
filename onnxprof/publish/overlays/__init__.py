"""Runs in the formats of other viewers: Chrome traces and Model Explorer."""
