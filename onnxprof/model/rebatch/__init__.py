"""Changing a model's batch size, or naming the layer that prevents it."""
