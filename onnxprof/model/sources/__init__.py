"""References to models (path, zoo:, hub:, hf:), resolved to files."""
