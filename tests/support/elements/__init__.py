"""Networks in other types than they were written in."""
