"""Checkpoints: found, unbundled, fingerprinted, read.

A checkpoint is given as a bundle (`.tar`, `.tar.gz`), as a prefix (`model/cat-mel_2bar_big.ckpt`) or as a
folder (its latest one). `find` checks what can be checked without TensorFlow; the tensors are read later.
"""

import contextlib
import glob
import gzip
import hashlib
import io
import json
import math
import os
import re
import tarfile
import weakref
from typing import BinaryIO, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

from lc_music_vae.checkpoints import index as checkpoint_index
from lc_music_vae.errors import InputError
from lc_music_vae.system import cache, files, plain_paths

SHIPPED = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "pretrained")
RUN_JSON = "run.json"
_DTYPE = "float32"  # of MusicVAE's variables and the small VAE's
# What an encoder's variables are called under, in every MusicVAE config.
ENCODER_SCOPE = "encoder/"

_SHARD = re.compile(r"(?P<prefix>.+)\.data-(?P<shard>\d{5})-of-(?P<shards>\d{5})$")
_SLOT = re.compile(r"/Adam(_\d+)?$")
_COUNTER = re.compile(r"^beta\d_power(_\d+)?$|^global_step$")
# Limits of what a bundle may claim. The largest published one holds 2.1 GB in five members.
MOST_BYTES = 16 << 30
_MOST_MEMBERS = 1000
_MOST_TIMES = 100  # what gzip saves: of weights a tenth, of Adam's slots before the first step all
_MOST_HEADER_BYTES = 4 << 20  # long names and the like are read whole before anything is known of them
_MOST_RUN_BYTES = 4 << 20
_MAX_STATE_BYTES = 1 << 20  # a line for each checkpoint that is kept
_LONGEST_NAME = 1000
_BLOCK = 1 << 20
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")

STATE = "checkpoint"  # TensorFlow's list of the checkpoints that it keeps in a folder
_NEWEST = re.compile(r'^model_checkpoint_path:\s*"([^"]*)"', re.MULTILINE)
_ALL = re.compile(r'^all_model_checkpoint_paths:\s*"([^"]*)"', re.MULTILINE)


class Checkpoint(NamedTuple):
    """A checkpoint that was found: a V2 prefix on disk, or one inside a bundle.

    Attributes:
        path: The path as the user gave it.
        prefix: Where its `.index` and `.data-*` files are, or their name inside `bundle`.
        bundle: The tar that holds it, or None.
        run: What training recorded in the bundle's `run.json`, or None.
        flag: The flag that named it, for error messages.
    """

    path: str
    prefix: str
    bundle: Optional[str]
    run: Optional[dict]
    flag: str


def shipped(name: str) -> Checkpoint:
    """Returns the checkpoint `name` that ships with the package."""
    return find(os.path.join(SHIPPED, name), "--pretrained_path")


def find(path: str, flag: str) -> Checkpoint:
    """Finds the checkpoint that `path` means. Reads file names and tar headers, never tensors.

    Raises:
        InputError: There is none, or several, or the bundle is not safe to unpack.
    """
    expanded = os.path.expanduser(path)
    if os.path.isdir(expanded):
        return _on_disk(_latest(expanded, path, flag), path, flag)
    if os.path.isfile(expanded) and not expanded.endswith(".index") and not _SHARD.match(expanded):
        return _find_in_bundle(expanded, path, flag)
    shard = _SHARD.match(expanded)
    prefix = shard.group("prefix") if shard else re.sub(r"\.index$", "", expanded)
    if os.path.lexists(expanded) and not os.path.isfile(expanded):
        found = "not a plain file, or a link to nothing"
    elif not os.path.isfile(prefix + ".index"):
        found = "no checkpoint there"
    else:
        return _on_disk(prefix, path, flag)
    raise InputError(
        "%s=%s: %s; give a .tar bundle, a prefix (what stands before .index) or a folder" % (flag, path, found)
    )


