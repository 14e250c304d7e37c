"""Files of a site: cache, swap, worker processes, server."""
