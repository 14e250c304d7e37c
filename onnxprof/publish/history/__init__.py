"""What changed from run to run: histories of requests, their strips, a page and a feed."""
