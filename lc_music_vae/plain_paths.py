r"""Names of folders that TensorFlow takes as they are.

In places it reads a path as a pattern: below a folder with `[` or `\` in its name it finds no checkpoint, and below one
with `*` or `?` it removes old ones of other folders that match. Bytes that are no UTF-8 it does not take at all.

Linux has another name for each folder that is open. It is used where the folder's own will not do, and leaves nothing
behind however the process ends.
"""

import contextlib
import os
import re
from typing import Iterator

from lc_music_vae.errors import InputError

_PATTERN = re.compile(r"[\[*?\\]")
_OPEN_FOLDER = "/proc/self/fd/%d"


def is_plain(path: str) -> bool:
    """Returns whether TensorFlow takes `path` for what it is."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return not _PATTERN.search(path)


@contextlib.contextmanager
def folder(path: str) -> Iterator[str]:
    """Yields a name for the folder `path` that TensorFlow takes, good until the block ends.

    Raises:
        InputError: There is none on this system.
        OSError: The folder cannot be opened.
    """
    if is_plain(path):
        yield path
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        name = _OPEN_FOLDER % descriptor
        if not os.path.isdir(name):
            raise InputError(
                "%s: TensorFlow cannot work in a folder with [, *, ?, \\ or bytes that are no UTF-8 in its path on "
                "this system; give it another name" % path
            )
        yield name
    finally:
        os.close(descriptor)
