"""Commands about a model under load."""