def _on_disk(prefix: str, path: str, flag: str) -> Checkpoint:
    """Returns the checkpoint at `prefix`, whose files must all be there and be plain files."""
    folder, name = os.path.split(prefix)
    if not plain_paths.is_plain(name):
        raise InputError(
            "%s=%s: TensorFlow cannot read a checkpoint with [, *, ?, \\ or bytes that are no UTF-8 in its name; "
            "rename its files" % (flag, path)
        )
    _check_shards(name, _names_in(folder or os.curdir, path, flag), path, flag)
    for file in _own_files(prefix):
        try:
            files.opened(file).close()
        except OSError as e:
            raise _cannot_read(file, path, flag, e) from e
    return Checkpoint(path, prefix, None, None, flag)


def _names_in(folder: str, path: str, flag: str) -> List[str]:
    try:
        return os.listdir(folder)
    except OSError as e:
        raise InputError("%s=%s: its folder cannot be read (%s)" % (flag, path, e.strerror)) from e


def listed(folder: str) -> List[str]:
    """Returns the names that TensorFlow's list of a folder's checkpoints has, the newest first, then all in order.

    Raises:
        OSError: The list is not there, or cannot be read.
    """
    with files.opened(os.path.join(folder, STATE)) as f:
        text = f.read(_MAX_STATE_BYTES).decode("utf-8", "replace")
    # Names may be absolute paths, from before the folder was moved.
    newest = _NEWEST.findall(text)[:1]
    return [os.path.basename(path) for path in newest + _ALL.findall(text) if newest]


def _latest(folder: str, path: str, flag: str) -> str:
    """Returns the prefix of the checkpoint that a folder's `checkpoint` file names, or of its only one."""
    names = _names_in(folder, path, flag)
    prefixes = sorted(n[: -len(".index")] for n in names if n.endswith(".index"))
    if STATE in names:
        try:
            prefixes = [name for name in listed(folder)[:1] if name in prefixes] or prefixes
        except OSError as e:
            raise _cannot_read(os.path.join(folder, STATE), path, flag, e) from e
    if len(prefixes) != 1:
        found = (
            "no checkpoint (*.index) in this folder" if not prefixes else "several checkpoints: " + ", ".join(prefixes)
        )
        raise InputError("%s=%s: %s; give the prefix of the one to use" % (flag, path, found))
    return os.path.join(folder, prefixes[0])


def _check_shards(prefix: str, names: Iterable[str], path: str, flag: str) -> None:
    """Refuses a checkpoint whose `.data-*` files are not all among `names`."""
    shards = [m for m in map(_SHARD.match, names) if m and m.group("prefix") == prefix]
    expected = max((int(m.group("shards")) for m in shards), default=1)
    if len({m.group("shard") for m in shards}) < expected:
        raise InputError(
            "%s=%s: %s.index is there but only %d of its %d .data files; copy or download it again"
            % (flag, path, prefix, len(shards), expected)
        )


class _UnsafeError(Exception):
    """A bundle that no honest program would have made."""


class _Headers:
    """The bytes of a tar for `tarfile`, which reads the members' headers here and nothing else."""

    def __init__(self, data: BinaryIO):
        self.data = data
        self.seek, self.tell = data.seek, data.tell
        self._left = _MOST_HEADER_BYTES

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self._left:
            raise _UnsafeError("has headers of more than %d MiB" % (_MOST_HEADER_BYTES >> 20))
        self._left -= size
        return self.data.read(size)


