"""Trains the small VAE with a tf.estimator.Estimator.

All random values are a function of (seed, global step), drawn by stateless ops. So a training that was killed and
continues from its last checkpoint ends with the same weights as a training that was not interrupted.
"""

import contextlib
import functools
import logging
import os
import tempfile
import threading
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import tensorflow.compat.v1 as tf
import tqdm

from lc_music_vae import base_model
from lc_music_vae.checkpoints import finding
from lc_music_vae.checkpoints.checkpoint import Checkpoint
from lc_music_vae.checkpoints.run_json import Settings
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.encoding import latents
from lc_music_vae.errors import InputError
from lc_music_vae.hparams import HParams
from lc_music_vae.models import sessions
from lc_music_vae.options import Training
from lc_music_vae.system import files, interrupts, plain_paths, progress

logger = logging.getLogger(__name__)

MAX_BATCH = 512
_SHUFFLE_BYTES = 64 * 2**20
_SECONDS_A_CHECKPOINT = 10
_SECONDS_A_REFRESH = 0.1  # of the progress bar

# Streams of random numbers; stream 0 is for the initial kernels.
_TRANSPOSITION, _Z, _Z_SMALL = 1, 2, 3


def batch_size(hparams: HParams, num_windows: int) -> int:
    """Returns the number of windows in a step: as many as requested, at most all of them."""
    return min(hparams.batch_size or MAX_BATCH, num_windows)


def _as_it_is(input_fn: Callable) -> Callable:
    """Turns AutoGraph off: it has nothing to convert here, but it loads all of TensorFlow 1.15's contrib.

    Loading it takes longer than training on a song, and magenta cannot be imported afterwards.
    """
    return tf.autograph.experimental.do_not_convert(input_fn)


