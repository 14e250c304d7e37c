"""From a name to a checked file, its layers, and what it is fed."""
