"""Axes over which runs are set out: the batch, and every other axis that was given sizes."""
