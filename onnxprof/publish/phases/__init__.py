"""Phases of models with states, in print and on pages."""
