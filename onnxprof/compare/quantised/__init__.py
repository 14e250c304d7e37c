"""A quantised network beside its float original: which layer is which, what each gained."""
