"""Where models come from, on this machine alone."""
