"""The songs' latents in a folder: shards, each with a JSON file next to it. Needs no TensorFlow.

A shard is a TFRecord of latents. The JSON file says from which files it was made, how, and with which result. Songs are
identified by the content of their files, not by path: a file that was moved or renamed is the same song, and a file
that was edited is a different song.
"""

import collections
import concurrent.futures
import hashlib
import os
import re
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from lc_music_vae.music import examples, style
from lc_music_vae.options import WHOLE
from lc_music_vae.system import files

FORMAT = 3  # of the records in a shard; with a new number, the songs of old shards are encoded again
# In format 2, windows of bars that do not fill them went on with what follows in the song. Its other windows are those
# of format 3. It said this of songs with such bars:
_FORMAT_2, _GOES_ON = 2, "windows start at its bars"
_PARTS_2 = 5  # without the time signatures
_NAME = re.compile(r"latents(\+\d{3,6})?-\d{5,7}-of-\d{5,7}\.tfrecord$")
_MAX_JSON = 1 << 30  # about 150 bytes per song, and a TFRecord may hold a million
_MAX_NAMED = 2  # songs of one kind in one line


def is_name(value: Any) -> bool:
    """Returns whether the value is the name of a shard."""
    return isinstance(value, str) and len(value) < 100 and _NAME.match(value) is not None


def name(number: int, count: int, addition: int) -> str:
    """Returns the name of shard `number` of `count`, for the first songs (`addition` 0) or for a later addition."""
    return "latents%s-%05d-of-%05d.tfrecord" % ("+%03d" % addition if addition else "", number, count)


def next_addition(paths: Sequence[str]) -> int:
    """Returns the number of the addition that comes after those among shards."""
    found = [_NAME.match(os.path.basename(path)) for path in paths]
    return 1 + max((int(match.group(1)[1:]) for match in found if match and match.group(1)), default=0)


class File(NamedTuple):
    """A file with songs, and the SHA-256 of its bytes: "" if the file cannot be read, which its row says."""

    path: str
    sha256: str


def hashed(paths: Iterable[str]) -> List[File]:
    """Returns the files with their SHA-256."""
    return [File(path, examples.fingerprint(path)) for path in paths]


def _sha256(path: str) -> str:
    try:
        return files.sha256(path)
    except OSError:
        return ""


def contents(songs: Sequence[File]) -> str:
    """Returns one SHA-256 over those of all songs. It does not depend on their order or names."""
    return hashlib.sha256("\n".join(sorted(song.sha256 for song in songs)).encode()).hexdigest()


class Difference(NamedTuple):
    """Files that are new, and files that no longer exist."""

    new: List[File]
    gone: List[File]

    def text(self) -> str:
        """Returns the difference in words, with at most two names of each kind."""
        new, gone = ([os.path.basename(song.path) for song in songs] for songs in self)
        edited = set(new) & set(gone)
        kinds = {
            "changed": sorted(edited),
            "new": [one for one in new if one not in edited],
            "gone": [one for one in gone if one not in edited],
        }
        return "; ".join("%s: %s" % (kind, _some(names)) for kind, names in kinds.items() if names)


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MAX_NAMED
    return ", ".join(names[:_MAX_NAMED]) + (" and %d more" % more if more > 0 else "")


def without(songs: Sequence[File], others: Sequence[File]) -> List[File]:
    """Returns the songs that are not among the others. Each of the others removes one equal song."""
    left = collections.Counter(song.sha256 for song in others)
    found = []
    for song in songs:
        if left[song.sha256]:
            left[song.sha256] -= 1
        else:
            found.append(song)
    return found


def difference(given: Sequence[File], before: Sequence[File]) -> Difference:
    """Returns how `given` differs from the songs `before`, by the content of the files."""
    return Difference(without(given, before), without(before, given))


class Row(NamedTuple):
    """The result for one song.

    Attributes:
        path: The song's name.
        slices: Number of its distinct windows.
        melody: The tracks that the windows are from.
        reason: Why there are no windows, or which changes were needed to make them; else empty.
    """

    path: str
    slices: int
    melody: str
    reason: str


class Shard(NamedTuple):
    """The contents of a shard.

    Attributes:
        windows: Number of records.
        rows: One row per song.
        qpms: Number of windows at each tempo, rounded to hundredths; the keys are text, as in JSON.
        programs: Number of windows of each program.
        octaves: Number of windows for each number of octaves that tracks were moved up.
        time_signatures: Number of windows of each time signature; none in records of format 2.
    """

    windows: int
    rows: List[Row]
    qpms: Dict[str, int]
    programs: Dict[str, int]
    octaves: Dict[str, int]
    time_signatures: Dict[str, int]


class MadeWith(NamedTuple):
    """How latents are made. If a value here differs, the same songs have different latents.

    Attributes:
        music_vae: Name of the MusicVAE config.
        fingerprint: Fingerprint of its encoder.
        transpositions: Transpositions of each window, in semitones, that are encoded.
        melody_track: Which tracks of a song are read: the argument of `melody.choose`.
        metre: Which time signatures are read: the argument of `data.WindowConverter`.
        format: Format of the records.
        part: Which part of each song; see `data.WindowConverter.windows`.
    """

    music_vae: str
    fingerprint: str
    transpositions: Tuple[int, ...]
    melody_track: str
    metre: str
    format: int = FORMAT
    part: Tuple[float, float] = WHOLE


