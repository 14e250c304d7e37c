"""The pages of docs/ as a reader follows them."""
