"""What a machine would tell, from a script."""
