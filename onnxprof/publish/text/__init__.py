"""Numbers, names and sentences as text, for all renderers."""
