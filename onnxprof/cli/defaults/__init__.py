"""Defaults of options from a file: `onnxprof.toml`, or `[tool.onnxprof]` in pyproject.toml."""
