"""What tests of the Python API share."""
