"""Finds the checkpoint that a path means, without TensorFlow.

A checkpoint is given as a bundle (`.tar`, `.tar.gz`), as a prefix (`model/cat-mel_2bar_big.ckpt`) or as a folder (its
latest one). Names and headers are checked here; the tensors are read later.
"""

import os
import re
from typing import List

from lc_music_vae.checkpoints import bundles
from lc_music_vae.checkpoints.checkpoint import SHARD, Checkpoint, cannot_read, check_shards, own_files
from lc_music_vae.errors import InputError
from lc_music_vae.system import files, plain_paths

SHIPPED = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "pretrained")
STATE = "checkpoint"  # TensorFlow's list of the checkpoints that it keeps in a folder
_MAX_STATE_BYTES = 1 << 20  # one line for each checkpoint that is kept
_NEWEST = re.compile(r'^model_checkpoint_path:\s*"([^"]*)"', re.MULTILINE)
_ALL = re.compile(r'^all_model_checkpoint_paths:\s*"([^"]*)"', re.MULTILINE)


def shipped(name: str) -> Checkpoint:
    """Returns the checkpoint `name` that ships with the package."""
    return find(os.path.join(SHIPPED, name), "--pretrained_path")


def find(path: str, flag: str) -> Checkpoint:
    """Finds the checkpoint that `path` means. Reads file names and tar headers, never tensors.

    Raises:
        InputError: There is no checkpoint, or several, or the bundle is not safe to unpack.
    """
    expanded = os.path.expanduser(path)
    if os.path.isdir(expanded):
        return _on_disk(_latest(expanded, path, flag), path=path, flag=flag)
    if os.path.isfile(expanded) and not expanded.endswith(".index") and not SHARD.match(expanded):
        return bundles.find(expanded, path, flag)
    shard = SHARD.match(expanded)
    prefix = shard.group("prefix") if shard else re.sub(r"\.index$", "", expanded)
    if os.path.lexists(expanded) and not os.path.isfile(expanded):
        found = "not a plain file, or a link to nothing"
    elif not os.path.isfile(prefix + ".index"):
        found = "no checkpoint there"
    else:
        return _on_disk(prefix, path, flag)
    raise InputError(
        "%s=%s: %s; give a .tar bundle, a prefix (what stands before .index) or a folder" % (flag, path, found)
    )


def _on_disk(prefix: str, path: str, flag: str) -> Checkpoint:
    """Returns the checkpoint at `prefix`. All its files must exist and be regular files."""
    folder, name = os.path.split(prefix)
    if not plain_paths.is_plain(name):
        raise InputError(
            "%s=%s: TensorFlow cannot read a checkpoint with [, *, ?, \\ or bytes that are no UTF-8 in its name; "
            "rename its files" % (flag, path)
        )
    check_shards(name, _names_in(folder or os.curdir, path, flag), path=path, flag=flag)
    for file in own_files(prefix):
        try:
            files.opened(file).close()
        except OSError as e:
            raise cannot_read(file, path, flag, error=e) from e
    return Checkpoint(path, prefix, None, None, flag)


def listed(folder: str) -> List[str]:
    """Returns the names in TensorFlow's list of a folder's checkpoints: first the newest, then all in order.

    Raises:
        OSError: The list does not exist, or cannot be read.
    """
    with files.opened(os.path.join(folder, STATE)) as f:
        text = f.read(_MAX_STATE_BYTES).decode("utf-8", "replace")
    # Names may be absolute paths, from before the folder was moved.
    newest = _NEWEST.findall(text)[:1]
    return [os.path.basename(path) for path in newest + _ALL.findall(text) if newest]


def _latest(folder: str, path: str, flag: str) -> str:
    """Returns the prefix of the checkpoint that a folder's `checkpoint` file names, or of its only checkpoint."""
    names = _names_in(folder, path, flag)
    prefixes = sorted(n[: -len(".index")] for n in names if n.endswith(".index"))
    if STATE in names:
        try:
            prefixes = [name for name in listed(folder)[:1] if name in prefixes] or prefixes
        except OSError as e:
            raise cannot_read(os.path.join(folder, STATE), path, flag, error=e) from e
    if len(prefixes) != 1:
        none = "no checkpoint (*.index) in this folder"
        found = none if not prefixes else "several checkpoints: " + ", ".join(prefixes)
        there = [os.path.join(path, name) for name in sorted(names) if name.endswith((".tar", ".tar.gz"))]
        advice = "its bundle, %s=%s" % (flag, there[0]) if there and not prefixes else "the prefix of the one to use"
        raise InputError("%s=%s: %s; give %s" % (flag, path, found, advice))
    return os.path.join(folder, prefixes[0])


def _names_in(folder: str, path: str, flag: str) -> List[str]:
    try:
        return os.listdir(folder)
    except OSError as e:
        raise InputError("%s=%s: its folder cannot be read (%s)" % (flag, path, e.strerror)) from e
