"""Models that nobody here wrote, out of published Python packages; `models.toml` lists them."""
