"""Keras and TensorFlow to ONNX."""
