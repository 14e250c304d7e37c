"""How a sweep stands: what its events add up to, kept in a file that other terminals read."""
