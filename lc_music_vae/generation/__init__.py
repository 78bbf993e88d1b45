"""Generates music with a trained model: the modes, and how near their outputs are to the songs."""
