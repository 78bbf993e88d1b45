"""The tensors of a checkpoint: looked up by name, checked, fingerprinted and restored."""

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

# What an encoder's variables are called under, in every MusicVAE config.
ENCODER_SCOPE = "encoder/"
_DTYPE = "float32"  # of MusicVAE's variables and the small VAE's
_COUNTER = re.compile(r"^beta\d_power(_\d+)?$|^global_step$")


class Weights:
    """The trained tensors of a checkpoint, by name; Adam's slots and counters are not among them.

    Attributes:
        shapes: Shape of each trained variable, by name.

    Raises:
        InputError: The checkpoint is damaged.
    """

    def __init__(self, checkpoint: Checkpoint):
        import tensorflow.compat.v1 as tf  # here, because `find` must answer before TensorFlow is loaded

        self._tf = tf
        self._checkpoint = checkpoint
        self._stamp = stamp(checkpoint)
        self._prefix: Optional[str] = None
        self._unpacked: Optional[str] = None
        held = contextlib.ExitStack()  # keeps the files where TensorFlow finds them: it opens some of them late
        self._let_go = weakref.finalize(self, held.close)
        with self._damage_is_an_input_error():
            self._prefix = held.enter_context(bundles.unbundled(checkpoint))
            self._unpacked = os.path.realpath(os.path.dirname(self._prefix)) if checkpoint.bundle is not None else None
            places = checkpoint_index.places(self._prefix)
            self._reader = tf.train.NewCheckpointReader(self._prefix)
        trained = [place for place in places if not (SLOT.search(place.name) or _COUNTER.search(place.name))]
        # Not the reader's own map: each that TensorFlow 1.15 makes of it is never freed.
        self.shapes: Dict[str, Tuple[int, ...]] = {place.name: place.shape for place in trained}
        self._dtypes = {place.name: place.dtype for place in places if not _COUNTER.search(place.name)}

    def get(self, name: str):
        """Returns the tensor called `name` as a NumPy array: of float32, unless it is a counter."""
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

        The same weights have the same fingerprint in a tar, as a prefix, with Adam's slots and without. It is kept in
        the cache until the checkpoint's files change.
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
        with contextlib.suppress(InputError, OSError):  # a cache that cannot be written costs time alone
            if stamp(self._checkpoint) == self._stamp:
                files.tidy(os.path.dirname(kept))
                files.write_json(kept, {"stamp": self._stamp, "sha256": digest.hexdigest()})
        return digest.hexdigest()

    def check_finite(self, but: str = "/") -> None:
        """Raises an `InputError` if a trained variable, but for those under `but`, holds NaN or is damaged."""
        for name in sorted(self.shapes):
            if name.startswith(but):
                continue
            values = self.get(name)
            # Where an element is not finite neither is the sum, which is ten times faster to look at.
            if not math.isfinite(values.sum()) and not all(map(math.isfinite, values.flat)):
                raise InputError(
                    "%s=%s: %s has values that are NaN or infinite; give another checkpoint"
                    % (self._checkpoint.flag, self._checkpoint.path, name)
                )

    def check(self, shapes: Dict[str, Tuple[int, ...]], config: str) -> None:
        """Raises an `InputError` unless variables of these names and shapes are here."""
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
        """Restores `variables`, and nothing else, by name into `session`; see that they `check` first.

        Raises:
            InputError: The data is damaged, or holds NaN or infinity.
        """
        with session.graph.as_default():
            saver = self._tf.train.Saver(variables)
            # Where an element is not finite neither is the sum; it takes no room to compute.
            sums = {v.op.name: self._tf.reduce_sum(v) for v in variables}
        with self._damage_is_an_input_error():
            try:
                saver.restore(session, self._prefix)
            except self._tf.errors.OpError:
                for name in sorted(sums):
                    self.get(name)  # says which of them is damaged
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
        # The reader raises bare ValueError or RuntimeError for some kinds of damage, by version; OSError: it is gone.
        except (self._tf.errors.OpError, ValueError, RuntimeError, EOFError, OSError) as e:
            if isinstance(e, InputError):
                raise
            folder = os.path.dirname(self._prefix or "")
            self._forget()
            first_line = (getattr(e, "message", None) or str(e) or type(e).__name__).splitlines()[0]
            if folder:  # the user's files have no names in there
                first_line = first_line.replace(folder + os.sep, "")
            raise InputError(
                "%s=%s: the checkpoint is damaged%s (%s); copy or download it again"
                % (self._checkpoint.flag, self._checkpoint.path, where, first_line)
            ) from e

    def _forget(self) -> None:
        """Removes what a useless bundle left in the cache; if that alone is damaged, it is unpacked again next time."""
        place, self._unpacked = self._unpacked, None
        if place is not None:
            self._let_go()
            cache.forget(place)
