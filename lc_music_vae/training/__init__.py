"""Training and evaluating the small VAE."""
