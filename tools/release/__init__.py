"""A release in one command; docs/releasing.md says what it does."""
