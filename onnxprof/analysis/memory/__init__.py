"""Memory of a model: what is alive at each step, by its graph, and what it will take."""
