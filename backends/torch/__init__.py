"""torch: runs a model as calls, one for each layer."""
