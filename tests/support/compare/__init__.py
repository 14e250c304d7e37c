"""Runs to be laid side by side."""
