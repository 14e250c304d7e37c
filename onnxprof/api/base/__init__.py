"""What functions of the API share: models that users give, progress, warnings."""
