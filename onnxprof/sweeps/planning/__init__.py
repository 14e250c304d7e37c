"""What is left of a plan, in which order, how long it will take, and what it needs."""
