"""The networks, each in its own session: MusicVAE's frozen halves and the small VAE; and points of the small latent."""
