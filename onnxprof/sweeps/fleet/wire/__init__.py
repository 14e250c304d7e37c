"""What goes between a sweep and its workers: messages, files by digest, what a machine has."""
