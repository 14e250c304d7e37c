"""What the rules share: a run as they see it, findings, other runs."""
