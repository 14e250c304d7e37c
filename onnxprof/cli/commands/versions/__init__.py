"""Two sides measured in turn, and versions of a runtime, for `onnxprof compare`."""
