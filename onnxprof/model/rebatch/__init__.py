"""Another batch size, or the layer that forbids it."""
