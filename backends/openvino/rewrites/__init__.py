"""onnxruntime's own operators in forms that OpenVINO's frontend reads (2026.4).

The results stay what they are: every tensor of the file keeps its name, so the layers do, too.
"""
