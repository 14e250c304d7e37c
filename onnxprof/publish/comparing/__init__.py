"""Rendering comparisons of several runs: alignments, changes, batches."""
