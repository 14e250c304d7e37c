"""Steps of onnxruntime, checked by the values that they compute."""
