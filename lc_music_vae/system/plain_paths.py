r"""Names of folders and files that TensorFlow does not misread.

Some of its functions read a path as a pattern. Below a folder with `[` or `\` in its name, TensorFlow finds no
checkpoint. Below a folder with `*` or `?`, it removes old checkpoints of other folders that match. It does not accept
bytes that are not UTF-8.

Linux has a second name for every open file or folder. This module uses that name if TensorFlow cannot use the first
one. The second name leaves no files behind, even if the process is killed.
"""

import contextlib
import os
import re
from typing import Iterator

from lc_music_vae.errors import InputError

_PATTERN = re.compile(r"[\[*?\\]")
_OPEN = "/proc/self/fd/%s"


def is_plain(path: str) -> bool:
    """Returns whether TensorFlow reads `path` as a plain name."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return not _PATTERN.search(path)


@contextlib.contextmanager
def named(path: str) -> Iterator[str]:
    """Yields a name for the folder or file `path` that TensorFlow accepts. It is valid until the block ends.

    Raises:
        InputError: This system has no such name.
        OSError: `path` cannot be opened.
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
    """Returns the user's name for a path that `named` may have yielded."""
    return os.readlink(path) if path.startswith(_OPEN % "") else path
