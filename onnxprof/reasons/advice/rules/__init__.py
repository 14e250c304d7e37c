"""The rules of the advice, a module a family."""
