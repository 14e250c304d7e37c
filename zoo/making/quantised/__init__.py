"""Int8 twins of the zoo's networks, made from their skeletons without any data.

Batch norms are folded into the convolutions before them. A weight of bounded noise has a scale
that follows from its recipe, so that its whole numbers are made like its floats were.
"""
