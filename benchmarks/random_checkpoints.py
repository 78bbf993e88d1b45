"""Makes checkpoints with real names, shapes and layout and random weights: the published ones cannot be shipped."""

import copy

import numpy as np
import tensorflow.compat.v1 as tf
from magenta.models.music_vae import configs


def save_random_checkpoint(name, prefix, seed, slots=True, deviation=0.4):
    """Builds a MusicVAE with magenta's own code and saves it with random weights, in the layout of its Saver.

    Args:
        name: Name in magenta's `CONFIG_MAP`.
        prefix: Where to save it.
        seed: Seed of the weights.
        slots: Whether to save Adam's slots too, as in the published checkpoints.
        deviation: Standard deviation of the weights. The default is large enough that outputs differ between windows.
    """
    config = copy.deepcopy(configs.CONFIG_MAP[name])
    config.hparams.batch_size = 2
    converter = config.data_converter
    with tf.Graph().as_default(), tf.Session() as session:
        config.model.build(config.hparams, converter.output_depth, is_training=False)
        steps, depth = config.hparams.max_seq_len, converter.control_depth
        inputs, controls = tf.zeros([2, steps, converter.input_depth]), tf.zeros([2, steps, depth])
        z = config.model.encode(inputs, tf.fill([2], steps), controls).loc
        config.model.sample(2, max_length=steps, z=z, c_input=controls[0] if depth else None, temperature=1.0)
        trained = tf.trainable_variables()
        if slots:
            for variable in trained:
                for slot in ("Adam", "Adam_1"):
                    tf.get_variable("%s/%s" % (variable.op.name, slot), variable.shape, trainable=False)
            for power in ("beta1_power", "beta2_power"):
                tf.get_variable(power, [], trainable=False)
        session.run(tf.global_variables_initializer())
        rng = np.random.RandomState(seed)
        for v in trained:
            v.load((deviation * rng.standard_normal(v.shape.as_list())).astype(np.float32), session)
        tf.train.Saver().save(session, prefix, write_meta_graph=False)
