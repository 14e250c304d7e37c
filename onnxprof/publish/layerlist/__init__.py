"""The list of every layer of every model: an index by batch size, and the page that reads it."""
