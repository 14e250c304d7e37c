"""The protocols that a plugin implements, and the registry that loads plugins."""
