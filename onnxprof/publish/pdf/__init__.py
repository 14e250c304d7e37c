"""Model plots and timing tables as PDF."""
