"""Exporters by framework, registered in the entry-point group ``onnxprof.exporters``."""
