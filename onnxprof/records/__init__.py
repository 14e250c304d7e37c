"""Frozen records of layers, steps, devices, runs and telemetry."""
