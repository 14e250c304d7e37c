"""Records as documents for programs: the output of `--json`, and the JSON Schema of each."""
