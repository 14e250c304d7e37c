"""The site's first page: models against systems under one choice of settings."""
