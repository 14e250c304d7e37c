"""Shapes worked out node by node: rules of operators, subgraphs, and sizes that are symbols."""
