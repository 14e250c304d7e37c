"""Work apart: limits on time and memory, scratch folders, the lock on a device."""
