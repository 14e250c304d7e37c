"""onnxruntime: sessions, profiles, growing prefixes, and kernels on a device."""
