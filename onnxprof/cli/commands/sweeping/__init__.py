"""`onnxprof sweep`: measures what a plan lists, resumes it, and writes plans."""
