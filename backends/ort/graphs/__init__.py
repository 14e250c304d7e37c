"""onnxruntime's executed graphs, and what of the original each node computes."""
