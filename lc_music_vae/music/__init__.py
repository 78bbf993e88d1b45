"""Reading music, and musical time. Needs neither magenta nor TensorFlow."""
