"""The nouns: layers, steps, devices, runs and what is read beside them, as frozen records."""
