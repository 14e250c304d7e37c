"""The page of published lower bounds, which nothing ranks among measured latencies."""
