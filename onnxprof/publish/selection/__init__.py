"""What the panel of a model's page tells of one layer, beyond what the page has."""
