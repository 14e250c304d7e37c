"""What files of runs are made of: rows of samples, and archives of many runs (docs/store.md)."""
