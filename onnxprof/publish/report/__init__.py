"""A site as one file that works from disk: its pages, scripts, data and downloads."""
