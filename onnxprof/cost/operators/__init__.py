"""Work of each operator by its shapes, one module a family with a table `OPERATORS`."""
