"""Sweeps over several machines: through ssh, or on a Ray cluster."""
