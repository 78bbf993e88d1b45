"""Trains the small VAE with a tf.estimator.Estimator.

All random values are a function of (seed, global step), drawn by stateless ops. So a training that was killed and
continues from its last checkpoint ends with the same weights as a training that was not interrupted.
"""

import contextlib
import functools
import logging
import os
import tempfile
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from lc_music_vae import base_model
from lc_music_vae.checkpoints import finding
from lc_music_vae.checkpoints.checkpoint import Checkpoint
from lc_music_vae.checkpoints.run_json import Settings
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.encoding import latents, streaming
from lc_music_vae.errors import InputError
from lc_music_vae.hparams import HParams
from lc_music_vae.models import sessions
from lc_music_vae.options import Training
from lc_music_vae.system import files, plain_paths, progress
from lc_music_vae.training import hooks, summaries

logger = logging.getLogger(__name__)

MAX_BATCH = 512
_SECONDS_A_CHECKPOINT = 10

# Streams of random numbers; stream 0 is for the initial kernels.
_TRANSPOSITION, _Z, _Z_SMALL, _HELD_OUT = 1, 2, 3, 4
_SCORED = 256  # draws that are scored to decide when training ends
_DRAWS = 8  # of importance sampling for each of them


def batch_size(hparams: HParams, num_windows: int) -> int:
    """Returns the number of windows in a step: as many as requested, at most all of them."""
    return min(hparams.batch_size or MAX_BATCH, num_windows)


def _as_it_is(input_fn: Callable) -> Callable:
    """Turns AutoGraph off: it has nothing to convert here, but it loads all of TensorFlow 1.15's contrib.

    Loading it takes longer than training on a song, and magenta cannot be imported afterwards.
    """
    return tf.autograph.experimental.do_not_convert(input_fn)


def train_input_fn(
    found: latents.Latents,
    size: int,
    seed: int,
    *,
    first_step: int = 0,
    threads: int = 1,
    one_key: bool = False,
) -> Callable:
    """Returns an input_fn of batches from `first_step` on; step s gets the same batch wherever training starts.

    Latents of up to `streaming.POOL_BYTES` are shuffled as a whole, more are streamed; see `streaming`.

    Args:
        found: The latents.
        size: Number of windows in a batch.
        seed: The run's seed.
        first_step: The global step of the first batch.
        threads: Threads that read latents.
        one_key: As for `latents.parse`.
    """
    parse = functools.partial(latents.parse, z_size=found.z_size, one_key=one_key)

    def whole_song():
        return tf.data.TFRecordDataset(list(found.shards)).batch(size).map(parse).cache().repeat()

    def epoch(number):
        records = tf.data.TFRecordDataset(
            tf.data.Dataset.from_tensor_slices(list(found.shards)).shuffle(len(found.shards), seed=seed + number)
        )
        return records.shuffle(found.num_windows, seed=seed + number)

    def shuffled():
        first_epoch, offset = divmod(first_step * size, found.num_windows)
        epochs = tf.data.Dataset.range(first_epoch, tf.int64.max).flat_map(epoch)
        return epochs.skip(offset).batch(size, drop_remainder=True).map(parse, threads).prefetch(2)

    def streamed():
        windows = streaming.batches(streaming.divided(found.shards), size, seed, first_step=first_step)

        def batch(number):
            records = tf.py_func(lambda _: np.array(next(windows), object), [number], tf.string)
            records.set_shape([size])
            return records

        return tf.data.Dataset.range(tf.int64.max).map(batch).map(parse, threads).prefetch(2)

    if size == found.num_windows:
        return _as_it_is(whole_song)
    return _as_it_is(shuffled if streaming.fits(found.shards) else streamed)


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


