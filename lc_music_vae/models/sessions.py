"""The options of every TensorFlow session in the toolkit."""

import tensorflow.compat.v1 as tf


def config() -> tf.ConfigProto:
    """Returns a session's options: it uses only as much GPU memory as it needs."""
    options = tf.ConfigProto()
    options.gpu_options.allow_growth = True
    return options
