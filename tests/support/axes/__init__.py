"""Networks with several free axes."""
