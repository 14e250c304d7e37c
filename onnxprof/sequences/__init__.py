"""Models with states: which they are, and sizes and inputs of a phase at a length."""
