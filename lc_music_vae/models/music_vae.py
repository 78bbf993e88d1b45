"""MusicVAE's two frozen halves, built by magenta's own code from a checkpoint.

Each half has its own graph and session with only its own variables: training does not need the decoder, and sampling
does not need the encoder.
"""

import contextlib
import copy
import functools
import types
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf
import tensorflow_probability as tfp
from magenta.contrib import seq2seq
from magenta.models.music_vae import configs as music_vae_configs
from magenta.models.music_vae import lstm_models

from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.errors import InputError
from lc_music_vae.models import sessions
from lc_music_vae.system import progress

_WORTH_A_CORE = 4  # windows: fewer are encoded as fast on one core


def z_size(music_vae: str) -> int:
    """Returns the dimensions of the latent z of a MusicVAE config."""
    return music_vae_configs.CONFIG_MAP[music_vae].hparams.z_size


@contextlib.contextmanager
def _repeatable_loops() -> Iterator[None]:
    """Builds loops whose random draws are a function of the graph's seed, for decoders that are not categorical.

    TensorFlow 2's loops give every body the same op seeds. And if a draw does not depend on other ops, as in newer
    versions of tensorflow-probability, overlapping iterations draw in any order.
    """
    dynamic_decode, control_flow_v2 = seq2seq.dynamic_decode, tf.control_flow_v2_enabled()
    seq2seq.dynamic_decode = functools.partial(dynamic_decode, parallel_iterations=1)
    tf.disable_control_flow_v2()
    try:
        yield
    finally:
        seq2seq.dynamic_decode = dynamic_decode
        if control_flow_v2:
            tf.enable_control_flow_v2()


@contextlib.contextmanager
def _drawing_with(noise: tf.Tensor) -> Iterator[None]:
    """Builds categorical decoders that draw with the given noise instead of noise from the graph.

    The draw is argmax(logits + Gumbel noise), which has the distribution softmax(logits). Source: Gumbel, "Statistical
    theory of extreme values" (1954); Maddison, Tarlow, Minka, "A* sampling" (2014).

    magenta's categorical decoders draw from `OneHotCategorical`, and `CustomHelper` knows the step. A hierarchical
    decoder builds one loop for each bar, and within a bar one for each instrument; each takes its part of the noise.

    Args:
        noise: Standard Gumbel noise, float32 [batch, steps, output_depth].
    """
    helper, dynamic_decode, distribution = seq2seq.CustomHelper, seq2seq.dynamic_decode, tfp.distributions
    categorical = distribution.OneHotCategorical
    first_step = first_output = depth = 0  # the part of the loop that is being built
    here = noise[:, 0]

    def helper_with_noise(sample_fn: Callable[..., tf.Tensor], sample_ids_shape: Sequence[int], **others: Any) -> Any:
        nonlocal depth
        (depth,) = sample_ids_shape

        def sample(time: tf.Tensor, outputs: tf.Tensor, state: Any) -> tf.Tensor:
            nonlocal here
            here = noise[:, first_step + time, first_output : first_output + depth]
            return sample_fn(time=time, outputs=outputs, state=state)

        return helper(sample_fn=sample, sample_ids_shape=sample_ids_shape, **others)

    def next_part(decoder: Any, *, maximum_iterations: int, **others: Any) -> Any:
        nonlocal first_step, first_output
        decoded = dynamic_decode(decoder, maximum_iterations=maximum_iterations, **others)
        first_output += depth
        if first_output == noise.shape[2]:
            first_step, first_output = first_step + maximum_iterations, 0
        return decoded

    def gumbel_max(logits: tf.Tensor, dtype: tf.DType) -> Any:
        chosen = tf.argmax(logits + here, axis=-1)
        return types.SimpleNamespace(sample=lambda: tf.one_hot(chosen, logits.shape[-1], dtype=dtype))

    seq2seq.CustomHelper, seq2seq.dynamic_decode = helper_with_noise, next_part
    distribution.OneHotCategorical = gumbel_max
    try:
        yield
    finally:
        seq2seq.CustomHelper, seq2seq.dynamic_decode = helper, dynamic_decode
        distribution.OneHotCategorical = categorical


