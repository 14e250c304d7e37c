"""One run: from raw samples to times, sums and warnings."""
