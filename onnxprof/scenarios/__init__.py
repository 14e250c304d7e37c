"""A model under load: MLCommons' LoadGen in a process of its own, and what answers its queries."""