def _frozen(
    music_vae: str,
    weights: Weights,
    batch_size: Optional[int],
    build: Callable[[Any], Dict[str, tf.Tensor]],
    *,
    seed: int = 0,
    at_once: int = 1,
) -> Tuple[tf.Session, Dict[str, tf.Tensor]]:
    """Builds one half of MusicVAE in its own graph and restores the weights for its variables.

    Args:
        music_vae: Name of the MusicVAE config.
        weights: The checkpoint's tensors.
        batch_size: The batch size for models that need a fixed one, or None.
        build: Builds the half from magenta's config and returns the tensors that callers feed and fetch.
        seed: Seed of the graph's random draws; categorical decoders have none.
        at_once: The number of threads that run the session at once.
    """
    # magenta keeps one config per name for the whole process, and changes it while it builds.
    config = copy.deepcopy(music_vae_configs.CONFIG_MAP[music_vae])
    config.data_converter.set_mode("infer")
    config.hparams.batch_size = batch_size
    with tf.Graph().as_default() as graph, _repeatable_loops():
        # magenta draws without op seeds: the graph's seed makes the samples repeatable.
        tf.set_random_seed(seed)
        tensors = _unconverted(config, build)
        variables = tf.trainable_variables()
        weights.check({v.op.name: tuple(v.shape.as_list()) for v in variables}, music_vae)
        session = tf.Session(graph=graph, config=sessions.config(at_once=at_once))
        weights.restore(session, variables)
    return session, tensors


@tf.autograph.experimental.do_not_convert
def _unconverted(config: Any, build: Callable[[Any], Dict[str, tf.Tensor]]) -> Dict[str, tf.Tensor]:
    """Builds without AutoGraph, which would use most of the time for cells that have nothing to convert."""
    config.model.build(config.hparams, config.data_converter.output_depth, is_training=False)
    return build(config)


def _draws(graph: tf.Graph) -> bool:
    """Returns whether a graph draws random numbers itself, other than to initialize its variables."""
    drawing = [op.name for op in graph.get_operations() if op.type.startswith(("Random", "Multinomial"))]
    return any("/Initializer/" not in name for name in drawing)


