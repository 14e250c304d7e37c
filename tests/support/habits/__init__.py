"""For tests of a shell's habits: commands as a user runs them, documents, what POSIX alone has."""
