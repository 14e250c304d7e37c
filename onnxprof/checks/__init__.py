"""Checks of a model's outputs: against a reference, over batches, of the zoo, of exports."""
