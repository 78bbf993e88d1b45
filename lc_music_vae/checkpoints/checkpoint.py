"""A checkpoint on disk or in a bundle, its files, and values that show whether they have changed."""

import glob
import os
import re
from typing import Iterable, List, NamedTuple, Optional, Union

from lc_music_vae.errors import InputError
from lc_music_vae.system import files

RUN_JSON, SONGS_NPZ = "run.json", "songs.npz"
# A file of a checkpoint's data; the part before `.data` is its prefix.
SHARD = re.compile(r"(?P<prefix>.+)\.data-(?P<shard>\d{5})-of-(?P<shards>\d{5})$")
# The slots of Adam for a variable.
SLOT = re.compile(r"/Adam(_\d+)?$")


class Checkpoint(NamedTuple):
    """A checkpoint that was found: a V2 prefix on disk, or one inside a bundle.

    Attributes:
        path: The path as the user gave it.
        prefix: Where its `.index` and `.data-*` files are, or their name inside `bundle`.
        bundle: The tar that holds it, or None.
        run: The contents of the bundle's `run.json`, which training wrote, or None.
        flag: The flag that named it, for error messages.
    """

    path: str
    prefix: str
    bundle: Optional[str]
    run: Optional[dict]
    flag: str


def stamp(checkpoint: Checkpoint) -> List[Union[int, str]]:
    """Returns the `files.identity` of each of a checkpoint's files. While they are the same, the weights are the same.

    Raises:
        InputError: A file cannot be read.
    """
    paths = own_files(checkpoint.prefix) if checkpoint.bundle is None else [checkpoint.bundle]
    found: List[Union[int, str]] = []
    for path in paths:
        try:
            found += files.identity(path)
        except OSError as e:
            raise cannot_read(path, checkpoint.path, checkpoint.flag, error=e) from e
    return found


def own_files(prefix: str) -> List[str]:
    """Returns the files of the checkpoint at `prefix`."""
    return [prefix + ".index"] + sorted(glob.glob(glob.escape(prefix) + ".data-?????-of-?????"))


def check_shards(prefix: str, names: Iterable[str], *, path: str, flag: str) -> None:
    """Refuses a checkpoint whose `.data-*` files are not all among `names`."""
    shards = [m for m in map(SHARD.match, names) if m and m.group("prefix") == prefix]
    expected = max((int(m.group("shards")) for m in shards), default=1)
    if len({m.group("shard") for m in shards}) < expected:
        raise InputError(
            "%s=%s: %s.index is there but only %d of its %d .data files; copy or download it again"
            % (flag, path, prefix, len(shards), expected)
        )


def cannot_read(found: str, path: str, flag: str, *, error: OSError) -> InputError:
    """Returns the error to raise if the file `found` of the checkpoint at `path` cannot be read."""
    what = "" if found == path else ": %s" % os.path.basename(found)
    return InputError("%s=%s%s cannot be read (%s); give another checkpoint" % (flag, path, what, error.strerror))
