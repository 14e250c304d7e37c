"""Types of a tensor's elements: their names, widths and kinds, and arrays of them."""
