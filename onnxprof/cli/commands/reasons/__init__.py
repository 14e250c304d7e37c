"""Commands that say why: ceilings, advice, a slow step as a model of its own."""
