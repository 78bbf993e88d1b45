"""Turns songs into windows, and windows into latents on disk."""
