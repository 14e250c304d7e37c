"""What a gate found, for a terminal, a comment, annotations and GitLab."""
