"""Completion in a shell: the scripts that users load, and the answers to them at each Tab."""
