"""Percentiles and straight lines: what a number of samples allows to say."""
