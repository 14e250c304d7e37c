"""From a model to the list of torch calls."""
