"""Results away from a terminal: plain text, HTML for notebooks, figures."""
