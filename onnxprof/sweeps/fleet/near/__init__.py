"""The near side: which machines may measure, what is sent to them, what comes back."""
