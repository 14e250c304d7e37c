"""What a gate requires of a comparison."""
