"""Two versions of a runtime on one model, and the first slow one between them."""
