"""How to repeat a run: three lines to copy, and what may differ elsewhere."""
