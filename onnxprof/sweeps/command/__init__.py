"""What one command asks to be measured, as a plan: models by one set of options, phases."""
