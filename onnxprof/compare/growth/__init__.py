"""How time grows with a length: rows of several runs, orders of growth, phases side by side."""
