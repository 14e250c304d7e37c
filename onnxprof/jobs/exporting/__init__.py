"""Exports of models in a process of its own."""
