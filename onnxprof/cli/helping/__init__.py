"""How `--help` writes parameters."""
