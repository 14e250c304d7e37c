"""Shape inference node by node: rules of operators, subgraphs, symbolic sizes."""
