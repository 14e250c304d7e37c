"""An ONNX file node by node: bytes, weights, edges, facts about operators."""
