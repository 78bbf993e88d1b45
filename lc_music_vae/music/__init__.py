"""Reads music and handles musical time. Needs neither magenta nor TensorFlow."""
