"""Small models of onnxruntime's own operators."""
