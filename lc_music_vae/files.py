"""Writing files so that each appears whole or not at all."""

import contextlib
import hashlib
import json
import os
from typing import Any, Iterator, Optional


@contextlib.contextmanager
def _scratch(path: str) -> Iterator[str]:
    folder, name = os.path.split(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(folder, ".%s.%d" % (name, os.getpid()))
    try:
        yield temporary
    finally:
        with contextlib.suppress(FileNotFoundError):
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
def locked(folder: str) -> Iterator[None]:
    """Keeps other processes that ask for the same folder waiting; a dead process holds nothing."""
    import fcntl  # here: Windows has none, and may read

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


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
