"""Checks, reads, unpacks and writes bundles: a checkpoint and its `run.json` in one tar.

A bundle may come from an unknown person. Nothing in it is unpacked or fully read before its headers are checked.
"""

import contextlib
import gzip
import io
import json
import os
import re
import tarfile
from typing import BinaryIO, Iterator, Optional, Sequence, Tuple, cast

from lc_music_vae.checkpoints import index as checkpoint_index
from lc_music_vae.checkpoints.checkpoint import RUN_JSON, SHARD, SLOT, Checkpoint, check_shards, stamp
from lc_music_vae.errors import InputError
from lc_music_vae.system import cache, files, plain_paths

# Limits of what a bundle may claim. The largest published one holds 2.1 GB in five members.
MAX_BYTES = 16 << 30
_MAX_MEMBERS = 1000
_MAX_TIMES = 100  # largest gzip ratio: gzip saves a tenth of the weights, and all of Adam's slots before the first step
_MAX_HEADER_BYTES = 4 << 20  # long names and similar headers are read completely before they can be checked
_MAX_RUN_BYTES = 4 << 20
_MAX_NAME = 1000
_BLOCK = 1 << 20
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def find(bundle: str, path: str, flag: str) -> Checkpoint:
    """Finds the checkpoint in a bundle. Reads the headers and `run.json`; in a gzip file, all up to the last header.

    Args:
        bundle: The tar.
        path: The path as the user gave it.
        flag: The flag that named it, for error messages.

    Raises:
        InputError: The bundle holds no checkpoint or several, or is damaged or not safe to unpack.
    """
    run = None
    names = []
    try:
        with _opened(bundle, path, flag) as (members, data):
            for member in members:
                if not member.isfile():
                    continue
                names.append(member.name)
                if member.name == RUN_JSON:
                    run = _decoded(_read(data, member, _MAX_RUN_BYTES))
    except OSError as e:
        raise InputError("%s=%s: %s" % (flag, path, e.strerror)) from e
    prefixes = sorted(n[: -len(".index")] for n in names if n.endswith(".index"))
    if len(prefixes) != 1:
        found = (
            "holds no checkpoint (*.index)" if not prefixes else "holds several checkpoints: " + ", ".join(prefixes[:5])
        )
        raise InputError("%s=%s: the bundle %s; unpack it and give the prefix of the one to use" % (flag, path, found))
    check_shards(prefixes[0], names, path=path, flag=flag)
    return Checkpoint(path, prefixes[0], bundle, run, flag)


