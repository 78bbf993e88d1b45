"""The networks, each in a session of its own: MusicVAE's frozen halves and the small VAE; points of its latent."""
