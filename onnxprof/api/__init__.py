"""The Python API: what a command does, as a function with records for its result."""
