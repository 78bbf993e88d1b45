"""Where the songs and the run folder of an encoding are: on paths, or at addresses that Apache Beam knows.

Of a run folder that is at an address, this machine has a copy of what the folder says of itself: run.json and the list
of songs. Everything else of it stays there, and workers write to it.
"""

import concurrent.futures
import contextlib
import os
import tempfile
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set

from lc_music_vae.checkpoints import shards, song_list
from lc_music_vae.checkpoints.run_dir import RunDir
from lc_music_vae.checkpoints.run_json import RunJson
from lc_music_vae.checkpoints.shards import Row
from lc_music_vae.checkpoints.song_list import SongList
from lc_music_vae.errors import InputError
from lc_music_vae.music import examples
from lc_music_vae.options import Path
from lc_music_vae.system import addresses
from lc_music_vae.training import job as jobs
from lc_music_vae.training import songs as songs_lib
from lc_music_vae.training.songs import Songs


class Done(NamedTuple):
    """Pieces that are encoded: their files, and the rows of their songs, both in order."""

    files: List[str]
    rows: List[Row]


class Here:
    """A run folder and songs on paths of this machine.

    Attributes:
        folder: The run's folder.
    """

    def __init__(self, folder: RunDir) -> None:
        self.folder = folder

    def check_free(self, config: str) -> None:
        """Raises an `InputError` if the folder has files of a run that come from elsewhere."""
        self.folder.check_free(config)

    def find(
        self, run: Optional[RunJson], paths: Sequence[str], *, add_songs: bool, listed: Optional[SongList]
    ) -> Songs:
        """Returns the songs, as `songs.find`."""
        return songs_lib.find(self.folder, run, paths, add_songs=add_songs, listed=listed, hashed=self.hashed)

    def hashed(self, paths: Sequence[str]) -> List[shards.File]:
        """Returns the music files in these paths, with their SHA-256."""
        return songs_lib.hashed(paths)

    def divided(self, songs: Songs) -> Sequence[song_list.Piece]:
        """Returns the new songs in pieces."""
        return song_list.divided(songs.new)

    def write_first(self, value: SongList, addition: int) -> SongList:
        """Writes the list of the songs of an addition, unless there is one; returns the list that is there then."""
        path = self.folder.song_list(addition)
        song_list.write_first(path, value)
        return song_list.read(path)

    def complete(self, planned: Sequence[Any], way: Any, elsewhere: Optional[Callable]) -> Done:
        """Encodes what is missing of pieces, also of the bars that are kept out.

        Args:
            planned: The pieces, each a `latents.Planned`.
            way: How songs are encoded: an `encoded.Encoding`.
            elsewhere: Encodes pieces in other processes, as for `latents.complete`; None means in this one.
        """
        from lc_music_vae.training import encoded

        found, _ = encoded.complete(planned, self.folder, way, elsewhere=elsewhere)
        return Done(list(found.shards), list(found.rows))

    def names(self) -> Set[str]:
        """Returns the names of the files of latents."""
        return set(os.listdir(self.folder.latents))


