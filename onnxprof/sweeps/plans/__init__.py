"""Plans: from a file in TOML to tasks, and a plan for the machine at hand."""
