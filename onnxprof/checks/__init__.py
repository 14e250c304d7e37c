"""Whether what a model computes is right."""
