"""torch modules to ONNX."""
