"""How much a job samples beside its budget: what cannot be asked for, and several at a time."""
