"""Versions of a runtime beside the installed one: listed, installed apart, searched."""
