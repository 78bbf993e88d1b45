"""The cache between commands, in `~/.cache/lc_music_vae`: folders that are made once and then only read.

An entry has versions, one for each state of its source. A version is made in a scratch folder and then renamed, so it
is complete or absent, and it never changes. A reader holds a shared lock on it. When a new version is made, older
versions are removed, unless a process is reading them. If the file system has no locks, nothing is removed.
"""

import contextlib
import errno
import hashlib
import logging
import os
from typing import Callable, Optional, Tuple

from lc_music_vae.system import files

logger = logging.getLogger(__name__)

_TRIES = 10  # attempts to make a version while other processes remove it
_THERE = (errno.EEXIST, errno.ENOTEMPTY)


def cache_dir() -> str:
    """Returns the folder of the cache: `$LC_MUSIC_VAE_CACHE`, else the XDG cache."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.environ.get("LC_MUSIC_VAE_CACHE") or os.path.join(base, "lc_music_vae")


def key(text: str) -> str:
    """Returns a name for the content of `text`: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(os.fsencode(text)).hexdigest()[:16]


def hold(entry: str, version: str, *, whole: str, make: Callable[[str], None]) -> Tuple[str, int]:
    """Returns the folder of a version, and a descriptor. No process removes the version until the descriptor is closed.

    If the version does not exist, it is made first. If several processes want it at once, one makes it and the others
    wait.

    Args:
        entry: Name of the entry's folder.
        version: Name of the version's folder in it.
        whole: A file in the version. If it is gone (some systems remove old files), the version is made again.
        make: A function that makes the version at the path that it is given.

    Raises:
        OSError: The version cannot be made.
    """
    place = os.path.join(cache_dir(), entry, version)
    for left in reversed(range(_TRIES)):
        descriptor = _hold(place, whole)
        if descriptor is not None:
            return place, descriptor
        try:
            _make(place, whole, make)
        except OSError as e:
            # Another process found the entry's folder empty and removed it, or made the version in a new one.
            changed = isinstance(e, FileNotFoundError) or e.errno in _THERE
            if not changed or not left:
                raise
    raise OSError(errno.EBUSY, "others change it", place)


def _hold(place: str, whole: str) -> Optional[int]:
    """Returns a descriptor that protects the version from removal until it is closed; None if there is no version."""
    files.tidy(os.path.dirname(place))
    try:
        descriptor = os.open(place, os.O_RDONLY)
    except FileNotFoundError:
        return None
    with contextlib.suppress(OSError):  # no locks, no removals
        files.lock(descriptor, shared=True)
    # Otherwise it was moved away before it was locked.
    if os.path.isfile(os.path.join(place, whole)) and os.path.samestat(os.fstat(descriptor), os.stat(place)):
        return descriptor
    os.close(descriptor)
    return None


def _make(place: str, whole: str, make: Callable[[str], None]) -> None:
    entry, version = os.path.split(place)
    os.makedirs(entry, exist_ok=True)
    try:
        with files.locked(entry, lambda: logger.info("waiting for another process that unpacks the same")):
            if os.path.isfile(os.path.join(place, whole)):
                return
            _discard(place)
            with files.scratch_folder(entry) as scratch:
                made = os.path.join(scratch, version)
                make(made)
                for name in os.listdir(made):
                    files.flush(os.path.join(made, name))
                files.flush(made)
                try:
                    os.rename(made, place)
                except OSError as e:
                    # If there are no locks, another process may have been faster.
                    if e.errno not in _THERE or not os.path.isfile(os.path.join(place, whole)):
                        raise
            files.flush(entry)
            for other in os.listdir(entry):
                if other != version:
                    _discard(os.path.join(entry, other))
    finally:
        _remove_if_empty(entry)


def forget(place: str) -> None:
    """Removes a version that no process is reading, and its entry if the entry has no other version."""
    _discard(place)
    _remove_if_empty(os.path.dirname(place))


def _discard(place: str) -> None:
    entry, version = os.path.split(place)
    with contextlib.suppress(OSError):
        descriptor = os.open(place, os.O_RDONLY)
        try:
            if files.lock(descriptor, wait=False):
                with files.scratch_folder(entry) as scratch:
                    os.rename(place, os.path.join(scratch, version))
        finally:
            os.close(descriptor)


def _remove_if_empty(entry: str) -> None:
    with contextlib.suppress(OSError):
        os.rmdir(entry)
