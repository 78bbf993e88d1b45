"""What every TensorFlow session of the toolkit is given."""

import tensorflow.compat.v1 as tf


def config() -> tf.ConfigProto:
    """Returns a session's options: no more of a GPU than is needed."""
    options = tf.ConfigProto()
    options.gpu_options.allow_growth = True
    return options
