"""HTML: one module a page."""
