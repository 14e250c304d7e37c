"""What is asked of onnxruntime itself: sessions, values, providers, errors."""
