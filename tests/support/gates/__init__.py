"""For tests of gates: repositories, models that are slower, and outcomes without measuring."""
