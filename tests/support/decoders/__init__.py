"""Tiny models with states, built on the spot: decoders with caches, recurrent cells."""
