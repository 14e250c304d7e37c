"""From a skeleton to a file with weights: the same bytes everywhere."""
