"""From executed steps back to ONNX layers, for any runtime."""
