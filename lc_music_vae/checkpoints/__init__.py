"""Finds, unpacks, reads and records checkpoints and run folders."""
