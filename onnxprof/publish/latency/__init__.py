"""A run's latency beyond its median: percentiles, several inferences at a time, other runtimes."""
