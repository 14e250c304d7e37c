"""TensorRT: engines, their layers, and sessions."""
