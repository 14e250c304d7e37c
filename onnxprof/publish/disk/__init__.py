"""Files and processes of a site: cache, replacement of folders, workers, server."""
