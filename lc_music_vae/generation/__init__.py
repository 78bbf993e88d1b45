"""From a trained model to music: the modes, and how near their outputs are to the songs."""
