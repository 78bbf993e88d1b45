"""Reading plain files; writing files so that each appears whole or not at all; locks.

A file is first written in a scratch folder beside its place. That is a new folder with a unique name, and its process
holds a lock on it. Only such folders are ever tidied away, and none of them while its process lives.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import tempfile
import time
from typing import Any, BinaryIO, Callable, Iterator, List, Union

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there
    fcntl = None  # type: ignore[assignment]

from lc_music_vae.errors import InputError

_PREFIX = ".lc_music_vae-scratch-"
_SCRATCH = re.compile(re.escape(_PREFIX) + r"[a-z0-9_]{8}$")  # as `tempfile` draws names
# What `os.link` says on file systems that have no hard links, such as FAT, exFAT and some of networks.
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EXDEV)
# Where a folder may not be listed, or a file system has nothing to flush.
_NO_FLUSH = (errno.EACCES, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)
_BLOCK = 1 << 20
_SAMPLES, _SAMPLE = 16, 1 << 16  # places of a file that `identity` reads, and bytes at each
_PATIENCE, _LOOK_AGAIN = 1.0, 0.05  # seconds: before it is said that this process waits, and between two tries
_MAX_JSON = 64 << 20  # an index of 10,000 outputs takes 4 MB


@contextlib.contextmanager
def scratch_folder(folder: str) -> Iterator[str]:
    """Yields a new folder in `folder`; removes it with all that is in it when the block ends.

    Nobody else can have made it or put links into it: its name is random, it is created exclusively, and only this user
    may enter it.
    """
    while True:
        scratch = tempfile.mkdtemp(prefix=_PREFIX, dir=folder)
        descriptor = os.open(scratch, os.O_RDONLY) if fcntl else None
        try:
            if descriptor is not None:
                _try_lock(descriptor)
            if os.path.isdir(scratch):  # otherwise `tidy` has just removed it, as a dead process's
                yield scratch
                return
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
            if descriptor is not None:
                os.close(descriptor)


def tidy(folder: str) -> None:
    """Removes the scratch folders that killed processes left in `folder`."""
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            if fcntl and _SCRATCH.match(name) and os.path.isdir(path) and not os.path.islink(path):
                descriptor = os.open(path, os.O_RDONLY)
                try:
                    if lock(descriptor, wait=False):
                        shutil.rmtree(path, ignore_errors=True)
                finally:
                    os.close(descriptor)


@contextlib.contextmanager
def _scratch(path: str) -> Iterator[str]:
    folder, name = os.path.split(os.path.abspath(path))
    temporary = None
    try:
        os.makedirs(folder, exist_ok=True)
        with scratch_folder(folder) as scratch:
            temporary = os.path.join(scratch, name)
            yield temporary
            flush(folder)
    except OSError as e:
        # What is read meanwhile speaks for itself.
        if temporary and (isinstance(e, FileExistsError) or e.filename not in (None, temporary)):
            raise
        raise cannot_write(path, e) from e


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
    """Yields a path to write to; what is written there takes the place of `path` when the block ends well.

    It is on the disk then, not only on its way there.
    """
    with _scratch(path) as temporary:
        yield temporary
        flush(temporary)
        os.replace(temporary, path)


@contextlib.contextmanager
def creating(path: str) -> Iterator[str]:
    """Like `replacing`, but raises `FileExistsError` rather than touch a file that is there."""
    with _scratch(path) as temporary:
        yield temporary
        flush(temporary)
        try:
            os.link(temporary, path)
        except OSError as e:
            if e.errno not in _NO_LINKS:
                raise
            # The name is taken first, by an empty file that none but this process puts another in place of.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os.replace(temporary, path)


def flush(path: str) -> None:
    """Has the disk keep what was written to a file, or what a folder lists, before more is done.

    Raises:
        OSError: It does not.
    """
    if fcntl is None and os.path.isdir(path):  # Windows: folders cannot be opened
        return
    try:
        descriptor = os.open(path, os.O_RDONLY if fcntl else os.O_RDWR)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as e:
        if e.errno not in _NO_FLUSH:
            raise


@contextlib.contextmanager
def all_or_none() -> Iterator[List[str]]:
    """Yields a list for the paths of files that its block creates; removes them if that does not end well."""
    created: List[str] = []
    try:
        yield created
    except BaseException:
        for path in created:
            with contextlib.suppress(OSError):
                os.remove(path)
        raise


def lock(file: int, wait: bool = True, shared: bool = False) -> bool:
    """Locks a descriptor's file or folder until it is closed; a dead process holds nothing.

    `shared`, any number of processes have it, as long as nobody has it alone.

    Returns:
        Whether it is locked now: without `wait`, it may be that another process has it.

    Raises:
        OSError: The file system has no locks.
    """
    if fcntl is not None:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
    return True


def _try_lock(descriptor: int) -> None:
    """Locks a descriptor where its file system can; a scratch folder that is not locked is never tidied away there."""
    with contextlib.suppress(OSError):
        lock(descriptor)


@contextlib.contextmanager
def locked(folder: str, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Keeps other processes that ask for the same folder waiting, where its file system has locks.

    `waiting` is called once where this one has waited for a second.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            began, said = time.monotonic(), False
            while not lock(descriptor, wait=False):
                if not said and time.monotonic() - began >= _PATIENCE:
                    waiting()
                    said = True
                time.sleep(_LOOK_AGAIN)
        yield
    finally:
        os.close(descriptor)


def cannot_write(path: str, error: Exception) -> InputError:
    """Returns the error to raise where `path` cannot be written, by Python or by TensorFlow."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    why = said.splitlines()[0].split("; ")[-1]  # TensorFlow says the file's name first
    return InputError("%s cannot be written (%s); when it can be, give the same command again" % (path, why))


