"""What other profilers wrote, as runs."""
