"""Checkpoints and run folders: found, unbundled, read, recorded."""
