"""Charts and model plots as SVG."""
