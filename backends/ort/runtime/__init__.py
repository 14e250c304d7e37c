"""The interface to onnxruntime itself: sessions, values, providers, errors."""
