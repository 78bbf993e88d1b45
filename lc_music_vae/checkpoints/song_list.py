"""The list of the songs of a run that is encoded in shares. Needs no TensorFlow.

The first command that encodes writes the list, and nothing changes it after that. So all machines agree on which songs
there are and how they are divided, although files come and go meanwhile. Songs that are added to a trained run have a
list of their own. The songs are divided into pieces: each piece becomes one file of latents. A share, such as 3 of 16,
is a number of whole pieces.
"""

import heapq
import json
import os
import re
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from lc_music_vae.checkpoints.shards import File
from lc_music_vae.errors import InputError
from lc_music_vae.options import MAX_SHARDS, METRES
from lc_music_vae.system import files

FORMAT = 1
_NAME = re.compile(r"songs(\+\d{3,6})?\.json\Z")
_MAX_FILES = 64  # of a piece: after a kill, no more than these are encoded again
_PARTS = 256  # a piece of several songs has at most this part of the work: this makes shares even
_MAX_JSON = 1 << 31  # ten million songs have 1.2 GB
_MAX_NAMED = 8  # shares in one line
# Bytes of a file for each note in it. Those of MIDI and NoteSequences were measured on the songs of the tests.
_BYTES_A_NOTE = {".xml": 250, ".musicxml": 250, ".mxl": 15, ".abc": 3, ".tfrecord": 28, ".tfrecords": 28}
_BYTES_A_NOTE_OF_MIDI = 8


def name(addition: int) -> str:
    """Returns the name of the list of the first songs (`addition` 0), or of a later addition; see `shards.name`."""
    return "songs%s.json" % ("+%03d" % addition if addition else "")


def is_name(value: str) -> bool:
    """Returns whether the value is the name of a list."""
    return _NAME.match(value) is not None


class Share(NamedTuple):
    """Share `number`, from 1, of `total` shares."""

    number: int
    total: int


def share_of(text: str) -> Share:
    """Returns the share that a text such as 3/16 names.

    Raises:
        InputError: It names none.
    """
    match = re.match(r"(\d{1,9})/(\d{1,9})\Z", text)
    share = Share(*map(int, match.groups())) if match else Share(0, 0)
    if not 1 <= share.number <= share.total <= MAX_SHARDS:
        raise InputError(
            "--shard=%s must be a share of the songs, such as 3/16: from 1/16 to 16/16, of at most %d"
            % (text, MAX_SHARDS)
        )
    return share


class Piece(NamedTuple):
    """Songs that are encoded to one file.

    Attributes:
        work: About how many notes the songs have. The time that they take is taken to be proportional to it.
        songs: The files, in order.
    """

    work: int
    songs: Tuple[File, ...]


class SongList(NamedTuple):
    """The songs of a run, and how they are encoded.

    Attributes:
        path: The absolute paths that were given as `--examples_path`.
        config: Name in the registry.
        augment: Whether transpositions are encoded too.
        holdout: Share of each song, its last bars, that is kept out of training.
        melody_track: Which track of each song is read.
        metre: Which time signatures are read.
        fingerprint: Fingerprint of MusicVAE's encoder.
        num_shares: The number of shares that the first command spoke of. It is only used to say what is missing.
        pieces: The songs, in order.
    """

    path: List[str]
    config: str
    augment: bool
    holdout: float
    melody_track: str
    metre: str
    fingerprint: str
    num_shares: int
    pieces: Tuple[Piece, ...]

    @property
    def songs(self) -> List[File]:
        """All songs, in order."""
        return [song for piece in self.pieces for song in piece.songs]

    @property
    def settings(self) -> Dict[str, Any]:
        """How the songs are encoded: values of flags, by name."""
        return {name: getattr(self, name) for name in ("config", "augment", "holdout", "melody_track", "metre")}

    def shares(self, total: int) -> List[List[int]]:
        """Returns the numbers of the pieces of each of `total` shares: each piece is in one, and the work is even.

        A piece goes to the share that has the least. So no share has more than the mean and the largest piece. Large
        pieces go first. The others go in the order of the list, where neighbours are often of one kind: each share gets
        some of every kind, and it matters less that a kind has more windows for its size than another.
        """
        work = [piece.work for piece in self.pieces]
        most = sum(work) // _PARTS
        large = [i for i in range(len(work)) if work[i] > most]
        others = sorted(set(range(len(work))).difference(large))
        rounds = [large] + [others[i : i + total] for i in range(0, len(others), total)]
        loads = [(0, number) for number in range(total)]
        found: List[List[int]] = [[] for _ in loads]
        for i in (i for one in rounds for i in sorted(one, key=lambda i: -work[i])):
            load, number = heapq.heappop(loads)
            heapq.heappush(loads, (load + work[i], number))
            found[number].append(i)
        return [sorted(numbers) for numbers in found]

    def shares_with(self, missing: Iterable[int]) -> str:
        """Returns, in words, the shares that pieces with these numbers are in."""
        missing = set(missing)
        numbers = [i + 1 for i, share in enumerate(self.shares(self.num_shares)) if missing.intersection(share)]
        more = len(numbers) - _MAX_NAMED
        named = ", ".join("%d/%d" % (number, self.num_shares) for number in numbers[:_MAX_NAMED])
        return named + (" and %d more" % more if more > 0 else "")


