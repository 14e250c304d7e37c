"""Rendering reasons: costs, memory, ceilings, rooflines, advice."""
