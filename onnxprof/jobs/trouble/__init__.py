"""What is said and kept of a measurement that came to nothing."""
