"""Facts about hardware and operating system, and readings of both."""
