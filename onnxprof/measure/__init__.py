"""Takes the samples: the protocol over any session."""
