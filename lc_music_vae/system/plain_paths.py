r"""Names of folders and files that TensorFlow takes as they are.

In places it reads a path as a pattern: below a folder with `[` or `\` in its name it finds no checkpoint, and below one
with `*` or `?` it removes old ones of other folders that match. Bytes that are no UTF-8 it does not take at all.

Linux has another name for whatever is open. It is used where the own one will not do, and leaves nothing
behind however the process ends.
"""

import contextlib
import os
import re
from typing import Iterator

from lc_music_vae.errors import InputError

_PATTERN = re.compile(r"[\[*?\\]")
_OPEN = "/proc/self/fd/%s"


def is_plain(path: str) -> bool:
    """Returns whether TensorFlow takes `path` for what it is."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return not _PATTERN.search(path)


@contextlib.contextmanager
def named(path: str) -> Iterator[str]:
    """Yields a name for the folder or file `path` that TensorFlow takes, good until the block ends.

    Raises:
        InputError: There is none on this system.
        OSError: It cannot be opened.
    """
    if is_plain(path):
        yield path
        return
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    try:
        name = _OPEN % descriptor
        if not os.path.exists(name):
            raise InputError(
                "%s: TensorFlow cannot use a path with [, *, ?, \\ or bytes that are no UTF-8 in it on "
                "this system; give it another name" % path
            )
        yield name
    finally:
        os.close(descriptor)


def shown(path: str) -> str:
    """Returns how the user calls what `named` may have yielded a name for."""
    return os.readlink(path) if path.startswith(_OPEN % "") else path
