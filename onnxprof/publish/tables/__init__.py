"""Runs and layers as tables: for terminals, CSV, JSON, Parquet."""
