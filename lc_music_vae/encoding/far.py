"""Pieces of a collection whose songs, or whose run folder, are at addresses such as gs://bucket/songs.

A worker copies the songs of a piece to a scratch folder of its machine, encodes them there, and copies the latents to
the run folder: first the latents, then their record. So a piece without a record, or of another size than its record
says, is not complete. A song's name is its address. What else is in the latents are the bytes that the same song gives
under a path.
"""

import concurrent.futures
import contextlib
import os
import tempfile
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence

from lc_music_vae.checkpoints import shards
from lc_music_vae.checkpoints.shards import File
from lc_music_vae.encoding import latents
from lc_music_vae.encoding.latents import Planned
from lc_music_vae.errors import InputError, printable
from lc_music_vae.music import examples
from lc_music_vae.system import addresses

_THREADS = 16  # files that are copied at the same time, to read records or hashes


class AtHand(NamedTuple):
    """A piece that is on this machine.

    Attributes:
        planned: The piece, with songs that have paths.
        folder: The folder to encode it to.
        names: What the scratch folders of its songs are to be called, by their paths.
    """

    planned: Planned
    folder: str
    names: Dict[str, str]

    def named(self, converted: Iterable[Any]) -> Iterator[Any]:
        """Yields the songs, each a `songs.Converted`, under their own names."""
        for song in converted:
            row, windows = song.row, song.windows
            yield song._replace(
                row=row._replace(path=self._name(row.path), reason=self._name(row.reason)),
                windows=[window._replace(song=self._name(window.song)) for window in windows],
            )

    def _name(self, text: str) -> str:
        for here, there in self.names.items():
            text = text.replace(here, there)
        return text


def is_far(planned: Planned, folder: str) -> bool:
    """Returns whether a piece is read from addresses, or written to one."""
    return addresses.is_address(folder) or any(addresses.is_address(song.path) for song in planned.songs)


@contextlib.contextmanager
def at_hand(planned: Planned, folder: str) -> Iterator[AtHand]:
    """Yields a piece on this machine, to be encoded there by the block; then copies what was made to its folder.

    Args:
        planned: The piece, with songs at paths or addresses.
        folder: The folder of latents: a path or an address.

    Raises:
        InputError: A song is gone or has changed since it was listed, or something cannot be read or written.
    """
    if not is_far(planned, folder):
        yield AtHand(planned, folder, {})
        return
    with tempfile.TemporaryDirectory() as scratch:
        # `tempfile` chooses a name that is not in any song's path.
        here = [os.path.join(scratch, str(i), os.path.basename(song.path)) for i, song in enumerate(planned.songs)]
        names = {}
        for path, song in zip(here, planned.songs):
            _fetch(path, song, latents.gone_or_changed(addresses.join(folder, planned.name), song.path))
            names[os.path.dirname(path) + os.sep] = printable(song.path[: len(song.path) - len(os.path.basename(path))])
        copies = tuple(File(path, song.sha256) for path, song in zip(here, planned.songs))
        yield AtHand(Planned(planned.name, copies), scratch, names)
        shard = os.path.join(scratch, planned.name)
        record = shards.read_record(shard)
        if record is None:
            raise InputError("%s cannot be read; give the same command again" % shard)
        record._replace(songs=planned.songs).write(shard)
        for name in (planned.name, planned.name + ".json"):
            addresses.store(os.path.join(scratch, name), addresses.join(folder, name))


def _fetch(path: str, song: File, changed: InputError) -> None:
    """Copies a song to a path; raises `changed` if it is not the one that was listed."""
    os.mkdir(os.path.dirname(path))
    try:
        addresses.fetch(song.path, path)
    except FileNotFoundError:
        raise changed from None
    if examples.fingerprint(path) != song.sha256:
        raise changed


@contextlib.contextmanager
def on_disk(flag: str, path: str) -> Iterator[str]:
    """Yields the path of a file on this machine: of a copy that is there meanwhile, if `path` is an address.

    Args:
        flag: The flag that names it.
        path: A path or an address.

    Raises:
        InputError: It cannot be read, or the block says something about the copy: then it is said of the address.
    """
    if not addresses.is_address(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as scratch:
        copy = os.path.join(scratch, os.path.basename(path))
        try:
            addresses.fetch(path, copy)
        except FileNotFoundError:
            raise InputError("%s=%s: no such file there; give the address of a .tar bundle" % (flag, path)) from None
        try:
            yield copy
        except InputError as e:
            raise InputError(e.args[0].replace(copy, path)) from e


def hashed(songs: Sequence[str]) -> List[File]:
    """Returns files at addresses with their SHA-256; see `shards.hashed`. Each is copied to this machine for that.

    Raises:
        InputError: One cannot be read; or there is one alone, and it is not of a kind that is read.
    """

    def of(address: str) -> File:
        with tempfile.TemporaryDirectory() as scratch:
            path = os.path.join(scratch, os.path.basename(address))
            try:
                addresses.fetch(address, path)
                if len(songs) == 1:
                    examples.find(path)
            except FileNotFoundError:
                raise InputError("%s went while songs were listed; give the same command again" % address) from None
            except InputError as e:
                raise InputError(e.args[0].replace(path, address)) from None
            return File(address, examples.fingerprint(path))

    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(of, songs))


def records(folder: str, planned: Dict[int, Planned], made_with: shards.MadeWith) -> Dict[int, shards.Record]:
    """Returns the records of the pieces that are complete in a folder, by number. Only sizes of files are compared.

    Args:
        folder: The folder of latents: a path or an address.
        planned: The pieces, by number.
        made_with: How they are made.
    """
    sizes = addresses.listed(folder)

    def of(piece: Planned) -> Optional[shards.Record]:
        if piece.name + ".json" not in sizes:
            return None
        with tempfile.TemporaryDirectory() as scratch:
            shard = os.path.join(scratch, piece.name)
            try:
                addresses.fetch(addresses.join(folder, piece.name + ".json"), shard + ".json")
            except FileNotFoundError:
                return None
            record = shards.read_record(shard)
        if record is None or not record.is_made(made_with) or sizes.get(piece.name) != record.size:
            return None
        same = [song.sha256 for song in record.songs] == [song.sha256 for song in piece.songs]
        return record if same else None

    with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
        found = zip(planned, pool.map(of, planned.values()))
        return {number: record for number, record in found if record is not None}
