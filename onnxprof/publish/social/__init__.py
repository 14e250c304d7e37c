"""The picture that a link to a model's page is shown with elsewhere."""
