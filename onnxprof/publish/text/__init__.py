"""Numbers, names and sentences: the only place that words a figure."""
