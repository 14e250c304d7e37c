"""Parts of an ONNX file: bytes, weights, nodes and edges, and facts about operators."""
