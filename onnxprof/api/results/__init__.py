"""What functions of the API return: records that print themselves as their command does."""
