"""What a user may name, and the file that it stands for."""
