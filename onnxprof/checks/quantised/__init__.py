"""What quantising does to the output of each layer."""
