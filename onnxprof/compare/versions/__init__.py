"""Versions of a runtime against one another: operators that changed, the first slow version."""