def why_not_whole(bundle: str) -> str:
    """Returns why a file is not a complete bundle with one checkpoint; empty if it is. Reads headers, or all of a gzip.

    Raises:
        OSError: It cannot be read.
    """
    try:
        find(bundle, bundle, "file")
        with _opened(bundle, bundle, "file") as (members, data):
            last = list(members)[-1]
            data.seek(last.offset_data + -(-last.size // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE)
            if data.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                return "it is cut off"
            if isinstance(data, gzip.GzipFile):  # it has a checksum of the contents at its end
                for _ in range(0, MAX_BYTES, _BLOCK):
                    if not data.read(_BLOCK):
                        break
    except InputError as e:
        return str(e).split(": ", 1)[-1].split("; ")[0]
    return ""


class _UnsafeError(Exception):
    """The bundle is not safe to use. The text says why."""


class _Headers:
    """The bytes of a tar for `tarfile`, which reads only the members' headers through this class."""

    def __init__(self, data: BinaryIO):
        self.data = data
        self.seek, self.tell = data.seek, data.tell
        self._left = _MAX_HEADER_BYTES

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self._left:
            raise _UnsafeError("has headers of more than %d MiB" % (_MAX_HEADER_BYTES >> 20))
        self._left -= size
        return self.data.read(size)


@contextlib.contextmanager
def _opened(bundle: str, path: str, flag: str) -> Iterator[Tuple[Iterator[tarfile.TarInfo], BinaryIO]]:
    """Yields a bundle's members, each checked before it is skipped, and the tar's bytes.

    Raises:
        InputError: The part of the bundle that was read is unsafe or damaged.
        OSError: The bundle cannot be read, or the caller's block failed.
    """
    try:
        with files.opened(bundle) as f:
            zipped = f.read(2) == b"\x1f\x8b"
            f.seek(0)
            headers = _Headers(cast(BinaryIO, gzip.GzipFile(fileobj=f)) if zipped else f)
            max_bytes = min(MAX_BYTES, max(_MAX_TIMES * os.path.getsize(bundle), 1 << 20))
            with tarfile.open(fileobj=cast(BinaryIO, headers), mode="r:") as tar:
                yield _checked(tar, max_bytes), headers.data
    except _UnsafeError as e:
        raise InputError("%s=%s: the bundle %s; do not use it" % (flag, path, e)) from None
    # With damaged files, tarfile and gzip raise many errors: IndexError, EOFError, zlib.error, RecursionError ...
    except Exception as e:
        if isinstance(e, InputError) or (isinstance(e, OSError) and e.errno is not None):
            raise
        raise InputError(
            "%s=%s: not a readable .tar bundle (%s); copy or download it again, or give a checkpoint's prefix: what "
            "stands before .index" % (flag, path, str(e) or type(e).__name__)
        ) from e


def _checked(tar: tarfile.TarFile, max_bytes: int) -> Iterator[tarfile.TarInfo]:
    """Yields the members of a tar up to the first one that is not allowed in a bundle."""
    unpacked = 0
    for number, member in enumerate(tar, 1):
        unpacked += member.size
        why = _why_unsafe(member)
        if why:
            raise _UnsafeError("has a member %r, which %s" % (member.name[:80], why))
        if number > _MAX_MEMBERS:
            raise _UnsafeError("has more than %d members" % _MAX_MEMBERS)
        if unpacked > max_bytes:
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
    if len(member.name) > _MAX_NAME or _CONTROL.search(member.name):
        return "has too long a name, or one that is not text"
    return ""


def _read(data: BinaryIO, member: tarfile.TarInfo, max_bytes: int) -> bytes:
    if member.size > max_bytes:
        raise _UnsafeError("has a %s of %d bytes" % (member.name, member.size))
    data.seek(member.offset_data)
    content = data.read(member.size)
    if len(content) < member.size:
        raise EOFError("it is cut off")
    return content


def _decoded(run_json: bytes) -> Optional[dict]:
    try:
        return json.loads(run_json.decode("utf-8"))
    except (ValueError, RecursionError):
        raise tarfile.ReadError("its %s is damaged" % RUN_JSON) from None


def read_member(checkpoint: Checkpoint, name: str, max_bytes: int) -> Optional[bytes]:
    """Returns the bytes of a file in a checkpoint's bundle; None if it has no such file, or there is no bundle.

    Raises:
        InputError: The bundle is damaged, or the file has more than `max_bytes`.
    """
    if checkpoint.bundle is None:
        return None
    try:
        with _opened(checkpoint.bundle, checkpoint.path, checkpoint.flag) as (members, data):
            for member in members:
                if member.name == name and member.isfile():
                    return _read(data, member, max_bytes)
    except OSError as e:
        raise InputError("%s=%s: %s" % (checkpoint.flag, checkpoint.path, e.strerror)) from e
    return None


@contextlib.contextmanager
def unbundled(checkpoint: Checkpoint) -> Iterator[str]:
    """Yields a prefix that TensorFlow can open until the block ends. Unpacks a bundle into the cache the first time.

    The cache key is the bundle's path and `stamp`. Cache entries of earlier versions of the same file are removed.
    The cache holds no data of Adam's slots, which are two thirds of a published bundle.

    Raises:
        InputError: The bundle is damaged, or the cache cannot be written.
        OSError: The checkpoint no longer exists.
        ValueError: The checkpoint's index is damaged.
    """
    if checkpoint.bundle is None:
        with plain_paths.named(os.path.dirname(checkpoint.prefix) or os.curdir) as folder:
            yield os.path.join(folder, os.path.basename(checkpoint.prefix))
        return
    stem = os.path.basename(checkpoint.prefix)
    if not plain_paths.is_plain(stem):
        stem = "model.ckpt"
    place, descriptor = _hold_unpacked(checkpoint, checkpoint.bundle, stem)
    try:
        with plain_paths.named(place) as folder:
            yield os.path.join(folder, stem)
    finally:
        os.close(descriptor)


def _hold_unpacked(checkpoint: Checkpoint, bundle: str, stem: str) -> Tuple[str, int]:
    """Returns the folder of the unpacked checkpoint `stem`, and the descriptor that keeps it: see `cache.hold`."""
    before = stamp(checkpoint)

    def make(folder: str) -> None:
        _unpack(checkpoint, bundle, folder, stem)
        if stamp(checkpoint) != before:
            raise InputError(
                "%s=%s changed while it was read; give the same command again" % (checkpoint.flag, checkpoint.path)
            )

    entry, version = cache.key(os.path.realpath(bundle)), cache.key(json.dumps([checkpoint.prefix, before]))
    try:
        return cache.hold(entry, version, whole=stem + ".index", make=make)
    except OSError as e:
        raise InputError(
            "%s=%s: cannot unpack into %s (%s); set LC_MUSIC_VAE_CACHE to a folder with room"
            % (checkpoint.flag, checkpoint.path, cache.cache_dir(), e.strerror or e)
        ) from e


def _unpack(checkpoint: Checkpoint, bundle: str, folder: str, stem: str) -> None:
    """Copies the checkpoint's members into `folder`, as a checkpoint called `stem`, without the data of Adam's slots.

    Each tensor keeps its position in its file. Between tensors are holes, which take no disk space.
    """
    os.makedirs(folder)
    inside = {checkpoint.prefix + ".index": stem + ".index"}
    with _opened(bundle, checkpoint.path, checkpoint.flag) as (members, data):
        for member in members:
            shard = SHARD.match(member.name)
            if shard and shard.group("prefix") == checkpoint.prefix:
                inside[member.name] = stem + member.name[len(checkpoint.prefix) :]
            if member.name in inside:
                with open(os.path.join(folder, inside[member.name]), "wb") as f:
                    f.truncate(member.size)
                    if member.name == checkpoint.prefix + ".index":
                        _copy(data, f, member.offset_data, member.size)
    places = checkpoint_index.places(os.path.join(folder, stem))
    kept = sorted((place for place in places if not SLOT.search(place.name)), key=lambda place: place.start)
    with _opened(bundle, checkpoint.path, checkpoint.flag) as (members, data):
        for member in members:
            of_member = [place for place in kept if checkpoint.prefix + place.suffix == member.name]
            for place in of_member:
                if place.start + place.size > member.size:  # two members have this name
                    raise EOFError("%s is past the end of the data" % place.name)
                with open(os.path.join(folder, inside[member.name]), "r+b") as f:
                    f.seek(place.start)
                    _copy(data, f, member.offset_data + place.start, place.size)


def _copy(source: BinaryIO, target: BinaryIO, start: int, size: int) -> None:
    """Copies bytes of `source` to the current position of `target`."""
    source.seek(start)
    for done in range(0, size, _BLOCK):
        expected = min(_BLOCK, size - done)
        block = source.read(expected)
        if len(block) < expected:
            raise EOFError("it is cut off")
        target.write(block)


def write(path: str, prefix: str, *, name: str, run: dict, others: Sequence[str] = ()) -> None:
    """Bundles a checkpoint and its `run.json` into the tar at `path`.

    Args:
        path: The tar.
        prefix: The checkpoint.
        name: Its name in the tar.
        run: The contents of `run.json`.
        others: Other files, which keep their names.
    """
    folder, stem = os.path.split(prefix)
    with files.replacing(path) as temporary, tarfile.open(temporary, "w") as tar:
        for file in sorted(os.listdir(folder)):
            shard = SHARD.match(file)
            if file == stem + ".index" or (shard and shard.group("prefix") == stem):
                tar.add(os.path.join(folder, file), name + file[len(stem) :], filter=_anonymous)
        for other in others:
            tar.add(other, os.path.basename(other), filter=_anonymous)
        text = json.dumps(run, indent=2, sort_keys=True).encode()
        member = _anonymous(tarfile.TarInfo(RUN_JSON))
        member.size = len(text)
        tar.addfile(member, io.BytesIO(text))


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Removes the owner and the time of packing, so that the same run gives the same bytes."""
    member.uid = member.gid = member.mtime = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member
