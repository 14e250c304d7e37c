"""Work apart: limits, fences, cores of its own, scratch folders, the lock on a device."""