def divided(songs: Sequence[File], sizes: Optional[Dict[str, int]] = None) -> Tuple[Piece, ...]:
    """Divides songs into pieces of neighbours, by the size of their files: at most 64 songs each.

    How they are divided does not depend on the number of shares, so that any number may work on the same list.

    Args:
        songs: The files.
        sizes: Their sizes in bytes, by path; None means those that this machine's files have now.
    """
    work = [_work(song.path, _size(song.path) if sizes is None else sizes[song.path]) for song in songs]
    return tuple(Piece(sum(work[at]), tuple(songs[at])) for at in _slices(work))


def _slices(work: Sequence[int]) -> Iterator[slice]:
    most, start = sum(work) // _PARTS, 0
    for i in range(1, len(work)):
        if i - start == _MAX_FILES or sum(work[start : i + 1]) > most:
            yield slice(start, i)
            start = i
    yield slice(start, len(work))


def _work(path: str, size: int) -> int:
    """Returns about how many notes a file of this size holds.

    Windows are known only after a song is read, which takes much longer than asking for a size.
    """
    return 1 + size // _BYTES_A_NOTE.get(os.path.splitext(path.lower())[1], _BYTES_A_NOTE_OF_MIDI)


def _size(path: str) -> int:
    """Returns the size of a file in bytes; 0 if the file is gone."""
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def write_first(path: str, value: SongList) -> None:
    """Writes the list, unless another process has written one: then that one stays."""
    pieces = [[piece.work, piece.songs] for piece in value.pieces]
    try:
        with files.creating(path) as temporary, open(temporary, "w", encoding="utf-8") as f:
            # In one piece and without indents, which takes a third of the time: there may be ten million songs.
            f.write(json.dumps(dict(value._asdict(), pieces=pieces, format=FORMAT), sort_keys=True))
    except FileExistsError:
        return


def read(path: str) -> SongList:
    """Returns the list in a file.

    Raises:
        InputError: The file is damaged, missing, or from another version of the toolkit.
    """
    try:
        value = files.read_json(path, _MAX_JSON)
        if value.pop("format") == FORMAT:
            pieces = tuple(Piece(work, tuple(File(*song) for song in songs)) for work, songs in value.pop("pieces"))
            found = SongList(pieces=pieces, **value)
            if _is_right(found):
                return found
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        pass
    raise InputError(
        "%s is damaged, or from another version; put it back, or remove it: the list is then made anew, and what is "
        "encoded of the same songs is used" % path
    )


def _is_right(value: SongList) -> bool:
    """Returns whether all values from the file are valid."""
    texts = [value.config, value.melody_track, value.metre, value.fingerprint, *value.path]
    return (
        isinstance(value.path, list)
        and all(isinstance(text, str) for text in texts + [part for song in value.songs for part in song])
        and value.metre in METRES
        and isinstance(value.augment, bool)
        and type(value.holdout) in (int, float)
        and 0 <= value.holdout <= 0.9
        and type(value.num_shares) is int
        and 1 <= value.num_shares <= MAX_SHARDS
        and len(value.pieces) > 0
        and all(type(piece.work) is int and piece.work > 0 and piece.songs for piece in value.pieces)
    )
