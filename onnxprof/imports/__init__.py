"""Files of other profilers, imported as runs."""
