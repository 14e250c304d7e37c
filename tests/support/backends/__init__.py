"""Work for a backend, and what it is told to do."""
