"""What a run computes of a sequence: phases, and the states that a model hands on."""
