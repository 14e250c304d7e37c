"""Parts that all exporters share: inputs, names, and tidying of graphs."""
