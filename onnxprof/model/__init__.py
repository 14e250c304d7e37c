"""From a model's name to a checked file, the layers in it, and the arrays for its inputs."""
