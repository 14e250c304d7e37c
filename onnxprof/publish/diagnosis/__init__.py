"""The state of this installation for readers."""
