"""Pure renderers: stored runs in, bytes out."""
