"""Checkpoints: found, unbundled, fingerprinted, read.

A checkpoint is given as a bundle (`.tar`, `.tar.gz`), as a prefix (`model/cat-mel_2bar_big.ckpt`) or as a
folder (its latest one). `find` checks what can be checked without TensorFlow; the tensors are read later.
"""

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import tarfile
from typing import Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from lc_music_vae import files
from lc_music_vae.errors import InputError

SHIPPED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "checkpoints")
RUN_JSON = "run.json"

_SHARD = re.compile(r"(?P<prefix>.+)\.data-(?P<shard>\d{5})-of-(?P<shards>\d{5})$")
_OPTIMISER = re.compile(r"/Adam(_\d+)?$|^beta\d_power(_\d+)?$|^global_step$")
_STATE = re.compile(r'^model_checkpoint_path:\s*"(?P<path>[^"]+)"', re.MULTILINE)


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


def cache_dir() -> str:
    """Returns the folder for unpacked bundles: `$LC_MUSIC_VAE_CACHE`, else the XDG cache."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.environ.get("LC_MUSIC_VAE_CACHE") or os.path.join(base, "lc_music_vae")


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
        return Checkpoint(path, _latest(expanded, path, flag), None, None, flag)
    if os.path.isfile(expanded) and not expanded.endswith(".index") and not _SHARD.match(expanded):
        return _find_in_bundle(expanded, path, flag)
    shard = _SHARD.match(expanded)
    prefix = shard.group("prefix") if shard else re.sub(r"\.index$", "", expanded)
    folder, name = os.path.split(prefix)
    if not os.path.isfile(prefix + ".index"):
        raise InputError(
            "%s=%s: no checkpoint there; give a .tar bundle, a prefix (what stands before .index) or a folder"
            % (flag, path)
        )
    _check_shards(name, os.listdir(folder or "."), path, flag)
    return Checkpoint(path, prefix, None, None, flag)


def _latest(folder: str, path: str, flag: str) -> str:
    """Returns the prefix of the checkpoint that a folder's `checkpoint` file names, or of its only one."""
    names = os.listdir(folder)
    prefixes = sorted(n[: -len(".index")] for n in names if n.endswith(".index"))
    if "checkpoint" in names:
        with open(os.path.join(folder, "checkpoint"), encoding="utf-8", errors="replace") as f:
            state = _STATE.search(f.read())
        # The file may hold an absolute path from before the folder was moved: its name is what counts.
        named = os.path.basename(state.group("path")) if state else None
        if named in prefixes:
            prefixes = [named]
    if len(prefixes) != 1:
        found = (
            "no checkpoint (*.index) in this folder" if not prefixes else "several checkpoints: " + ", ".join(prefixes)
        )
        raise InputError("%s=%s: %s; give the prefix of the one to use" % (flag, path, found))
    _check_shards(prefixes[0], names, path, flag)
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


def _refuse_unsafe(member: tarfile.TarInfo, path: str, flag: str) -> None:
    parts = member.name.replace("\\", "/").split("/")
    if member.name.startswith("/") or ".." in parts:
        why = "would be written outside the folder it is unpacked to"
    elif not (member.isfile() or member.isdir()):
        why = "is a link or a device, not a file"
    else:
        return
    raise InputError("%s=%s: member %r %s; do not use this bundle" % (flag, path, member.name, why))


def _find_in_bundle(bundle: str, path: str, flag: str) -> Checkpoint:
    try:
        with tarfile.open(bundle) as tar:
            members = tar.getmembers()
            for member in members:
                _refuse_unsafe(member, path, flag)
            names = [m.name for m in members if m.isfile()]
            run = _read_run(tar, names)
    except (tarfile.TarError, EOFError, OSError) as e:
        raise InputError(
            "%s=%s: not a readable .tar bundle (%s); a checkpoint's prefix is what stands before .index"
            % (flag, path, str(e) or type(e).__name__)
        ) from e
    prefixes = sorted(n[: -len(".index")] for n in names if n.endswith(".index"))
    if len(prefixes) != 1:
        found = "holds no checkpoint (*.index)" if not prefixes else "holds several checkpoints: " + ", ".join(prefixes)
        raise InputError("%s=%s: the bundle %s; unpack it and give the prefix of the one to use" % (flag, path, found))
    _check_shards(prefixes[0], names, path, flag)
    return Checkpoint(path, prefixes[0], bundle, run, flag)


def _read_run(tar: tarfile.TarFile, names: Sequence[str]) -> Optional[dict]:
    if RUN_JSON not in names:
        return None
    try:
        return json.loads(tar.extractfile(RUN_JSON).read())
    except ValueError:
        raise tarfile.ReadError("its %s is damaged" % RUN_JSON) from None


