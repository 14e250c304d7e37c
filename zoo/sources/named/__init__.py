"""Networks of the ONNX Model Zoo, node for node, with its names; for maintainers.

The names of layers and tensors are those that users know from the Model Zoo's files and from
tables published of them. The graphs are written here after the papers and those tables.
"""
