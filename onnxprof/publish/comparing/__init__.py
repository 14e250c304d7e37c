"""Several runs in print."""
