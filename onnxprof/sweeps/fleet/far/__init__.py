"""The far side: a worker that measures on its own machine what it is sent."""
