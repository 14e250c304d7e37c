"""The executed graph beside the file's, as a table, CSV, JSON or a drawing for Graphviz."""
