"""What is stored beside runs, one JSON file each: ceilings of devices, and models under load."""
