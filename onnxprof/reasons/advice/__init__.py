"""What to change in a network or its setting, with evidence and the gain to expect."""
