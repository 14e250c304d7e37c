"""Programs: models as lists of torch calls."""
