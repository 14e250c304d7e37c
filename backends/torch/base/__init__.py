"""The parts that operators in torch are made of: table entries, values, lazy imports."""
