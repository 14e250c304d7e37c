"""Many measurements as a plan: what to run, in which order, what is done, and where it runs."""
