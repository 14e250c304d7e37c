"""What people who work on onnxprof run; no part of the distribution."""
