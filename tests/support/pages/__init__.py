"""Runs as pages show them: of each grade, and measured again."""
