"""Whether a step did the work of the layers that it claims, by the values at its ends."""
