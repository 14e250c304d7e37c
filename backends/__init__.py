"""Runtimes: one package each, registered in the entry-point group ``onnxprof.backends``."""
