"""Shared by the backends that run on NVIDIA GPUs: the driver, and CUPTI."""
