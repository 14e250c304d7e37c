"""The rules of operators: from the shapes of operands to the shapes of outputs."""
