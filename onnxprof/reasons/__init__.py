"""From times to causes: ceilings of a device, rooflines of a run, bounds of a network."""
