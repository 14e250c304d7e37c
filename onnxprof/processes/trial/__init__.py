"""The fences and cores of measurements, tried out on this machine."""
