"""A step of a run as a small model of its own, with inputs and a script to run it."""