class Encoder:
    """MusicVAE's encoder: turns windows into the mean and scale of q(z|x).

    Args:
        music_vae: Name of the MusicVAE config.
        weights: The checkpoint's tensors.
        at_once: How many batches are encoded at once; see `sessions.batches_at_once`.
    """

    def __init__(self, music_vae: str, weights: Weights, *, at_once: int = 1):
        encoder = music_vae_configs.CONFIG_MAP[music_vae].model.encoder
        # Hierarchical encoders need their batch size as a Python integer; others accept any batch size.
        self._batch_size = 32 if isinstance(encoder, lstm_models.HierarchicalLstmEncoder) else None
        self._at_once = at_once
        self._session, self._tensors = _frozen(music_vae, weights, self._batch_size, self._build, at_once=at_once)

    def _build(self, config) -> Dict[str, tf.Tensor]:
        converter = config.data_converter
        shape = [self._batch_size, config.hparams.max_seq_len, converter.input_depth]
        inputs = tf.placeholder(tf.as_dtype(converter.input_dtype), shape)
        lengths = tf.placeholder(tf.int32, [self._batch_size] + list(converter.length_shape))
        controls = tf.placeholder(tf.float32, shape[:2] + [converter.control_depth])
        q_z = config.model.encode(inputs, lengths, controls)
        return {
            "inputs": inputs,
            "lengths": lengths,
            "controls": controls,
            "mean": q_z.loc,
            "scale": q_z.scale.diag,
        }

    def encode(
        self, inputs: Sequence[np.ndarray], lengths: Sequence[Any], controls: Optional[Sequence[np.ndarray]] = None
    ) -> Tuple[np.ndarray, np.ndarray]:
        """Encodes windows, all in one batch where the model allows it.

        Args:
            inputs: n arrays [time, input_depth], as the converter makes them.
            lengths: Their n lengths, as the converter gives them.
            controls: Their n controls, [time, control_depth] each, where the config needs some.

        Returns:
            Mean and scale of q(z|x), float32 [n, z_size] each.
        """
        size = self._batch_size or -(-len(inputs) // max(1, min(self._at_once, len(inputs) // _WORTH_A_CORE)))
        given = [np.zeros([0, 0])] * len(inputs) if controls is None else controls
        fetches, of = (self._tensors["mean"], self._tensors["scale"]), self._tensors

        def encode(here: slice) -> Tuple[np.ndarray, np.ndarray]:
            multiple = self._batch_size or 1
            parts = {"inputs": inputs[here], "lengths": lengths[here], "controls": given[here]}
            feeds = {of[name]: _padded(part, multiple, of[name]) for name, part in parts.items()}
            mean, scale = self._session.run(fetches, feeds)
            return mean[: len(inputs[here])], scale[: len(inputs[here])]

        batches = [slice(i, i + size) for i in range(0, len(inputs), size)]
        means, scales = zip(*sessions.side_by_side(encode, batches, self._at_once))
        return np.concatenate(means), np.concatenate(scales)

    def close(self) -> None:
        """Frees the session and the weights in it."""
        self._session.close()


def _padded(rows: Sequence[Any], multiple: int, placeholder: tf.Tensor) -> np.ndarray:
    """Stacks `rows`, each padded with zeros to the placeholder's shape; their number is padded to a multiple too."""
    shape = [-(-len(rows) // multiple) * multiple] + placeholder.shape.as_list()[1:]
    padded = np.zeros(shape, placeholder.dtype.as_numpy_dtype)
    for i, row in enumerate(rows):
        if np.ndim(row):
            padded[i, : len(row)] = row
        else:
            padded[i] = row
    return padded


class Decoder:
    """MusicVAE's decoder: turns z into tensors, which the converter turns into notes.

    A categorical decoder (melodies, drums, trios) draws each window with noise of its own: what it makes of a window
    does not depend on the other windows of the batch. Decoders of other kinds draw from one stream for all windows,
    which is a function of `seed`.

    Attributes:
        batch_size: Number of windows in a batch; fewer windows take the same time.
        at_once: How many batches are decoded at once; see `sessions.batches_at_once`.
    """

    def __init__(self, music_vae: str, weights: Weights, batch_size: int, *, seed: int = 0, at_once: int = 1):
        self.batch_size = batch_size
        self._session, self._tensors = _frozen(music_vae, weights, batch_size, self._build, seed=seed, at_once=at_once)
        self.at_once = 1 if _draws(self._session.graph) else at_once  # draws from one stream have an order

    def _build(self, config) -> Dict[str, tf.Tensor]:
        steps = config.hparams.max_seq_len
        z = tf.placeholder(tf.float32, [self.batch_size, config.hparams.z_size])
        temperature = tf.placeholder(tf.float32, [])
        depth = config.data_converter.control_depth
        controls = tf.placeholder(tf.float32, [steps, depth]) if depth else None
        uniform = tf.placeholder(tf.float32, [self.batch_size, steps, config.data_converter.output_depth])
        with _drawing_with(-tf.log(-tf.log(uniform))):
            samples, _ = config.model.sample(
                self.batch_size, max_length=steps, z=z, c_input=controls, temperature=temperature
            )
        tensors = {"z": z, "temperature": temperature, "uniform": uniform, "samples": samples}
        return dict(tensors, controls=controls) if depth else tensors

    def decode(
        self, z: np.ndarray, temperature: float, keys: np.ndarray, *, controls: Optional[np.ndarray] = None
    ) -> np.ndarray:
        """Decodes latents in batches, each with one sequence of controls, as magenta's decoders have one a batch.

        Args:
            z: float [n, z_size].
            temperature: Softmax temperature, above 0.
            keys: Whole numbers [n, k] from 0 to 2^32 - 1. The noise of a window is a function of its key.
            controls: Controls of each window, [n, time, control_depth], if the config needs some.

        Returns:
            float32 [n, time, output_depth].

        Raises:
            InputError: The config needs controls, and there are none.
        """
        size, of = self.batch_size, self._tensors
        if "controls" in of and controls is None:
            raise InputError("this MusicVAE decodes with controls, and none are given")

        def decode(here: np.ndarray) -> np.ndarray:
            given = {
                "z": _padded(z[here], size, of["z"]),
                "uniform": _uniform(keys[here], of["uniform"].shape.as_list()),
                "temperature": temperature,
            }
            if "controls" in of and controls is not None:
                given["controls"] = controls[here[0]]
            return self._session.run(of["samples"], {of[name]: value for name, value in given.items()})

        batches = [group[i : i + size] for group in _alike(controls, len(z)) for i in range(0, len(group), size)]
        decoded: List[Any] = [None] * len(z)
        with progress.bar("decoding", len(z), "window") as bar:
            for here, made in zip(batches, sessions.side_by_side(decode, batches, self.at_once)):
                for row, window in zip(here, made):
                    decoded[row] = window
                bar.update(len(here))
        return np.stack(decoded)

    def close(self) -> None:
        """Frees the session and the weights in it."""
        self._session.close()


def _alike(controls: Optional[np.ndarray], n: int) -> List[np.ndarray]:
    """Returns the numbers of windows, grouped by their controls; all n in one group if there are none."""
    groups: Dict[bytes, List[int]] = {}
    for i in range(n):
        groups.setdefault(b"" if controls is None else controls[i].tobytes(), []).append(i)
    return [np.array(group) for group in groups.values()]


def _uniform(keys: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Returns numbers between 0 and 1, both excluded: float32 of the given shape, whose row i depends only on keys[i].

    They have 23 bits, so that neither end is reached by rounding. Rows without a key are 0.5.
    """
    generator = np.random.RandomState(0)  # seeded again for each row: making one takes ten times as long
    drawn = np.full(shape, 0.5, np.float32)
    for row, key in zip(drawn, keys):
        generator.seed(key)
        bits = np.frombuffer(generator.bytes(4 * row.size), "<u4").reshape(row.shape) >> 9
        np.multiply(bits, np.float32(2**-23), out=row, casting="unsafe")
        row += np.float32(2**-24)
    return drawn