class Record(NamedTuple):
    """The JSON file of a shard.

    Attributes:
        made_with: How the shard was made.
        songs: The files that the shard was made from.
        made: The contents of the shard.
        size: Size of the shard in bytes; None in records of 0.1.0.
        sha256: SHA-256 of the shard; None in records of 0.1.0.
    """

    made_with: MadeWith
    songs: Tuple[File, ...]
    made: Shard
    size: Optional[int] = None
    sha256: Optional[str] = None

    def has_size(self, shard: str) -> bool:
        """Returns whether the shard exists and has its recorded size, if that is known."""
        try:
            size = os.stat(shard).st_size
        except OSError:
            return False
        return size == self.size if self.size is not None else (size > 0) == (self.made.windows > 0)

    def is_of(self, shard: str) -> bool:
        """Returns whether the shard is unchanged, by its checksum; False if its checksum is not known."""
        return self.has_size(shard) and self.sha256 == _sha256(shard)

    def with_checksum(self, shard: str) -> "Record":
        """Returns a copy with the shard's current size and checksum."""
        return self._replace(size=os.path.getsize(shard), sha256=_sha256(shard))

    def is_readable(self) -> bool:
        """Returns whether the shard can be trained and evaluated on."""
        return self.made_with.format in (_FORMAT_2, FORMAT)

    def is_made(self, made_with: MadeWith) -> bool:
        """Returns whether making the shard in this way would give the same windows."""
        if self.made_with == made_with:
            return True
        return self.is_older(made_with) and not any(row.slices and _GOES_ON in row.reason for row in self.made.rows)

    def is_older(self, made_with: MadeWith) -> bool:
        """Returns whether the shard was made in this way, but with the windows of format 2."""
        return self.made_with == made_with._replace(format=_FORMAT_2)

    def write(self, shard: str) -> None:
        """Writes the record next to the shard."""
        made_from = dict(self.made_with._asdict(), files=self.songs)
        value = {"made_from": made_from, "made": self.made, "size": self.size, "sha256": self.sha256}
        files.write_json(shard + ".json", value)


def read_record(shard: str) -> Optional[Record]:
    """Returns the record of a shard; None if it is missing, damaged, or from another program."""
    try:
        value = files.read_json(shard + ".json", _MAX_JSON)
        made_from, made = value["made_from"], Shard(*value["made"], *([{}] if len(value["made"]) == _PARTS_2 else []))
        record = Record(
            MadeWith(**{field: made_from.get(field) for field in MadeWith._fields}),
            tuple(File(*song) for song in made_from["files"]),
            made._replace(rows=[Row(*row) for row in made.rows]),
            value.get("size"),
            value.get("sha256"),
        )
        if not _is_right(record):
            return None
        start, end = record.made_with.part or WHOLE
        transpositions = tuple(record.made_with.transpositions)
        made_with = record.made_with._replace(transpositions=transpositions, part=(start, end))
        return record._replace(made_with=made_with)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _is_right(record: Record) -> bool:
    """Returns whether all values from the JSON file are valid."""
    made = record.made

    def is_count(value) -> bool:
        return type(value) is int and value >= 0

    def are_counts(of: Any) -> bool:
        return isinstance(of, dict) and all(map(is_count, of.values())) and all(map(_is_float, of))

    return (
        isinstance(record.made_with.transpositions, list)
        and isinstance(record.made_with.part, (list, type(None)))  # None in records of 0.1.0
        and all(isinstance(text, str) for song in record.songs for text in song)
        and is_count(made.windows)
        and all(is_count(row.slices) and all(isinstance(row[i], str) for i in (0, 2, 3)) for row in made.rows)
        and all(map(are_counts, (made.qpms, made.programs, made.octaves)))
        and all(map(style.is_written, made.time_signatures))
        and all(map(is_count, made.time_signatures.values()))
        and (record.size is None or is_count(record.size))
        and (record.sha256 is None or isinstance(record.sha256, str))
    )


def _is_float(text: str) -> bool:
    try:
        return abs(float(text)) < 1e9
    except ValueError:
        return False


class Kept(NamedTuple):
    """The shards that a run was trained on.

    Attributes:
        paths: Their files, in order.
        records: The record of each; None if it is damaged or missing.
    """

    paths: Tuple[str, ...]
    records: Tuple[Optional[Record], ...]

    @property
    def is_known(self) -> bool:
        """Whether the songs of all shards are known."""
        return bool(self.paths) and None not in self.records

    @property
    def songs(self) -> List[File]:
        """Returns the files that the shards are from, as far as they are known."""
        return [song for record in self.records if record for song in record.songs]

    def is_whole(self) -> bool:
        """Returns whether all shards exist and match their checksums."""
        return bool(self.paths) and all(each(lambda path, record: record is not None and record.is_of(path), *self))


def each(check: Callable[[str, Optional[Record]], bool], *pairs: Sequence[Any]) -> List[bool]:
    """Returns what a check of a shard and its record returns for each; many at a time, as checksums use one core each.

    Args:
        check: The check, which runs in threads.
        pairs: The shards' paths, and their records.
    """
    with concurrent.futures.ThreadPoolExecutor() as pool:
        return list(pool.map(check, *pairs))


def kept(folder: str, names: Optional[Sequence[str]], windows: int) -> Kept:
    """Returns the shards of a run in `folder`.

    Args:
        folder: The folder of latents.
        names: Their names in run.json; None in runs of 0.1.0.
        windows: Number of windows in run.json. In runs of 0.1.0, the existing shards are used if they hold this number.
    """
    there = names
    if there is None:
        listed = os.listdir(folder) if os.path.isdir(folder) else []
        named = {re.sub(r"\.json$", "", one) for one in listed}
        there = sorted(one for one in named if is_name(one) and "+" not in one)  # version 0.1.0 made no additions
    paths = tuple(os.path.join(folder, one) for one in there)
    records = tuple(map(read_record, paths))
    if names is None and sum(record.made.windows for record in records if record) != windows:
        return Kept((), ())
    return Kept(paths, records)