def model_fn_builder(
    hparams: HParams, z_size: int, seed: int, *, num_windows: int, options: Training = Training()
) -> Callable:
    """Returns the Estimator's model_fn for a small VAE over z.

    Args:
        hparams: The small VAE's hyperparameters.
        z_size: Dimensions of z.
        seed: The run's seed.
        num_windows: Number of windows that are trained on.
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
        vae = base_model.LatentVAE(hparams, z_size, seed)
        reconstruction, kl, regulariser = vae.losses(z, noise)
        beta = base_model.beta(hparams, step)
        # These have names so that the progress hook finds them.
        mean_reconstruction = tf.reduce_mean(reconstruction, name="mean_reconstruction")
        mean_kl = tf.reduce_mean(kl, name="mean_kl")
        loss = mean_reconstruction + beta * mean_kl + tf.reduce_mean(regulariser) / num_windows
        loss = tf.identity(loss, name="mean_loss")
        if mode == tf.estimator.ModeKeys.EVAL:
            # Means over windows, not over batches: the last batch may be smaller.
            metrics = {
                "reconstruction": tf.metrics.mean(reconstruction),
                "kl": tf.metrics.mean(kl),
                "total": tf.metrics.mean(reconstruction + beta * kl),
            }
            return tf.estimator.EstimatorSpec(mode, loss=loss, eval_metric_ops=metrics)

        rate = base_model.learning_rate(hparams, step)
        if not options.num_steps:
            held_out = tf.placeholder(tf.float32, [None, z_size], name="held_out_z")
            draws = tf.random.stateless_normal(
                [_DRAWS, tf.shape(held_out)[0], hparams.encoded_z_size], base_model.stateless_seed(seed, _HELD_OUT, 0)
            )
            tf.reduce_mean(vae.log_prob(held_out, draws), name="held_out_log_prob")
        scalars = {"reconstruction": mean_reconstruction, "kl": mean_kl, "beta": beta, "learning_rate": rate}
        for name, value in scalars.items():
            tf.summary.scalar(name, value)
        train_op = _train_op(loss, rate, hparams.grad_clip)
        saver = hooks.Saver(options.checkpoints_to_keep, options.keep_checkpoint_every_n_hours)
        tf.add_to_collection(tf.GraphKeys.SAVERS, saver)  # where CheckpointHook finds it
        return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=train_op, scaffold=tf.train.Scaffold(saver=saver))

    return model_fn


def _train_op(loss: tf.Tensor, rate: tf.Tensor, grad_clip: float) -> tf.Operation:
    """Returns the training step with Adam; `grad_clip` is the global norm to clip gradients to, 0 means no clipping."""
    optimizer = tf.train.AdamOptimizer(rate)
    gradients, variables = zip(*optimizer.compute_gradients(loss))
    if grad_clip:
        gradients, _ = tf.clip_by_global_norm(gradients, grad_clip)
    return optimizer.apply_gradients(zip(gradients, variables), global_step=tf.train.get_global_step())


@contextlib.contextmanager
def _writing_to(folder: str) -> Iterator[None]:
    """Raises an `InputError` if writing there fails (with an OpError, or another error from TensorFlow 2's events)."""
    try:
        yield
    except (tf.errors.OpError, OSError, RuntimeError, IndexError) as e:
        if folder not in str(e):
            raise
        raise files.cannot_write(plain_paths.shown(folder), e) from e


def check_weights(checkpoint: Checkpoint, hparams: HParams, z_size: int) -> Weights:
    """Returns the tensors of a run's checkpoint.

    Raises:
        InputError: It is damaged, contains NaN, or is not that of a small VAE with these sizes.
    """
    weights = Weights(checkpoint)
    with tf.Graph().as_default():
        vae = base_model.LatentVAE(hparams, z_size)
        vae.decode(vae.encode(tf.zeros([1, z_size])).loc)  # makes the variables
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


class Stretch(NamedTuple):
    """The steps of a training.

    Attributes:
        learned: The step up to which an earlier training had finished, perhaps with fewer songs; 0 if none had.
        first: The step of the last checkpoint, from which this one goes on.
        last: The step that it goes to; it may end before if it ends by itself.
    """

    learned: int
    first: int
    last: int


def train(
    found: latents.Latents,
    settings: Settings,
    options: Training,
    *,
    model_dir: str,
    steps: Stretch,
    meanwhile: Callable[[], Any] = lambda: None,
) -> Tuple[Optional[hooks.Numbers], bool]:
    """Trains the small VAE.

    Args:
        found: The latents to train on.
        settings: The run's settings; only hyperparameters and seed are used.
        options: How training is done; with `num_steps` 0 it ends by itself.
        model_dir: Folder of its checkpoints and events.
        steps: From which step to which.
        meanwhile: A function that is called in its own thread; training does not wait for it.

    Returns:
        The numbers of the last step, and whether training ended by itself.

    Raises:
        InputError: The loss became NaN, or something cannot be written; the last checkpoint is from before that.
        KeyboardInterrupt: A signal stopped training; the last checkpoint is of the step that was reached.
    """
    hparams, seed = settings.hparams, settings.seed
    config = tf.estimator.RunConfig(
        save_summary_steps=max(1, steps.last // 50),
        log_step_count_steps=None,
        session_config=sessions.config(),
    )
    model_fn = model_fn_builder(hparams, found.z_size, seed, num_windows=found.num_windows, options=options)
    try:
        with _writing_to(model_dir), contextlib.ExitStack() as until_the_end:
            os.makedirs(model_dir, exist_ok=True)
            plainly, plain = until_the_end.enter_context(_plainly(found, model_dir))
            bar = until_the_end.enter_context(
                progress.bar("training", steps.last, "step", initial=steps.first, miniters=1)
            )
            shown = hooks.Progress(steps.first, steps.last, bar)
            stop = _stop_when_learned(found, settings, options, folder=plain, steps=steps)
            saving = hooks.CheckpointHook(plain, _SECONDS_A_CHECKPOINT)
            size = batch_size(hparams, found.num_windows)
            tf.estimator.Estimator(model_fn, plain, config).train(
                train_input_fn(
                    plainly,
                    size,
                    seed,
                    first_step=steps.first,
                    threads=options.num_data_threads,
                    one_key=not streaming.fits(found.shards) and _has_one_key(settings),
                ),
                # A score must be in the events before the checkpoint of its step: a killed training goes on from both.
                hooks=[shown, *stop, saving, hooks.StopWhenAsked(until_the_end), hooks.Meanwhile(meanwhile)],
                max_steps=steps.last,
            )
    except tf.train.NanLossDuringTrainingError as e:
        raise InputError(
            "the loss is not a number any more; train into another --run_dir with a lower learning_rate in --hparams"
        ) from e
    except tf.errors.OpError:
        streaming.divided(found.shards)  # raises if one of them went meanwhile, or was cut off
        raise
    return shown.numbers, any(hook.is_learned for hook in stop)


def _has_one_key(settings: Settings) -> bool:
    """Returns whether each window has one posterior alone: no transpositions, and one draw of its notes.

    It loads magenta, which takes seconds, so only who reads millions of windows asks.
    """
    from lc_music_vae import families

    return not settings.augment and families.family_of(settings.music_vae).draws == 1


def _stop_when_learned(
    found: latents.Latents, settings: Settings, options: Training, *, folder: str, steps: Stretch
) -> List[hooks.StopWhenLearned]:
    """Returns the hook that ends a training by itself; none if its last step was given."""
    if options.num_steps:
        return []
    windows = latents.own_key(found.shards, _SCORED)
    z = windows.draws(settings.seed, -(-_SCORED // len(windows.means)))[:_SCORED]
    before = summaries.read_scalars(folder).get(hooks.SCORE, {})
    scores = {step: score for step, score in before.items() if steps.learned < step <= steps.first}
    return [hooks.StopWhenLearned(z, steps.first, scores, fidelity=options.fidelity, folder=folder)]


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
    model_fn = model_fn_builder(hparams, found.z_size, settings.seed, num_windows=found.num_windows)
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
