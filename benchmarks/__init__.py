"""Measurements. Each is run by hand with `make`, and none of them is a test."""
