"""Work in processes of its own: plan, run, isolate, repeat."""
