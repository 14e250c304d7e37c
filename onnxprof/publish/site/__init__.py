"""Puts a site together."""
