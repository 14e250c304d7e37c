"""Operators of ONNX as torch calls, one family a module, a dict `OPERATORS` each."""
