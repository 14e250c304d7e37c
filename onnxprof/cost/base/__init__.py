"""Sizes as expressions, and work as a sum of operations: what formulas are written with."""
