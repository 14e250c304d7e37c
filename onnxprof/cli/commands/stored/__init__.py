"""Commands on stored runs, one module each."""
