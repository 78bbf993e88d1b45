"""Looks up the tensors of a checkpoint by name, checks, fingerprints and restores them."""

import contextlib
import hashlib
import math
import os
import re
import weakref
from typing import Dict, Optional, Sequence, Tuple

from lc_music_vae.checkpoints import bundles
from lc_music_vae.checkpoints import index as checkpoint_index
from lc_music_vae.checkpoints.checkpoint import SLOT, Checkpoint, stamp
from lc_music_vae.errors import InputError
from lc_music_vae.system import cache, files

# The scope of an encoder's variables, in every MusicVAE config.
ENCODER_SCOPE = "encoder/"
_DTYPE = "float32"  # of MusicVAE's variables and the small VAE's
_COUNTER = re.compile(r"^beta\d_power(_\d+)?$|^global_step$")


class Weights:
    """The trained tensors of a checkpoint, by name, without Adam's slots and counters.

    Attributes:
        shapes: Shape of each trained variable, by name.

    Raises:
        InputError: The checkpoint is damaged.
    """

    def __init__(self, checkpoint: Checkpoint):
        import tensorflow.compat.v1 as tf  # imported here, because `find` must answer before TensorFlow is loaded

        self._tf = tf
        self._checkpoint = checkpoint
        self._stamp = stamp(checkpoint)
        self._prefix: Optional[str] = None
        self._unpacked: Optional[str] = None
        held = contextlib.ExitStack()  # keeps the files in place, because TensorFlow opens some of them late
        self._let_go = weakref.finalize(self, held.close)
        with self._damage_is_an_input_error():
            self._prefix = held.enter_context(bundles.unbundled(checkpoint))
            self._unpacked = os.path.realpath(os.path.dirname(self._prefix)) if checkpoint.bundle is not None else None
            places = checkpoint_index.places(self._prefix)
            self._reader = tf.train.NewCheckpointReader(self._prefix)
        trained = [place for place in places if not (SLOT.search(place.name) or _COUNTER.search(place.name))]
        # Not the reader's own map, because TensorFlow 1.15 never frees the maps that it makes.
        self.shapes: Dict[str, Tuple[int, ...]] = {place.name: place.shape for place in trained}
        self._dtypes = {place.name: place.dtype for place in places if not _COUNTER.search(place.name)}

    def get(self, name: str):
        """Returns the tensor called `name` as a NumPy array. It is float32, unless it is a counter."""
        self._check_dtype(name)
        with self._damage_is_an_input_error(" in " + name):
            return self._reader.get_tensor(name)

    def _check_dtype(self, name: str) -> None:
        dtype = self._dtypes.get(name, _DTYPE)
        if dtype != _DTYPE:
            raise InputError(
                "%s=%s has %s as %s, not %s; give a checkpoint of %s"
                % (self._checkpoint.flag, self._checkpoint.path, name, dtype, _DTYPE, _DTYPE)
            )

    def check_encoder(self, fingerprint: str, trained: str) -> None:
        """Raises an `InputError` unless the encoder has the fingerprint of the one that `trained` was trained on."""
        if self.fingerprint(ENCODER_SCOPE) != fingerprint:
            raise InputError(
                "%s=%s holds other weights than those that %s was trained on; give that MusicVAE checkpoint"
                % (self._checkpoint.flag, self._checkpoint.path, trained)
            )

    def fingerprint(self, scope: str) -> str:
        """Returns the SHA-256 of names and contents of all trained variables under `scope`.

        The same weights have the same fingerprint in a tar, as a prefix, with Adam's slots and without. The cache keeps
        it until the checkpoint's files change.
        """
        path = os.path.realpath(self._checkpoint.bundle or self._checkpoint.prefix)
        kept = os.path.join(cache.cache_dir(), "fingerprints", cache.key(path + scope) + ".json")
        with contextlib.suppress(ValueError, OSError, KeyError, TypeError):
            known = files.read_json(kept)
            if known and known["stamp"] == self._stamp:
                return known["sha256"]
        digest = hashlib.sha256()
        for name in sorted(self.shapes):
            if name.startswith(scope):
                digest.update(("%s %r\n" % (name, self.shapes[name])).encode())
                digest.update(self.get(name).reshape(-1).data)
        with contextlib.suppress(InputError, OSError):  # a cache that cannot be written only costs time
            if stamp(self._checkpoint) == self._stamp:
                files.tidy(os.path.dirname(kept))
                files.write_json(kept, {"stamp": self._stamp, "sha256": digest.hexdigest()})
        return digest.hexdigest()

    def check_finite(self, but: str = "/") -> None:
        """Raises an `InputError` if a trained variable holds NaN or is damaged. Skips the variables under `but`."""
        for name in sorted(self.shapes):
            if name.startswith(but):
                continue
            values = self.get(name)
            # If an element is not finite, the sum is not finite, and the sum is ten times faster to check.
            if not math.isfinite(values.sum()) and not all(map(math.isfinite, values.flat)):
                raise InputError(
                    "%s=%s: %s has values that are NaN or infinite; give another checkpoint"
                    % (self._checkpoint.flag, self._checkpoint.path, name)
                )

    def check(self, shapes: Dict[str, Tuple[int, ...]], config: str) -> None:
        """Raises an `InputError` unless the checkpoint has variables of these names and shapes."""
        for name, shape in sorted(shapes.items()):
            if name not in self.shapes:
                found = "has no variable %s" % name
            elif self.shapes[name] != tuple(shape):
                found = "has %s with shape %s, not %s" % (name, list(self.shapes[name]), list(shape))
            else:
                self._check_dtype(name)
                continue
            raise InputError(
                "%s=%s %s, which %s needs; give a checkpoint of %s"
                % (self._checkpoint.flag, self._checkpoint.path, found, config, config)
            )

    def restore(self, session, variables: Sequence) -> None:
        """Restores `variables`, and nothing else, by name into `session`. Call `check` first.

        Raises:
            InputError: The data is damaged, or holds NaN or infinity.
        """
        with session.graph.as_default():
            saver = self._tf.train.Saver(variables)
            # If an element is not finite, the sum is not finite, and the sum takes no memory to compute.
            sums = {v.op.name: self._tf.reduce_sum(v) for v in variables}
        with self._damage_is_an_input_error():
            try:
                saver.restore(session, self._prefix)
            except self._tf.errors.OpError:
                for name in sorted(sums):
                    self.get(name)  # its error names the damaged variable
                raise
        suspect = (name for name, total in sorted(session.run(sums).items()) if not math.isfinite(total))
        bad = [name for name in suspect if not all(map(math.isfinite, self.get(name).flat))]
        if bad:
            self._forget()
            raise InputError(
                "%s=%s: %s has values that are NaN or infinite; give another checkpoint"
                % (self._checkpoint.flag, self._checkpoint.path, bad[0])
            )

    @contextlib.contextmanager
    def _damage_is_an_input_error(self, where: str = ""):
        try:
            yield
        # For some damage, some versions of the reader raise ValueError or RuntimeError. OSError: the file is missing.
        except (self._tf.errors.OpError, ValueError, RuntimeError, EOFError, OSError) as e:
            if isinstance(e, InputError):
                raise
            folder = os.path.dirname(self._prefix or "")
            self._forget()
            first_line = (getattr(e, "message", None) or str(e) or type(e).__name__).splitlines()[0]
            if folder:  # the user's files do not have names in this folder
                first_line = first_line.replace(folder + os.sep, "")
            raise InputError(
                "%s=%s: the checkpoint is damaged%s (%s); copy or download it again"
                % (self._checkpoint.flag, self._checkpoint.path, where, first_line)
            ) from e

    def _forget(self) -> None:
        """Removes the cache entry of a damaged bundle. If only the entry is damaged, the next call unpacks it again."""
        place, self._unpacked = self._unpacked, None
        if place is not None:
            self._let_go()
            cache.forget(place)
