"""Reads regular files, writes files so that each is complete or absent, and locks files and folders.

A file is first written in a scratch folder next to its final place. The scratch folder is new and has a unique name,
and its process holds a lock on it. Only scratch folders are removed, and never while their process is running.
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
except ImportError:  # Windows: there are no locks
    fcntl = None  # type: ignore[assignment]

from lc_music_vae.errors import InputError

_PREFIX = ".lc_music_vae-scratch-"
_SCRATCH = re.compile(re.escape(_PREFIX) + r"[a-z0-9_]{8}$")  # the names that `tempfile` chooses
# Errors of `os.link` on file systems without hard links, such as FAT, exFAT and some network file systems.
_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK, errno.EXDEV)
# Errors if a folder may not be listed, or a file system has nothing to flush.
_NO_FLUSH = (errno.EACCES, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP)
_BLOCK = 1 << 20
_SAMPLES, _SAMPLE = 16, 1 << 16  # number of places in a file that `identity` reads, and bytes read at each
_PATIENCE, _LOOK_AGAIN = 1.0, 0.05  # seconds until the message about waiting, and between two attempts
_MAX_JSON = 64 << 20  # an index of 10,000 outputs takes 4 MB


def scratch_name(random: str) -> str:
    """Returns the name of a scratch folder, with eight random letters or digits."""
    return _PREFIX + random


@contextlib.contextmanager
def scratch_folder(folder: str) -> Iterator[str]:
    """Yields a new folder in `folder`, and removes it with all its contents when the block ends.

    No other user can have made it or put links into it: its name is random, the creation fails if it exists, and only
    this user may enter it.
    """
    while True:
        scratch = tempfile.mkdtemp(prefix=_PREFIX, dir=folder)
        descriptor = os.open(scratch, os.O_RDONLY) if fcntl else None
        try:
            if descriptor is not None:
                _try_lock(descriptor)
            if os.path.isdir(scratch):  # otherwise `tidy` has just removed it as the folder of a process that has ended
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
        # Errors of reading other files in the block keep their own message.
        if temporary and (isinstance(e, FileExistsError) or e.filename not in (None, temporary)):
            raise
        raise cannot_write(path, e) from e


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
    """Yields a path to write to. When the block ends without an error, the file written there replaces `path`.

    The file is flushed to the disk before that.
    """
    with _scratch(path) as temporary:
        yield temporary
        flush(temporary)
        os.replace(temporary, path)


@contextlib.contextmanager
def creating(path: str) -> Iterator[str]:
    """Like `replacing`, but raises `FileExistsError` if `path` exists, and does not change that file."""
    with _scratch(path) as temporary:
        yield temporary
        flush(temporary)
        try:
            os.link(temporary, path)
        except OSError as e:
            if e.errno not in _NO_LINKS:
                raise
            # An empty file reserves the name first. Only this process replaces that file.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            os.replace(temporary, path)


def flush(path: str) -> None:
    """Waits until the contents of a file, or the list of names in a folder, are stored on the disk.

    Raises:
        OSError: They cannot be stored.
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
    """Yields a list for the paths of files that its block creates. Removes these files if the block raises an error."""
    created: List[str] = []
    try:
        yield created
    except BaseException:
        for path in created:
            with contextlib.suppress(OSError):
                os.remove(path)
        raise


def lock(file: int, wait: bool = True, shared: bool = False) -> bool:
    """Locks a descriptor's file or folder until the descriptor is closed. A process that has ended holds no lock.

    With `shared`, any number of processes may hold the lock, as long as no process holds it exclusively.

    Returns:
        Whether this process has the lock now. Without `wait`, another process may have it.

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
    """Locks a descriptor if its file system has locks. If it has none, `tidy` never removes scratch folders there."""
    with contextlib.suppress(OSError):
        lock(descriptor)


@contextlib.contextmanager
def locked(folder: str, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Makes other processes that lock the same folder wait, if its file system has locks.

    `waiting` is called once if this process has waited for a second.
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
    """Returns the error to raise if Python or TensorFlow cannot write `path`."""
    said = getattr(error, "strerror", None) or str(error) or type(error).__name__
    why = said.splitlines()[0].split("; ")[-1]  # TensorFlow's message starts with the file's name
    return InputError("%s cannot be written (%s); when it can be, give the same command again" % (path, why))


def write_json(path: str, value: Any) -> None:
    """Writes `value` as JSON. The file is complete or absent."""
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=2, sort_keys=True)
        f.write("\n")


def opened(path: str, follow: bool = True) -> BinaryIO:
    """Opens a regular file for reading and never blocks. Refuses a pipe, a device or a socket.

    Refuses a link too, unless `follow` is true.

    Raises:
        OSError: The file does not exist, cannot be read, or is not a regular file.
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
        ValueError: The file is not JSON, or is larger than `max_bytes`.
        OSError: The file cannot be read, or is not a regular file.
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
    """Returns values that identify a regular file. As long as they are the same, its contents are assumed unchanged.

    The values are the size, the times at which contents and inode were changed, the inode number, and the SHA-256 of a
    one-megabyte sample of the contents: beginning, end, and places between. `cp -p` and `rsync -a` set the first of the
    times, but nothing sets the second. The sample is for file systems that store neither the second time nor inode
    numbers.

    Raises:
        OSError: The file cannot be read, or is not a regular file.
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
    """Returns the SHA-256 of a regular file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with opened(path) as f:
        for block in iter(lambda: f.read(_BLOCK), b""):
            digest.update(block)
    return digest.hexdigest()