@contextlib.contextmanager
def _opened(bundle: str, path: str, flag: str) -> Iterator[Tuple[Iterator[tarfile.TarInfo], BinaryIO]]:
    """Yields a bundle's members, each looked at before it is passed over, and the tar's bytes.

    Raises:
        InputError: It is unsafe or damaged, as far as it was read.
        OSError: It cannot be read, or what the caller did failed.
    """
    try:
        with files.opened(bundle) as f:
            zipped = f.read(2) == b"\x1f\x8b"
            f.seek(0)
            headers = _Headers(gzip.GzipFile(fileobj=f) if zipped else f)
            most = min(MOST_BYTES, max(_MOST_TIMES * os.path.getsize(bundle), 1 << 20))
            with tarfile.open(fileobj=headers, mode="r:") as tar:
                yield _checked(tar, most), headers.data
    except _UnsafeError as e:
        raise InputError("%s=%s: the bundle %s; do not use it" % (flag, path, e)) from None
    # tarfile and gzip let whatever damage provokes through: IndexError, EOFError, zlib.error, RecursionError ...
    except Exception as e:
        if isinstance(e, InputError) or (isinstance(e, OSError) and e.errno is not None):
            raise
        raise InputError(
            "%s=%s: not a readable .tar bundle (%s); copy or download it again, or give a checkpoint's prefix: what "
            "stands before .index" % (flag, path, str(e) or type(e).__name__)
        ) from e


def _checked(tar: tarfile.TarFile, most_bytes: int) -> Iterator[tarfile.TarInfo]:
    """Yields the members of a tar up to the first that is not what a bundle may hold."""
    unpacked = 0
    for number, member in enumerate(tar, 1):
        unpacked += member.size
        why = _why_unsafe(member)
        if why:
            raise _UnsafeError("has a member %r, which %s" % (member.name[:80], why))
        if number > _MOST_MEMBERS:
            raise _UnsafeError("has more than %d members" % _MOST_MEMBERS)
        if unpacked > most_bytes:
            raise _UnsafeError("says that it unpacks to %d bytes or more, which are too many for its size" % unpacked)
        yield member


def _why_unsafe(member: tarfile.TarInfo) -> str:
    parts = member.name.replace("\\", "/").split("/")
    if member.name.startswith("/") or ".." in parts:
        return "would be written outside the folder it is unpacked to"
    if not (member.isfile() or member.isdir()) or member.issparse():
        return "is a link or a device, not a file"
    if member.size < 0:
        return "is smaller than nothing"
    if len(member.name) > _LONGEST_NAME or _CONTROL.search(member.name):
        return "is too long a name, or no text"
    return ""


def _find_in_bundle(bundle: str, path: str, flag: str) -> Checkpoint:
    run = None
    names = []
    try:
        with _opened(bundle, path, flag) as (members, data):
            for member in members:
                if not member.isfile():
                    continue
                names.append(member.name)
                if member.name == RUN_JSON:
                    run = _read_run(data, member)
    except OSError as e:
        raise InputError("%s=%s: %s" % (flag, path, e.strerror)) from e
    prefixes = sorted(n[: -len(".index")] for n in names if n.endswith(".index"))
    if len(prefixes) != 1:
        found = (
            "holds no checkpoint (*.index)" if not prefixes else "holds several checkpoints: " + ", ".join(prefixes[:5])
        )
        raise InputError("%s=%s: the bundle %s; unpack it and give the prefix of the one to use" % (flag, path, found))
    _check_shards(prefixes[0], names, path, flag)
    return Checkpoint(path, prefixes[0], bundle, run, flag)


