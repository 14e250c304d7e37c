"""What several backends share on NVIDIA: the driver, and CUPTI."""
