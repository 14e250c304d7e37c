"""Several runs: pairs, ratios, alignments, verdicts."""
