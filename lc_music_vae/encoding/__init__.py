"""From songs to windows to latents on disk."""
