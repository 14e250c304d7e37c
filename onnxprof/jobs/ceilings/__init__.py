"""Measuring what a device sustains at most through a backend: graphs, slopes, isolation."""