class There(Here):
    """A run folder, or songs, at addresses.

    Attributes:
        folder: A copy of what the run folder says of itself.
        at: The run's folder itself, by its address or path.
    """

    def __init__(self, folder: RunDir, at: RunDir) -> None:
        super().__init__(folder)
        self.at = at
        self._sizes: Dict[str, int] = {}
        os.makedirs(folder.latents)
        # A folder is listed first, as some file systems take long to say that a file is not there.
        if os.path.basename(at.run_json) in addresses.listed(at.path):
            addresses.fetch(at.run_json, folder.run_json)
        run = folder.read()
        records = {name + ".json" for name in (run.examples.shards or [] if run else [])}
        wanted = [name for name in addresses.listed(at.latents) if name in records or song_list.is_name(name)]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(self._fetch, wanted))

    def _fetch(self, name: str) -> None:
        """Copies a file of the run's latents to this machine."""
        addresses.fetch(addresses.join(self.at.latents, name), os.path.join(self.folder.latents, name))

    def check_free(self, config: str) -> None:
        """Raises an `InputError` if the folder has latents that come from elsewhere."""
        found = [os.path.basename(path) for path in (self.at.latents, self.at.holdout) if addresses.listed(path)]
        if found and not os.path.exists(self.folder.song_list()):
            raise InputError(
                "--run_dir=%s: %s there, without a list of songs, would be overwritten; give another --run_dir, or "
                "move what is there away" % (self.at.path, ", ".join(found))
            )

    def hashed(self, paths: Sequence[str]) -> List[shards.File]:
        """Returns the music files in these paths or addresses, with their SHA-256; reads each once for that."""
        given: List[shards.File] = []
        for path in paths:
            if addresses.is_address(path):
                from lc_music_vae.encoding import far

                found = addresses.find(path, examples.is_named_so)
                if not found:
                    raise examples.no_music("--examples_path", path)
                given += far.hashed(list(found))
                self._sizes.update(found)
            else:
                of_path = super().hashed([path])
                given += of_path
                self._sizes.update({song.path: os.path.getsize(song.path) for song in of_path if song.sha256})
        return given

    def divided(self, songs: Songs) -> Sequence[song_list.Piece]:
        """Returns the new songs in pieces."""
        return song_list.divided(songs.new, {song.path: self._sizes.get(song.path, 0) for song in songs.new})

    def write_first(self, value: SongList, addition: int) -> SongList:
        """Writes the list of the songs of an addition, unless there is one by now; returns the list that is there."""
        name = song_list.name(addition)
        if name in addresses.listed(self.at.latents):
            self._fetch(name)
            return song_list.read(self.folder.song_list(addition))
        found = super().write_first(value, addition)
        addresses.store(self.folder.song_list(addition), addresses.join(self.at.latents, name))
        return found

    def complete(self, planned: Sequence[Any], way: Any, elsewhere: Optional[Callable]) -> Done:
        """Encodes what is missing of pieces, also of the bars that are kept out; see `Here.complete`."""
        from lc_music_vae.encoding import far
        from lc_music_vae.training import encoded

        numbered, records = dict(enumerate(planned)), {}
        rest = encoded.held_out(way.made_with)
        for folder, made_with in ((self.at.holdout, rest), (self.at.latents, way.made_with)):
            if made_with is not None:
                records = far.records(folder, numbered, made_with)
                missing = {i: piece for i, piece in numbered.items() if i not in records}
                if missing and elsewhere:
                    records.update(elsewhere(missing, folder, made_with))
        files = [addresses.join(self.at.latents, piece.name) for piece in planned]
        return Done(files, [row for i in numbered for row in records[i].made.rows])

    def names(self) -> Set[str]:
        """Returns the names of the files of latents."""
        return set(addresses.listed(self.at.latents))


@contextlib.contextmanager
def of(run_dir: Path, paths: Sequence[str], options: Any, *, add_songs: bool) -> Iterator[Here]:
    """Yields where the run folder and the songs are.

    Args:
        run_dir: The run's folder.
        paths: The songs; empty if the list of songs in the run's folder has them.
        options: Beam's `PipelineOptions`; None if Beam is not asked for.
        add_songs: Whether the songs are added to a trained run.

    Raises:
        InputError: An address is given without Beam, or cannot be reached.
    """
    given = [("--run_dir", run_dir)] + [("--examples_path", path) for path in paths]
    far = [(flag, os.fspath(path)) for flag, path in given if addresses.is_address(path)]
    if options is None:
        far = []  # what takes paths alone says so
    if far and addresses.is_address(run_dir):
        at = RunDir(os.fspath(run_dir).rstrip("/"))
    else:
        at = jobs.folder_of(run_dir)
        if options is not None and not paths:
            listed = at.listed(songs_lib.addition(at.read(), add_songs))
            far += [("--examples_path", path) for path in (listed.path if listed else []) if addresses.is_address(path)]
    if not far:
        yield Here(at)
        return
    for flag, address in far:
        addresses.check(flag, address, options)
    with tempfile.TemporaryDirectory() as copy:
        try:
            yield There(RunDir(os.path.join(copy, "run")), at)
        except InputError as e:  # what is said of the copy is said of the folder
            raise InputError(e.args[0].replace(os.path.join(copy, "run"), at.path)) from e


@contextlib.contextmanager
def on_disk(flag: str, path: Optional[str], options: Any) -> Iterator[Optional[str]]:
    """Yields the path of a file: that of a copy on this machine, if it is at an address and Beam is asked for.

    Args:
        flag: The flag that names it.
        path: A path, an address, or None, which is yielded as it is.
        options: Beam's `PipelineOptions`; None if Beam is not asked for.

    Raises:
        InputError: It is at an address without Beam, or cannot be reached or read.
    """
    if path is None or not addresses.is_address(path):
        yield path
        return
    if options is None:
        raise addresses.refused(flag, path)
    addresses.check(flag, path, options)
    from lc_music_vae.encoding import far

    with far.on_disk(flag, path) as copy:
        yield copy
