"""onnxruntime's own operators (`com.microsoft`), as far as decoders and encoders use them.

Facts are from onnxruntime's docs/ContribOperators.md; tests compare with its CPU kernels.
"""
