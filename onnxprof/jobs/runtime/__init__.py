"""The version of a runtime that jobs run on."""