def unbundle(checkpoint: Checkpoint) -> str:
    """Returns a prefix that TensorFlow can open, unpacking a bundle into the cache the first time.

    The cache is keyed by the bundle's path, size and time of change; what an earlier version of the same
    file left there is removed.
    """
    if checkpoint.bundle is None:
        return checkpoint.prefix
    path = os.path.realpath(checkpoint.bundle)
    stat = os.stat(path)
    entry = os.path.join(cache_dir(), hashlib.sha256(path.encode()).hexdigest()[:16])
    version = os.path.join(entry, "%d-%d" % (stat.st_size, stat.st_mtime_ns))
    prefix = os.path.join(version, os.path.basename(checkpoint.prefix))
    if not os.path.isfile(prefix + ".index"):
        scratch = "%s.%d" % (version, os.getpid())
        try:
            _unpack(checkpoint, scratch)
            shutil.rmtree(version, ignore_errors=True)
            os.rename(scratch, version)
        except OSError as e:
            if not os.path.isfile(prefix + ".index"):  # else another process was faster, with the same bytes
                raise InputError(
                    "%s=%s: cannot unpack into %s (%s); set LC_MUSIC_VAE_CACHE to a folder with room"
                    % (checkpoint.flag, checkpoint.path, cache_dir(), e.strerror or e)
                ) from e
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        for other in os.listdir(entry):
            if other != os.path.basename(version) and re.match(r"\d+-\d+$", other):
                shutil.rmtree(os.path.join(entry, other), ignore_errors=True)
    return prefix


def _unpack(checkpoint: Checkpoint, folder: str) -> None:
    """Copies the checkpoint's own members, and nothing else, into `folder`, without their folders."""
    os.makedirs(folder)
    with tarfile.open(checkpoint.bundle) as tar:
        for member in tar:
            shard = _SHARD.match(member.name)
            if member.name == checkpoint.prefix + ".index" or (shard and shard.group("prefix") == checkpoint.prefix):
                with open(os.path.join(folder, os.path.basename(member.name)), "wb") as f:
                    shutil.copyfileobj(tar.extractfile(member), f, 1 << 20)


def stamp(checkpoint: Checkpoint) -> List[int]:
    """Returns size and time of change of a checkpoint's file: while they are the same, so are its weights."""
    stat = os.stat(checkpoint.bundle or checkpoint.prefix + ".index")
    return [stat.st_size, stat.st_mtime_ns]


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
        self._prefix = unbundle(checkpoint)
        with self._damage_is_an_input_error():
            self._reader = tf.train.NewCheckpointReader(self._prefix)
        everything = self._reader.get_variable_to_shape_map()
        self.shapes: Dict[str, Tuple[int, ...]] = {
            name: tuple(shape) for name, shape in everything.items() if not _OPTIMISER.search(name)
        }

    def get(self, name: str):
        """Returns the tensor called `name` as a NumPy array."""
        with self._damage_is_an_input_error():
            return self._reader.get_tensor(name)

    def fingerprint(self, scope: str) -> str:
        """Returns the SHA-256 of names and contents of all trained variables under `scope`.

        The same weights have the same fingerprint in a tar, as a prefix, with Adam's slots and without.
        """
        digest = hashlib.sha256()
        for name in sorted(self.shapes):
            if name.startswith(scope):
                digest.update(("%s %r\n" % (name, self.shapes[name])).encode())
                digest.update(self.get(name).tobytes())
        return digest.hexdigest()

    def check(self, shapes: Dict[str, Tuple[int, ...]], config: str) -> None:
        """Raises an `InputError` unless variables of these names and shapes are here."""
        for name, shape in sorted(shapes.items()):
            if name not in self.shapes:
                found = "has no variable %s" % name
            elif self.shapes[name] != tuple(shape):
                found = "has %s with shape %s, not %s" % (name, list(self.shapes[name]), list(shape))
            else:
                continue
            raise InputError(
                "%s=%s %s, which %s needs; give a checkpoint of %s"
                % (self._checkpoint.flag, self._checkpoint.path, found, config, config)
            )

    def restore(self, session, variables: Sequence) -> None:
        """Restores `variables`, and nothing else, by name into `session`; see that they `check` first.

        Raises:
            InputError: The data is damaged.
        """
        with session.graph.as_default():
            saver = self._tf.train.Saver(variables)
        with self._damage_is_an_input_error():
            saver.restore(session, self._prefix)

    @contextlib.contextmanager
    def _damage_is_an_input_error(self):
        try:
            yield
        # The reader raises bare ValueError or RuntimeError for some kinds of damage, by version.
        except (self._tf.errors.OpError, ValueError, RuntimeError) as e:
            first_line = (getattr(e, "message", None) or str(e)).splitlines()[0]
            raise InputError(
                "%s=%s: the checkpoint is damaged (%s); copy or download it again"
                % (self._checkpoint.flag, self._checkpoint.path, first_line)
            ) from e
