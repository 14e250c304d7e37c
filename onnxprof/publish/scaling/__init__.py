"""One system over sizes of an axis: in print, for programs, on pages."""
