"""What tests share: runs, stubs, drivers of a browser, generated records."""
