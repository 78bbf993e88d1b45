"""What happens between the steps of a training: progress, checkpoints, signals, and the end of it."""

import contextlib
import logging
import os
import threading
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional

import numpy as np
import tensorflow.compat.v1 as tf
import tqdm

from lc_music_vae import base_model
from lc_music_vae.system import files, interrupts, plain_paths
from lc_music_vae.training import stopping

logger = logging.getLogger(__name__)

SCORE = "held_out_score"  # its name in the events
_SECONDS_A_REFRESH = 0.1  # of the progress bar


class Numbers(NamedTuple):
    """The means of a batch, in nats per window."""

    loss: float
    reconstruction: float
    kl: float

    def __str__(self) -> str:
        return "loss %.2f, reconstruction %.2f, KL %.2f nats" % self


class Progress(tf.train.SessionRunHook):
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
        """Asks for the numbers of this step."""
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
        """Keeps the numbers of this step, and shows them if it is time."""
        self.numbers = Numbers(*run_values.results)
        if self._step != self._num_steps and not self._is_time():
            return
        if self._bar.disable:
            logger.info("step %d of %d: %s", self._step, self._num_steps, self.numbers)
        else:
            self._bar.set_postfix_str(str(self.numbers), refresh=False)
            self._bar.update(self._step - self._bar.n)


class Saver(tf.train.Saver):
    """Writes checkpoints without a `.meta` file (which no other TensorFlow version could read) and with relative paths.

    Only variables are restored, by name, and a run's folder can be moved.
    """

    def __init__(self, to_keep: int, every_n_hours: float):
        super().__init__(max_to_keep=to_keep, keep_checkpoint_every_n_hours=every_n_hours, save_relative_paths=True)

    def save(self, sess, save_path, *args, **kwargs):
        """Writes a checkpoint."""
        try:
            return super().save(sess, save_path, *args, **dict(kwargs, write_meta_graph=False))
        except ValueError as e:  # this is how it reports that the folder is gone
            raise files.cannot_write(plain_paths.shown(os.path.dirname(save_path)), e) from e


class CheckpointHook(tf.train.CheckpointSaverHook):
    """Saves like Estimator's own hook, but does not write the graph as text and a second time to the events first.

    Writing them takes as long as a hundred steps on a song, and nothing reads them. TensorBoard gets the graph from the
    events.
    """

    def after_create_session(self, session, coord):
        """Writes the graph to the events, and the first checkpoint."""
        del coord
        step = session.run(self._global_step_tensor)
        self._summary_writer.add_graph(session.graph)
        self._save(session, step)
        self._timer.update_last_triggered_step(step)


class StopWhenAsked(tf.train.SessionRunHook):
    """Ends training after the step in which a signal came; Estimator then writes a last checkpoint.

    Before the first step, signals interrupt as usual: building the graph takes a second, and there is nothing to save.
    """

    def __init__(self, until_the_end: contextlib.ExitStack):
        self._until_the_end = until_the_end
        self._came: Optional[List[int]] = None

    def before_run(self, run_context):
        """Postpones signals from the first step on."""
        if self._came is None:
            self._came = self._until_the_end.enter_context(interrupts.postponed())

    def after_run(self, run_context, run_values):
        """Ends training if a signal came."""
        if self._came:
            run_context.request_stop()


class StopWhenLearned(tf.train.SessionRunHook):
    """Ends training where `stopping` says so.

    Attributes:
        is_learned: Whether training ended there.
    """

    def __init__(self, z: np.ndarray, step: int, scores: Dict[int, float], *, fidelity: Optional[str], folder: str):
        self.is_learned = False
        self._z = z
        self._prior = float(np.mean(base_model.log_standard_normal(z)))
        self._step = step
        self._scores = scores
        self._fidelity = fidelity
        self._folder = folder

    def after_run(self, run_context, run_values):
        """Scores the draws at some steps, and ends training if it is enough."""
        self._step += 1
        if self._step % stopping.EVERY:
            return
        session = run_context.session
        score = float(session.run("held_out_log_prob:0", {"held_out_z:0": self._z})) - self._prior
        self._scores[self._step] = score
        writer = tf.summary.FileWriterCache.get(self._folder)
        writer.add_summary(tf.Summary(value=[tf.Summary.Value(tag=SCORE, simple_value=score)]), self._step)
        writer.flush()
        if stopping.is_enough(self._scores, self._fidelity):
            self.is_learned = True
            run_context.request_stop()


class Meanwhile(tf.train.SessionRunHook):
    """Does other work while TensorFlow trains, because training needs little of Python's time."""

    def __init__(self, work: Callable[[], Any]):
        self._thread = threading.Thread(target=work, daemon=True)

    def after_create_session(self, session, coord):
        """Starts the work."""
        del session, coord
        self._thread.start()
