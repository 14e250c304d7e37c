"""`onnxprof runs import`: files of other profilers, and published tables."""
