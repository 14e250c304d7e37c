"""Runs and layers as rows: terminal, CSV, JSON, Parquet."""
