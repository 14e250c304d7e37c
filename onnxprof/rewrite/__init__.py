"""A model rewritten where that changes no result, checked against the original."""
