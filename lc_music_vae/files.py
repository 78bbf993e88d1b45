"""Writing files so that each appears whole or not at all; locks."""

import contextlib
import hashlib
import json
import os
import re
from typing import Any, Iterator, List, Optional

try:
    import fcntl
except ImportError:  # Windows: nothing is locked there
    fcntl = None

from lc_music_vae.errors import InputError

# Names by `_scratch`, and TensorFlow's own.
_HALF_WRITTEN = re.compile(r"\..+\.\d+$|.+\.tmp[0-9a-f]{32}$|.+\.tempstate\d+$")


@contextlib.contextmanager
def _scratch(path: str) -> Iterator[str]:
    folder, name = os.path.split(os.path.abspath(path))
    temporary = os.path.join(folder, ".%s.%d" % (name, os.getpid()))
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as e:
        raise cannot_write(path, e) from e
    try:
        yield temporary
    except OSError as e:
        # What is read meanwhile speaks for itself.
        if isinstance(e, FileExistsError) or e.filename not in (None, temporary):
            raise
        raise cannot_write(path, e) from e
    finally:
        with contextlib.suppress(OSError):
            os.remove(temporary)


@contextlib.contextmanager
def replacing(path: str) -> Iterator[str]:
    """Yields a path beside `path`; what is written there takes its place when the block ends well."""
    with _scratch(path) as temporary:
        yield temporary
        os.replace(temporary, path)


@contextlib.contextmanager
def creating(path: str) -> Iterator[str]:
    """Like `replacing`, but raises `FileExistsError` rather than touch a file that is there."""
    with _scratch(path) as temporary:
        yield temporary
        os.link(temporary, path)


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


def tidy(folder: str) -> None:
    """Removes what killed processes left half-written in `folder`; only where nobody else writes."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for name in os.listdir(folder):
            if _HALF_WRITTEN.match(name):
                os.remove(os.path.join(folder, name))


def lock(file: int, wait: bool = True) -> bool:
    """Locks a descriptor's file or folder until it is closed; a dead process holds nothing.

    Returns:
        Whether it is locked now: without `wait`, it may be that another process has it.
    """
    if fcntl is not None:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
    return True


@contextlib.contextmanager
def locked(folder: str) -> Iterator[None]:
    """Keeps other processes that ask for the same folder waiting."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        lock(descriptor)
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


def read_json(path: str) -> Optional[Any]:
    """Returns the JSON value in `path`, or None if there is no such file."""
    try:
        with open(path, encoding="utf-8") as f:
            return json.load(f)
    except (FileNotFoundError, NotADirectoryError):
        return None


def sha256(path: str) -> str:
    """Returns the SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()
