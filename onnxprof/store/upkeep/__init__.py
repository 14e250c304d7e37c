"""Keeping stores in order: what is superfluous, removing, merging."""
