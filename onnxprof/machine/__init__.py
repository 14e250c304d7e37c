"""Facts about hardware and system, and readings of both."""
