"""onnxruntime: sessions, its profile, growing prefixes, and kernels on a device."""
