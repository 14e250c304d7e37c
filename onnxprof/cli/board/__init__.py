"""What a sweep shows while it runs: a board on a terminal, lines elsewhere."""
