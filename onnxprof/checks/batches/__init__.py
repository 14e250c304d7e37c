"""Proofs that a batch of k different items equals k runs of one item, by running both."""
