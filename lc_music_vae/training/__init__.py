"""Trains and evaluates the small VAE."""
