"""MusicVAE's two frozen halves, built by magenta's own code from a checkpoint.

Each half is a graph and a session of its own that holds its own variables and no others: training needs no
decoder, sampling no encoder.
"""

import copy
from typing import Any, Optional, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf
from magenta.models.music_vae import configs as music_vae_configs
from magenta.models.music_vae import lstm_models

from lc_music_vae import checkpoints

# What an encoder's variables are called under, in every MusicVAE config.
ENCODER_SCOPE = "encoder/"


def z_size(music_vae: str) -> int:
    """Returns the dimensions of the latent z of a MusicVAE config."""
    return music_vae_configs.CONFIG_MAP[music_vae].hparams.z_size


def session_config(threads: int = 0) -> tf.ConfigProto:
    """Returns a session's options: threads (0 is one a core), and no more of a GPU than is needed."""
    options = tf.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
    options.gpu_options.allow_growth = True
    return options


class _Frozen:
    """A graph over one half of MusicVAE, its weights restored."""

    def __init__(
        self, music_vae: str, weights: checkpoints.Weights, batch_size: Optional[int], seed: int = 0
    ):
        # magenta keeps one config a name for the whole process, and changes it while it builds.
        config = copy.deepcopy(music_vae_configs.CONFIG_MAP[music_vae])
        config.data_converter.set_mode("infer")
        config.hparams.batch_size = batch_size
        self._config = config
        self._batch_size = batch_size
        with tf.Graph().as_default() as graph:
            # Decoders draw their samples without seeds of their own: the graph's makes them repeatable.
            tf.set_random_seed(seed)
            config.model.build(config.hparams, config.data_converter.output_depth, is_training=False)
            self._build(config)
            self._session = tf.Session(graph=graph, config=session_config())
            weights.restore(self._session, tf.trainable_variables(), music_vae)

    def _build(self, config: Any) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Frees the session and the weights in it."""
        self._session.close()


class Encoder(_Frozen):
    """MusicVAE's encoder: windows to the mean and scale of q(z|x)."""

    def __init__(self, music_vae: str, weights: checkpoints.Weights):
        encoder = music_vae_configs.CONFIG_MAP[music_vae].model.encoder
        # Hierarchical encoders need their batch as a Python integer; others take any.
        fixed = isinstance(encoder, lstm_models.HierarchicalLstmEncoder)
        super().__init__(music_vae, weights, 32 if fixed else None)

    def _build(self, config):
        converter = config.data_converter
        self._inputs = tf.placeholder(
            tf.bool if converter.input_dtype == np.bool_ else tf.float32,
            [self._batch_size, config.hparams.max_seq_len, converter.input_depth],
        )
        self._lengths = tf.placeholder(tf.int32, [self._batch_size] + list(converter.length_shape))
        q_z = config.model.encode(self._inputs, self._lengths)
        self._outputs = (q_z.loc, q_z.scale.diag)

    def encode(self, inputs: Sequence[np.ndarray], lengths: Sequence[Any]) -> Tuple[np.ndarray, np.ndarray]:
        """Encodes windows, all in one batch where the model allows it.

        Args:
            inputs: n arrays [time, input_depth], as the converter makes them.
            lengths: Their n lengths, in the converter's own terms.

        Returns:
            Mean and scale of q(z|x), float32 [n, z_size] each.
        """
        n = len(inputs)
        size = self._batch_size or n
        padded = np.zeros([-(-n // size) * size] + self._inputs.shape.as_list()[1:], inputs[0].dtype)
        padded_lengths = np.zeros([len(padded)] + self._lengths.shape.as_list()[1:], np.int32)
        padded_lengths[:n] = np.array(lengths)
        for i, window in enumerate(inputs):
            padded[i, : len(window)] = window
        means, scales = zip(
            *(
                self._session.run(
                    self._outputs,
                    {self._inputs: padded[i : i + size], self._lengths: padded_lengths[i : i + size]},
                )
                for i in range(0, len(padded), size)
            )
        )
        return np.concatenate(means)[:n], np.concatenate(scales)[:n]


class Decoder(_Frozen):
    """MusicVAE's decoder: z to tensors that the converter turns into notes.

    Its noise is repeatable: two decoders with the same seed and batch size give the same tensors for the same
    sequence of calls.
    """

    def _build(self, config):
        self._z = tf.placeholder(tf.float32, [self._batch_size, config.hparams.z_size])
        self._temperature = tf.placeholder(tf.float32, [])
        self._samples, _ = config.model.sample(
            self._batch_size, max_length=config.hparams.max_seq_len, z=self._z, temperature=self._temperature
        )

    def decode(self, z: np.ndarray, temperature: float, controls: Optional[np.ndarray] = None) -> np.ndarray:
        """Decodes latents in batches.

        Args:
            z: float [n, z_size].
            temperature: Softmax temperature, above 0.
            controls: None; chords and hits come later.

        Returns:
            float32 [n, time, output_depth].
        """
        if controls is not None:
            raise ValueError("controls are not supported yet; give None")
        n = len(z)
        padded = np.zeros([-(-n // self._batch_size) * self._batch_size, z.shape[1]], np.float32)
        padded[:n] = z
        batches = [
            self._session.run(
                self._samples,
                {self._z: padded[i : i + self._batch_size], self._temperature: temperature},
            )
            for i in range(0, len(padded), self._batch_size)
        ]
        return np.concatenate(batches)[:n]
