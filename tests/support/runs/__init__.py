"""Runs, traces and jobs that several tests start from."""