def write_json(path: str, value: Any) -> None:
    """Writes `value` as JSON, whole or not at all."""
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=2, sort_keys=True)
        f.write("\n")


def opened(path: str, follow: bool = True) -> BinaryIO:
    """Opens a plain file for reading, and waits for nobody: a pipe, a device or a socket is refused.

    So is a link, unless it may `follow` it.

    Raises:
        OSError: It is not there, cannot be read, or is no plain file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags if follow else flags | getattr(os, "O_NOFOLLOW", 0))
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a plain file", path)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_json(path: str, max_bytes: int = _MAX_JSON) -> Any:
    """Returns the JSON value in `path`, or None if there is no such file.

    Raises:
        ValueError: It is no JSON, or more than `max_bytes` of it.
        OSError: It cannot be read, or is no plain file.
    """
    try:
        with opened(path) as f:
            content = f.read(max_bytes + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if len(content) > max_bytes:
        raise ValueError("more than %d MiB" % (max_bytes >> 20))
    try:
        return json.loads(content.decode("utf-8"))
    except RecursionError:
        raise ValueError("nested too deep") from None


def identity(path: str) -> List[Union[int, str]]:
    """Returns what tells a plain file from another: while it is the same, the contents are taken to be.

    That is the size, the times at which contents and inode were changed, the inode's number, and the SHA-256 of a
    megabyte of the contents: beginning, end, and places between. `cp -p` and `rsync -a` set the first of the times, but
    nothing sets the second; the sample is for file systems that keep neither it nor numbers.

    Raises:
        OSError: It cannot be read, or is no plain file.
    """
    digest = hashlib.sha256()
    with opened(path) as f:
        found = os.fstat(f.fileno())
        last = max(0, found.st_size - _SAMPLE)
        for start in sorted({last * i // (_SAMPLES - 1) for i in range(_SAMPLES)}):
            f.seek(start)
            digest.update(f.read(_SAMPLE))
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, digest.hexdigest()]


def sha256(path: str) -> str:
    """Returns the SHA-256 of a plain file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with opened(path) as f:
        for block in iter(lambda: f.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()
