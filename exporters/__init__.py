"""Frameworks: one module each, found through the entry-point group ``onnxprof.exporters``."""
