"""Where the graphs of the zoo come from; for maintainers."""
