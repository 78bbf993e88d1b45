"""Which songs a run learns from, and which it learned from: known by what is in their files, wherever these lie.

Needs no TensorFlow.
"""

import contextlib
import logging
import os
from typing import List, NamedTuple, Optional, Sequence

from lc_music_vae.checkpoints import shards
from lc_music_vae.checkpoints.run_dir import RunDir
from lc_music_vae.checkpoints.run_json import RunJson
from lc_music_vae.errors import InputError
from lc_music_vae.music import examples

logger = logging.getLogger(__name__)


class Songs(NamedTuple):
    """What a training is to learn from.

    Attributes:
        path: What it was given as `--examples_path`, absolute, and before that.
        given: The files there.
        kept: The shards that the run was trained on already; none if it is new.
        new: Those of the files that no shard is of.
    """

    path: List[str]
    given: List[shards.File]
    kept: shards.Kept
    new: List[shards.File]

    def contents(self) -> str:
        """Returns what all of them are known by; see `shards.contents`."""
        return shards.contents(self.kept.songs + self.new if self.kept.is_known else self.given)


def find(folder: RunDir, run: Optional[RunJson], paths: Sequence[str], *, add_songs: bool) -> Songs:
    """Returns the songs that were given, and those that a run was trained on.

    Args:
        folder: The run's folder.
        run: What it records; None before its first training.
        paths: Music files, TFRecords, globs or folders.
        add_songs: Whether they may be others than those that it was trained on.

    Raises:
        InputError: They are others, and were not said to be added.
    """
    path = [os.path.abspath(os.path.expanduser(one)) for one in paths]
    given = shards.hashed(_files(paths))
    if run is None:
        return Songs(path, given, shards.Kept((), ()), given)
    kept = folder.kept(run)
    before = run.examples
    if add_songs:
        path = before.path + [one for one in path if one not in before.path]
    found = Songs(path, given, kept, [])
    if not kept.is_known:
        _check_instead(folder, run, found, add_songs)
        return found
    other = shards.difference(given, kept.songs)
    if not any(other):
        if {song.path for song in given} != {song.path for song in kept.songs}:
            logger.info("the songs are those that %s was trained on, under other names", folder.path)
        return found
    if add_songs:
        return found._replace(new=other.new)
    raise InputError(
        "--examples_path=%s: other songs than %s was trained on, from %s (%s); give another --run_dir, or --add_songs "
        "to go on with all of them" % (", ".join(path), folder.path, ", ".join(before.path), other.text())
    )


def _files(paths: Sequence[str]) -> List[str]:
    return [os.path.abspath(found) for path in paths for found in examples.find(path)]


def _check_instead(folder: RunDir, run: RunJson, songs: Songs, add_songs: bool) -> None:
    """Refuses other songs than were trained on, where it is not known of each shard which songs it is of.

    Raises:
        InputError: They are others, or some are to be added.
    """
    contents = run.examples.contents
    if contents == shards.contents(songs.given) and not add_songs:
        return
    lost = [path for path, record in zip(*songs.kept) if record is None] or [folder.latents]
    if contents is not None or add_songs:
        raise InputError(
            "%s is damaged or gone; to have it made again, give as --examples_path the songs that it was made from "
            "(%s), no others, without --add_songs" % (lost[0], ", ".join(run.examples.path))
        )
    logger.warning("%s does not say which songs it was trained on; --examples_path is taken for them", folder.path)


def find_others(kept: shards.Kept, paths: Sequence[str]) -> List[str]:
    """Returns the files of the songs that were given, or none if they are those that were trained on."""
    given = shards.hashed(_files(paths))
    same = kept.is_known and not any(shards.difference(given, kept.songs))
    return [] if same else [song.path for song in given]


def say_what_changed(folder: RunDir, run: RunJson, kept: shards.Kept) -> None:
    """Says if the songs on disk are others now than those that the run was trained on."""
    there: List[str] = []
    for path in run.examples.path:
        with contextlib.suppress(InputError):  # where nothing is left there
            there += _files([path])
    other = shards.difference(shards.hashed(there), kept.songs)
    if any(other):
        logger.warning(
            "the songs on disk are others than %s was trained on (%s); it is evaluated on those that it was trained on",
            folder.path,
            other.text(),
        )