def why_not_whole(bundle: str) -> str:
    """Returns why a file is no whole bundle with one checkpoint in it; empty if it is. Reads headers, of gzip all.

    Raises:
        OSError: It cannot be read.
    """
    try:
        _find_in_bundle(bundle, bundle, "file")
        with _opened(bundle, bundle, "file") as (members, data):
            last = list(members)[-1]
            data.seek(last.offset_data + -(-last.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
            if data.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                return "it is cut off"
            if isinstance(data, gzip.GzipFile):  # which checks what it was made from at its end
                for _ in range(0, MOST_BYTES, _BLOCK):
                    if not data.read(_BLOCK):
                        break
    except InputError as e:
        return str(e).split(": ", 1)[-1].split("; ")[0]
    return ""


def _read_run(data: BinaryIO, member: tarfile.TarInfo) -> Optional[dict]:
    if member.size > _MOST_RUN_BYTES:
        raise _UnsafeError("has a %s of %d bytes" % (RUN_JSON, member.size))
    data.seek(member.offset_data)
    try:
        return json.loads(data.read(member.size).decode("utf-8"))
    except (ValueError, RecursionError):
        raise tarfile.ReadError("its %s is damaged" % RUN_JSON) from None


@contextlib.contextmanager
def unbundled(checkpoint: Checkpoint) -> Iterator[str]:
    """Yields a prefix that TensorFlow can open until the block ends, unpacking a bundle into the cache the first time.

    The cache is keyed by the bundle's path and `stamp`; what an earlier version of the same file left there is removed.
    Of Adam's slots, two thirds of a published bundle, it holds no data.

    Raises:
        InputError: The bundle is damaged, or the cache cannot be written.
        OSError: The checkpoint is gone.
        ValueError: The checkpoint's index is damaged.
    """
    if checkpoint.bundle is None:
        with plain_paths.named(os.path.dirname(checkpoint.prefix) or os.curdir) as folder:
            yield os.path.join(folder, os.path.basename(checkpoint.prefix))
        return
    stem = os.path.basename(checkpoint.prefix)
    if not plain_paths.is_plain(stem):
        stem = "model.ckpt"
    place, descriptor = _hold_unpacked(checkpoint, stem)
    try:
        with plain_paths.named(place) as folder:
            yield os.path.join(folder, stem)
    finally:
        os.close(descriptor)


def _hold_unpacked(checkpoint: Checkpoint, stem: str) -> Tuple[str, int]:
    """Returns where a bundle's checkpoint lies unpacked, called `stem`, and what keeps it there: see `cache.hold`."""
    before = stamp(checkpoint)

    def make(folder: str) -> None:
        _unpack(checkpoint, folder, stem)
        if stamp(checkpoint) != before:
            raise InputError(
                "%s=%s changed while it was read; give the same command again" % (checkpoint.flag, checkpoint.path)
            )

    entry, version = _digest(os.path.realpath(checkpoint.bundle)), _digest(json.dumps([checkpoint.prefix, before]))
    try:
        return cache.hold(entry, version, stem + ".index", make)
    except OSError as e:
        raise InputError(
            "%s=%s: cannot unpack into %s (%s); set LC_MUSIC_VAE_CACHE to a folder with room"
            % (checkpoint.flag, checkpoint.path, cache.cache_dir(), e.strerror or e)
        ) from e


def _digest(text: str) -> str:
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]


def _unpack(checkpoint: Checkpoint, folder: str, stem: str) -> None:
    """Copies the checkpoint's own members, less the data of Adam's slots, into `folder`, as a checkpoint called `stem`.

    Each tensor stays where it is in its file; between them are holes, which take no room.
    """
    os.makedirs(folder)
    inside = {checkpoint.prefix + ".index": stem + ".index"}
    with _opened(checkpoint.bundle, checkpoint.path, checkpoint.flag) as (members, data):
        for member in members:
            shard = _SHARD.match(member.name)
            if shard and shard.group("prefix") == checkpoint.prefix:
                inside[member.name] = stem + member.name[len(checkpoint.prefix) :]
            if member.name in inside:
                with open(os.path.join(folder, inside[member.name]), "wb") as f:
                    f.truncate(member.size)
                    if member.name == checkpoint.prefix + ".index":
                        _copy(data, f, member.offset_data, member.size)
    places = checkpoint_index.places(os.path.join(folder, stem))
    kept = sorted((place for place in places if not _SLOT.search(place.name)), key=lambda place: place.start)
    with _opened(checkpoint.bundle, checkpoint.path, checkpoint.flag) as (members, data):
        for member in members:
            of_member = [place for place in kept if checkpoint.prefix + place.suffix == member.name]
            for place in of_member:
                if place.start + place.size > member.size:  # its name is there twice
                    raise EOFError("%s is past the end of the data" % place.name)
                with open(os.path.join(folder, inside[member.name]), "r+b") as f:
                    f.seek(place.start)
                    _copy(data, f, member.offset_data + place.start, place.size)


def _copy(source: BinaryIO, target: BinaryIO, start: int, size: int) -> None:
    """Copies bytes of `source` to where `target` is."""
    source.seek(start)
    for done in range(0, size, _BLOCK):
        expected = min(_BLOCK, size - done)
        block = source.read(expected)
        if len(block) < expected:
            raise EOFError("it is cut off")
        target.write(block)


def stamp(checkpoint: Checkpoint) -> List[Union[int, str]]:
    """Returns the `files.identity` of each of a checkpoint's files: while it is the same, so are its weights.

    Raises:
        InputError: One cannot be read.
    """
    paths = _own_files(checkpoint.prefix) if checkpoint.bundle is None else [checkpoint.bundle]
    found: List[Union[int, str]] = []
    for path in paths:
        try:
            found += files.identity(path)
        except OSError as e:
            raise _cannot_read(path, checkpoint.path, checkpoint.flag, e) from e
    return found


def _own_files(prefix: str) -> List[str]:
    """Returns the files of the checkpoint at `prefix`."""
    return [prefix + ".index"] + sorted(glob.glob(glob.escape(prefix) + ".data-?????-of-?????"))


def _cannot_read(found: str, path: str, flag: str, error: OSError) -> InputError:
    what = "" if found == path else ": %s" % os.path.basename(found)
    return InputError("%s=%s%s cannot be read (%s); give another checkpoint" % (flag, path, what, error.strerror))


def write_bundle(path: str, prefix: str, name: str, run: dict) -> None:
    """Bundles the checkpoint at `prefix`, called `name` inside, and `run.json` into the tar at `path`."""
    folder, stem = os.path.split(prefix)
    with files.replacing(path) as temporary, tarfile.open(temporary, "w") as tar:
        for file in sorted(os.listdir(folder)):
            shard = _SHARD.match(file)
            if file == stem + ".index" or (shard and shard.group("prefix") == stem):
                tar.add(os.path.join(folder, file), name + file[len(stem) :], filter=_anonymous)
        text = json.dumps(run, indent=2, sort_keys=True).encode()
        member = _anonymous(tarfile.TarInfo(RUN_JSON))
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leaves out who packed it and when, so that the same run gives the same bytes."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member


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
            self._prefix = held.enter_context(unbundled(checkpoint))
            self._unpacked = os.path.realpath(os.path.dirname(self._prefix)) if checkpoint.bundle is not None else None
            places = checkpoint_index.places(self._prefix)
            self._reader = tf.train.NewCheckpointReader(self._prefix)
        trained = [place for place in places if not (_SLOT.search(place.name) or _COUNTER.search(place.name))]
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

    def fingerprint(self, scope: str) -> str:
        """Returns the SHA-256 of names and contents of all trained variables under `scope`.

        The same weights have the same fingerprint in a tar, as a prefix, with Adam's slots and without. It is kept in
        the cache until the checkpoint's files change.
        """
        path = os.path.realpath(self._checkpoint.bundle or self._checkpoint.prefix)
        kept = os.path.join(cache.cache_dir(), "fingerprints", _digest(path + scope) + ".json")
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

    def check_encoder(self, fingerprint: str, trained: str) -> None:
        """Raises an `InputError` unless the encoder has the fingerprint of the one that `trained` was trained on."""
        if self.fingerprint(ENCODER_SCOPE) != fingerprint:
            raise InputError(
                "%s=%s holds other weights than those that %s was trained on; give that MusicVAE checkpoint"
                % (self._checkpoint.flag, self._checkpoint.path, trained)
            )

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
