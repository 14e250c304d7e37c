"""Tables in the form that others published them in, made up."""
