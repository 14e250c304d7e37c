"""A model run as torch calls, a layer each."""