def train_input_fn(found: latents.Latents, size: int, seed: int, *, first_step: int = 0, threads: int = 1) -> Callable:
    """Returns an input_fn of batches from `first_step` on; step s gets the same batch wherever training starts.

    Args:
        found: The latents.
        size: Number of windows in a batch.
        seed: The run's seed.
        first_step: The global step of the first batch.
        threads: Threads that read latents.
    """
    parse = functools.partial(latents.parse, z_size=found.z_size)

    def whole_song():
        return tf.data.TFRecordDataset(list(found.shards)).batch(size).map(parse).cache().repeat()

    def epoch(number):
        records = tf.data.TFRecordDataset(
            tf.data.Dataset.from_tensor_slices(list(found.shards)).shuffle(len(found.shards), seed=seed + number)
        )
        record_bytes = sum(map(os.path.getsize, found.shards)) // found.num_windows
        buffer = max(size, min(found.num_windows, _SHUFFLE_BYTES // record_bytes))
        return records.shuffle(buffer, seed=seed + number)

    def shuffled():
        first_epoch, offset = divmod(first_step * size, found.num_windows)
        epochs = tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(epoch)
        return epochs.skip(offset).batch(size, drop_remainder=True).map(parse, threads).prefetch(2)

    return _as_it_is(whole_song if size == found.num_windows else shuffled)


def eval_input_fn(found: latents.Latents, size: int) -> Callable:
    """Returns an input_fn that gives every window once; the last batch may be smaller."""

    def batches():
        records = tf.data.TFRecordDataset(list(found.shards)).batch(size)
        return records.map(functools.partial(latents.parse, z_size=found.z_size))

    return _as_it_is(batches)


def draw_z(features: Dict[str, tf.Tensor], seed: int, step: tf.Tensor) -> tf.Tensor:
    """Draws a new z ~ q(z|x) for each window, at one of its transpositions.

    Args:
        features: As `latents.parse` returns them.
        seed: The run's seed.
        step: The global step.

    Returns:
        float32 [n, z_size].
    """
    n = tf.shape(features["mean"])[0]
    uniform = tf.random.stateless_uniform([n], base_model.stateless_seed(seed, _TRANSPOSITION, step))
    counts = features["num_transpositions"]
    choice = tf.minimum(tf.cast(uniform * tf.cast(counts, tf.float32), counts.dtype), counts - 1)
    rows = tf.stack([tf.range(tf.cast(n, choice.dtype), dtype=choice.dtype), choice], 1)
    mean, scale = tf.gather_nd(features["mean"], rows), tf.gather_nd(features["scale"], rows)
    return mean + scale * tf.random.stateless_normal(tf.shape(mean), base_model.stateless_seed(seed, _Z, step))


class _Saver(tf.train.Saver):
    """Writes checkpoints without a `.meta` file (which no other TensorFlow version could read) and with relative paths.

    Only variables are restored, by name, and a run's folder can be moved.
    """

    def __init__(self, to_keep: int, every_n_hours: float):
        super().__init__(max_to_keep=to_keep, keep_checkpoint_every_n_hours=every_n_hours, save_relative_paths=True)

    def save(self, sess, save_path, *args, **kwargs):
        try:
            return super().save(sess, save_path, *args, **dict(kwargs, write_meta_graph=False))
        except ValueError as e:  # this is how it reports that the folder is gone
            raise files.cannot_write(plain_paths.shown(os.path.dirname(save_path)), e) from e


class _CheckpointHook(tf.train.CheckpointSaverHook):
    """Saves like Estimator's own hook, but does not write the graph as text and a second time to the events first.

    Writing them takes as long as a hundred steps on a song, and nothing reads them. TensorBoard gets the graph from the
    events.
    """

    def after_create_session(self, session, coord):
        del coord
        step = session.run(self._global_step_tensor)
        self._summary_writer.add_graph(session.graph)
        self._save(session, step)
        self._timer.update_last_triggered_step(step)


def model_fn_builder(hparams: HParams, z_size: int, seed: int, *, options: Training = Training()) -> Callable:
    """Returns the Estimator's model_fn for a small VAE over z.

    Args:
        hparams: The small VAE's hyperparameters.
        z_size: Dimensions of z.
        seed: The run's seed.
        options: How checkpoints are kept.
    """

    def model_fn(features, labels, mode):
        del labels
        step = tf.train.get_or_create_global_step()
        z = draw_z(features, seed, step)
        z.set_shape([None, z_size])
        noise = tf.random.stateless_normal(
            [tf.shape(z)[0], hparams.encoded_z_size], base_model.stateless_seed(seed, _Z_SMALL, step)
        )
        reconstruction, kl = base_model.LatentVAE(hparams, z_size, seed).losses(z, noise)
        beta = base_model.beta(hparams, step)
        # These have names so that the progress hook finds them.
        mean_reconstruction = tf.reduce_mean(reconstruction, name="mean_reconstruction")
        mean_kl = tf.reduce_mean(kl, name="mean_kl")
        loss = tf.add(mean_reconstruction, beta * mean_kl, name="mean_loss")
        if mode == tf.estimator.ModeKeys.EVAL:
            # Means over windows, not over batches: the last batch may be smaller.
            metrics = {
                "reconstruction": tf.metrics.mean(reconstruction),
                "kl": tf.metrics.mean(kl),
                "total": tf.metrics.mean(reconstruction + beta * kl),
            }
            return tf.estimator.EstimatorSpec(mode, loss=loss, eval_metric_ops=metrics)

        rate = base_model.learning_rate(hparams, step)
        scalars = {"reconstruction": mean_reconstruction, "kl": mean_kl, "beta": beta, "learning_rate": rate}
        for name, value in scalars.items():
            tf.summary.scalar(name, value)
        train_op = _train_op(loss, rate, hparams.grad_clip)
        saver = _Saver(options.checkpoints_to_keep, options.keep_checkpoint_every_n_hours)
        tf.add_to_collection(tf.GraphKeys.SAVERS, saver)  # where _CheckpointHook finds it
        return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op, scaffold=tf.train.Scaffold(saver=saver))

    return model_fn


def _train_op(loss: tf.Tensor, rate: tf.Tensor, grad_clip: float) -> tf.Operation:
    """Returns the training step with Adam; `grad_clip` is the global norm to clip gradients to, 0 means no clipping."""
    optimizer = tf.train.AdamOptimizer(rate)
    gradients, variables = zip(*optimizer.compute_gradients(loss))
    if grad_clip:
        gradients, _ = tf.clip_by_global_norm(gradients, grad_clip)
    return optimizer.apply_gradients(zip(gradients, variables), global_step=tf.train.get_global_step())


class Numbers(NamedTuple):
    """The means of a batch, in nats per window."""

    loss: float
    reconstruction: float
    kl: float

    def __str__(self) -> str:
        return "loss %.2f, reconstruction %.2f, KL %.2f nats" % self


class _Progress(tf.train.SessionRunHook):
    """Shows the loss and its parts: on the progress bar, or in about ten log lines per run.

    They are fetched at every step, because each different set of fetched tensors costs TensorFlow as much as thirty
    steps, once.

    Attributes:
        numbers: The numbers of the last step, when training has ended.
    """

    def __init__(self, first_step: int, num_steps: int, bar: tqdm.tqdm):
        self.numbers: Optional[Numbers] = None
        self._step = first_step
        self._num_steps = num_steps
        self._every = max(1, (num_steps - first_step) // 10)
        self._bar = bar
        self._next = 0.0

    def before_run(self, run_context):
        self._step += 1
        names = ("mean_loss", "mean_reconstruction", "mean_kl")
        return tf.train.SessionRunArgs([run_context.session.graph.get_tensor_by_name(n + ":0") for n in names])

    def _is_time(self) -> bool:
        if self._bar.disable:
            return self._step % self._every == 0
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + _SECONDS_A_REFRESH
        return True

    def after_run(self, run_context, run_values):
        if self._step != self._num_steps and not self._is_time():
            return
        self.numbers = Numbers(*run_values.results)
        if self._bar.disable:
            logger.info("step %d of %d: %s", self._step, self._num_steps, self.numbers)
        else:
            self._bar.set_postfix_str(str(self.numbers), refresh=False)
            self._bar.update(self._step - self._bar.n)


@contextlib.contextmanager
def _writing_to(folder: str) -> Iterator[None]:
    """Raises an `InputError` if writing there fails (with an OpError, or another error from TensorFlow 2's events)."""
    try:
        yield
    except (tf.errors.OpError, OSError, RuntimeError, IndexError) as e:
        if folder not in str(e):
            raise
        raise files.cannot_write(plain_paths.shown(folder), e) from e


class _StopWhenAsked(tf.train.SessionRunHook):
    """Ends training after the step in which a signal came; Estimator then writes a last checkpoint.

    Before the first step, signals interrupt as usual: building the graph takes a second, and there is nothing to save.
    """

    def __init__(self, until_the_end: contextlib.ExitStack):
        self._until_the_end = until_the_end
        self._came: Optional[List[int]] = None

    def before_run(self, run_context):
        if self._came is None:
            self._came = self._until_the_end.enter_context(interrupts.postponed())

    def after_run(self, run_context, run_values):
        if self._came:
            run_context.request_stop()


class _Meanwhile(tf.train.SessionRunHook):
    """Does other work while TensorFlow trains, because training needs little of Python's time."""

    def __init__(self, work: Callable[[], Any]):
        self._thread = threading.Thread(target=work, daemon=True)

    def after_create_session(self, session, coord):
        del session, coord
        self._thread.start()


def check_weights(checkpoint: Checkpoint, hparams: HParams, z_size: int) -> Weights:
    """Returns the tensors of a run's checkpoint.

    Raises:
        InputError: It is damaged, contains NaN, or is not that of a small VAE with these sizes.
    """
    weights = Weights(checkpoint)
    with tf.Graph().as_default():
        vae = base_model.LatentVAE(hparams, z_size)
        vae.decode(vae.encode(tf.zeros([1, z_size])).loc)
        shapes = {v.op.name: tuple(v.shape.as_list()) for v in tf.trainable_variables()}
    weights.check(shapes, "the small VAE that run.json describes")
    weights.check_finite()
    return weights


def check_resumable(prefix: str, step: int, *, hparams: HParams, z_size: int) -> None:
    """Raises an `InputError` unless training can continue from the checkpoint: it must be complete and of that step."""
    try:
        weights = check_weights(finding.find(prefix, "--run_dir"), hparams, z_size)
        for name in sorted(weights.shapes):
            for slot in ("/Adam", "/Adam_1"):
                weights.get(name + slot)
        for name in ("beta1_power", "beta2_power"):
            weights.get(name)
        found = int(weights.get("global_step"))
    except InputError as e:
        raise InputError("%s; or remove %s.*, and training goes on from the checkpoint before it" % (e, prefix)) from e
    if found != step:
        raise InputError("--run_dir=%s is of step %d; give it back its own name" % (prefix, found))


@contextlib.contextmanager
def _plainly(found: latents.Latents, folder: str) -> Iterator[Tuple[latents.Latents, str]]:
    """Yields the latents and the folder to write to, under names that TensorFlow accepts; see `plain_paths`."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_writing_to(folder))
        plain = stack.enter_context(plain_paths.named(folder))
        stack.enter_context(_writing_to(plain))
        yield found._replace(shards=stack.enter_context(latents.plainly_named(found.shards))), plain


def train(
    found: latents.Latents,
    settings: Settings,
    options: Training,
    *,
    model_dir: str,
    first_step: int,
    meanwhile: Callable[[], Any] = lambda: None,
) -> Optional[Numbers]:
    """Trains the small VAE to `options.num_steps`.

    Args:
        found: The latents to train on.
        settings: The run's settings; only hyperparameters and seed are used.
        options: How training is done.
        model_dir: Folder of its checkpoints and events.
        first_step: The global step of the last checkpoint in that folder, or 0.
        meanwhile: A function that is called in its own thread; training does not wait for it.

    Returns:
        The numbers of the last step.

    Raises:
        InputError: The loss became NaN, or something cannot be written; the last checkpoint is from before that.
        KeyboardInterrupt: A signal stopped training; the last checkpoint is of the step that was reached.
    """
    hparams, seed, num_steps = settings.hparams, settings.seed, options.num_steps
    config = tf.estimator.RunConfig(
        save_summary_steps=max(1, num_steps // 50),
        log_step_count_steps=None,
        session_config=sessions.config(),
    )
    model_fn = model_fn_builder(hparams, found.z_size, seed, options=options)
    try:
        with _writing_to(model_dir), contextlib.ExitStack() as until_the_end:
            os.makedirs(model_dir, exist_ok=True)
            found, plain = until_the_end.enter_context(_plainly(found, model_dir))
            bar = until_the_end.enter_context(
                progress.bar("training", num_steps, "step", initial=first_step, miniters=1)
            )
            shown = _Progress(first_step, num_steps, bar)
            saving = _CheckpointHook(plain, _SECONDS_A_CHECKPOINT)
            size = batch_size(hparams, found.num_windows)
            tf.estimator.Estimator(model_fn, plain, config).train(
                train_input_fn(found, size, seed, first_step=first_step, threads=options.num_data_threads),
                hooks=[shown, saving, _StopWhenAsked(until_the_end), _Meanwhile(meanwhile)],
                max_steps=num_steps,
            )
    except tf.train.NanLossDuringTrainingError as e:
        raise InputError(
            "the loss is not a number any more; train into another --run_dir with a lower learning_rate in --hparams"
        ) from e
    return shown.numbers


def evaluate(
    found: latents.Latents, settings: Settings, checkpoint: str, *, num_batches: Optional[int] = None
) -> Dict[str, Any]:
    """Evaluates a checkpoint of the small VAE once.

    Args:
        found: The latents to evaluate on.
        settings: The run's settings; only hyperparameters and seed are used.
        checkpoint: Prefix of the checkpoint.
        num_batches: Number of batches to evaluate; None means all.

    Returns:
        loss, reconstruction and kl in nats per window, and global_step.
    """
    hparams = settings.hparams
    config = tf.estimator.RunConfig(session_config=sessions.config())
    model_fn = model_fn_builder(hparams, found.z_size, settings.seed)
    # Estimator always writes its own events.
    with contextlib.ExitStack() as stack:
        found, scratch = stack.enter_context(_plainly(found, stack.enter_context(tempfile.TemporaryDirectory())))
        folder, name = os.path.split(checkpoint)
        checkpoint = os.path.join(stack.enter_context(plain_paths.named(folder)), name)
        metrics = tf.estimator.Estimator(model_fn, scratch, config).evaluate(
            eval_input_fn(found, batch_size(hparams, found.num_windows)), num_batches, checkpoint_path=checkpoint
        )
    # Estimator's own "loss" is a mean over batches, and the last batch may be smaller.
    return {
        "loss": float(metrics["total"]),
        "reconstruction": float(metrics["reconstruction"]),
        "kl": float(metrics["kl"]),
        "global_step": int(metrics["global_step"]),
    }
