"""`onnxprof advise`, and what its --apply does."""
