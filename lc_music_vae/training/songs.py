"""Finds which songs a run will learn from and has learned from. Files are identified by content, not by path.

Does not need TensorFlow.
"""

import contextlib
import logging
import os
from typing import Callable, List, NamedTuple, Optional, Sequence

from lc_music_vae.checkpoints import shards
from lc_music_vae.checkpoints.run_dir import RunDir
from lc_music_vae.checkpoints.run_json import RunJson
from lc_music_vae.checkpoints.song_list import SongList
from lc_music_vae.errors import InputError
from lc_music_vae.music import examples
from lc_music_vae.system import addresses

logger = logging.getLogger(__name__)


class Songs(NamedTuple):
    """What a training learns from.

    Attributes:
        path: The absolute paths that were given as `--examples_path`, now and, if songs are added, earlier.
        given: The music files in the paths that are given now.
        kept: The shards that the run was already trained on; none if the run is new.
        new: The given files that no shard was made from.
        listed: The list of the new songs, if they are encoded in shares, or None.
    """

    path: List[str]
    given: List[shards.File]
    kept: shards.Kept
    new: List[shards.File]
    listed: Optional[SongList] = None

    @property
    def addition(self) -> int:
        """The number of the addition that the new songs are, as for `shards.name`; 0 if they are the first."""
        return shards.next_addition(self.kept.paths) if self.kept.paths else 0

    def contents(self) -> str:
        """Returns the value that identifies all of the songs together; see `shards.contents`."""
        return shards.contents(self.kept.songs + self.new if self.kept.is_known else self.given)


def addition(run: Optional[RunJson], add_songs: bool) -> int:
    """Returns the number of the addition that the songs of a command are: 0 for the first songs of a run."""
    return shards.next_addition(run.examples.shards or []) if run and add_songs else 0


def hashed(paths: Sequence[str]) -> List[shards.File]:
    """Returns the music files in these paths, with their SHA-256."""
    return shards.hashed(os.path.abspath(found) for path in paths for found in examples.find(path))


def find(
    folder: RunDir,
    run: Optional[RunJson],
    paths: Sequence[str],
    *,
    add_songs: bool,
    listed: Optional[SongList] = None,
    hashed: Callable[[Sequence[str]], List[shards.File]] = hashed,
) -> Songs:
    """Returns the given songs, and those that a run was trained on.

    If there is a list of songs, the given songs are those of the list, whatever is at their paths now, until others are
    added to the run. If no paths are given, a trained run has the songs that it was trained on.

    Args:
        folder: The run's folder.
        run: What the run recorded; None before its first training.
        paths: Music files, TFRecords, globs or folders.
        add_songs: Whether the given songs may differ from those that the run was trained on.
        listed: The list of songs that are encoded in shares, of the command's `addition`, or None.
        hashed: Returns the music files in paths with their SHA-256.

    Raises:
        InputError: They differ, and `add_songs` is not set; or no songs are given where some are needed.
    """
    if listed and run and not add_songs and run.examples.contents != shards.contents(listed.songs):
        listed = None  # others were added since
    kept = folder.kept(run) if run else shards.Kept((), ())
    if not (paths or listed):
        if run is None or add_songs or not kept.is_known:
            raise needed()
        return Songs(run.examples.path, kept.songs, kept, [])
    if listed:
        check_path(folder.song_list(addition(run, add_songs)), listed, paths)
    path, given = (listed.path, listed.songs) if listed else (absolute(paths), hashed(paths))
    if run is None:
        if listed and add_songs:
            raise InputError("--add_songs: %s is not trained on yet; train without it first" % folder.song_list())
        return Songs(path, given, kept, given, listed)
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
        return found._replace(new=listed.songs if listed else other.new, listed=listed)
    raise InputError(
        "--examples_path=%s: other songs than %s was trained on, from %s (%s); give another --run_dir, or --add_songs "
        "to go on with all of them" % (", ".join(path), folder.path, ", ".join(before.path), other.text())
    )


def needed() -> InputError:
    """Returns the error to raise if no songs are given, and there is no list of songs in their place."""
    return InputError("--examples_path is needed: a music file, a TFRecord or a folder of songs")


def check_path(list_file: str, listed: SongList, paths: Sequence[str]) -> None:
    """Raises an `InputError` unless the paths are those that the list of songs, in this file, was made of, or none."""
    if paths and sorted(absolute(paths)) != sorted(listed.path):
        raise InputError(
            "--examples_path=%s: %s lists the songs of %s; give that, or another --run_dir"
            % (", ".join(absolute(paths)), list_file, ", ".join(listed.path))
        )


def absolute(paths: Sequence[str]) -> List[str]:
    """Returns paths as absolute ones; addresses stay as they are."""
    return [one if addresses.is_address(one) else os.path.abspath(os.path.expanduser(one)) for one in paths]


def _check_instead(folder: RunDir, run: RunJson, songs: Songs, add_songs: bool) -> None:
    """Refuses songs that differ from the training songs, if it is not known for every shard which songs it holds.

    Raises:
        InputError: The songs differ, or `add_songs` is set.
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
    """Returns the files of the given songs, or none if these are the training songs."""
    given = hashed(paths)
    same = kept.is_known and not any(shards.difference(given, kept.songs))
    return [] if same else [song.path for song in given]


def say_what_changed(folder: RunDir, run: RunJson, kept: shards.Kept) -> None:
    """Warns if the songs on disk now differ from those that the run was trained on."""
    if any(map(addresses.is_address, run.examples.path)):
        return  # only encoding reads these
    there: List[shards.File] = []
    for path in run.examples.path:
        with contextlib.suppress(InputError):  # raised if no songs are left at this path
            there += hashed([path])
    other = shards.difference(there, kept.songs)
    if any(other):
        logger.warning(
            "the songs on disk are others than %s was trained on (%s); it is evaluated on those that it was trained on",
            folder.path,
            other.text(),
        )
