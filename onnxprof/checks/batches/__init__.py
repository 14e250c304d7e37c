"""Whether a batch of k different items gives what k runs of one item give, by running both."""
