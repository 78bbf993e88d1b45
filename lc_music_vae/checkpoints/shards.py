"""Which songs' latents a folder holds: shards, and the JSON beside each. Needs no TensorFlow.

A shard is a TFRecord of latents. The JSON says from which files it was made, how, and with which result. Songs are
identified by the content of their files, wherever these are: a file that was moved or renamed is the same song, and a
file that was edited is another.
"""

import collections
import hashlib
import os
import re
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from lc_music_vae.music import examples
from lc_music_vae.system import files

FORMAT = 2  # of the records in a shard; a with a new number old shards are encoded again
_NAME = re.compile(r"latents(\+\d{3,6})?-\d{5,7}-of-\d{5,7}\.tfrecord$")
_MAX_JSON = 1 << 30  # some 150 bytes a song, and a TFRecord may hold a million
_MAX_NAMED = 2  # songs of a kind in one line


def is_name(value: Any) -> bool:
    """Returns whether this is the name of a shard."""
    return isinstance(value, str) and len(value) < 100 and _NAME.match(value) is not None


def name(number: int, count: int, addition: int) -> str:
    """Returns the name of a shard: which of how many of the songs that came first (0) or with a later addition."""
    return "latents%s-%05d-of-%05d.tfrecord" % ("+%03d" % addition if addition else "", number, count)


def additions(paths: Sequence[str]) -> int:
    """Returns the number of the latest addition among shards."""
    found = [_NAME.match(os.path.basename(path)) for path in paths]
    return max((int(match.group(1)[1:]) for match in found if match and match.group(1)), default=0)


class File(NamedTuple):
    """A file with songs, and the SHA-256 of its bytes; "" where it cannot be read, as its row then says."""

    path: str
    sha256: str


def hashed(paths: Iterable[str]) -> List[File]:
    """Returns the files with what they are known by."""
    return [File(path, examples.fingerprint(path)) for path in paths]


def _sha256(path: str) -> str:
    try:
        return files.sha256(path)
    except OSError:
        return ""


def contents(songs: Sequence[File]) -> str:
    """Returns the SHA-256 of the songs' own, in whatever order and under whatever names they are."""
    return hashlib.sha256("\n".join(sorted(song.sha256 for song in songs)).encode()).hexdigest()


class Difference(NamedTuple):
    """Files that are new, and files that are not there any more."""

    new: List[File]
    gone: List[File]

    def text(self) -> str:
        """Returns it in words: at most two names of a kind."""
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
    """Returns the songs that are not among the others. A song that is there twice must be among the others twice."""
    left = collections.Counter(song.sha256 for song in others)
    found = []
    for song in songs:
        if left[song.sha256]:
            left[song.sha256] -= 1
        else:
            found.append(song)
    return found


def difference(given: Sequence[File], before: Sequence[File]) -> Difference:
    """Returns how `given` differs from the songs before, by the content of the files."""
    return Difference(without(given, before), without(before, given))


class Row(NamedTuple):
    """What became of one song.

    Attributes:
        path: The song's name.
        slices: Number of its distinct windows.
        melody: The tracks that they are from.
        reason: Why there are none, or what was done to make them; else empty.
    """

    path: str
    slices: int
    melody: str
    reason: str


class Shard(NamedTuple):
    """What is in a shard.

    Attributes:
        windows: Number of records.
        rows: One a song.
        qpms: How many windows there are at each tempo, rounded to hundredths; the keys are text, as in JSON.
        programs: The same of each program.
        octaves: The same of each number of octaves that tracks were moved up.
    """

    windows: int
    rows: List[Row]
    qpms: Dict[str, int]
    programs: Dict[str, int]
    octaves: Dict[str, int]


class MadeWith(NamedTuple):
    """How latents are made: with another value here, the same songs have other latents.

    Attributes:
        music_vae: Name of the MusicVAE config.
        fingerprint: Fingerprint of its encoder.
        transpositions: Semitones that each window is encoded at.
        melody_track: Which tracks of a song are read, as `melody.choose` takes it.
        metre: Which time signatures are read, as `data.WindowConverter` takes it.
        format: Of the records.
    """

    music_vae: str
    fingerprint: str
    transpositions: Tuple[int, ...]
    melody_track: str
    metre: str
    format: int = FORMAT


class Record(NamedTuple):
    """The JSON beside a shard.

    Attributes:
        made_with: How it was made.
        songs: The files that it was made from.
        made: What came of it.
        size: Bytes of the shard; None in those of 0.1.0.
        sha256: SHA-256 of the shard; None in those of 0.1.0.
    """

    made_with: MadeWith
    songs: Tuple[File, ...]
    made: Shard
    size: Optional[int] = None
    sha256: Optional[str] = None

    def has_size(self, shard: str) -> bool:
        """Returns whether the shard is there and has the size that it had, as far as that is known."""
        try:
            size = os.stat(shard).st_size
        except OSError:
            return False
        return size == self.size if self.size is not None else (size > 0) == (self.made.windows > 0)

    def is_of(self, shard: str) -> bool:
        """Returns whether the shard is unchanged, by its checksum; False where its checksum is not known."""
        return self.has_size(shard) and self.sha256 == _sha256(shard)

    def with_checksum(self, shard: str) -> "Record":
        """Returns the same with the shard's size and checksum as they are now."""
        return self._replace(size=os.path.getsize(shard), sha256=_sha256(shard))

    def write(self, shard: str) -> None:
        """Writes it beside the shard."""
        made_from = dict(self.made_with._asdict(), files=self.songs)
        value = {"made_from": made_from, "made": self.made, "size": self.size, "sha256": self.sha256}
        files.write_json(shard + ".json", value)


def read_record(shard: str) -> Optional[Record]:
    """Returns what stands beside a shard; None where that is missing, damaged, or of another program."""
    try:
        value = files.read_json(shard + ".json", _MAX_JSON)
        made_from, made = value["made_from"], Shard(*value["made"])
        record = Record(
            MadeWith(**{field: made_from.get(field) for field in MadeWith._fields}),
            tuple(File(*song) for song in made_from["files"]),
            made._replace(rows=[Row(*row) for row in made.rows]),
            value.get("size"),
            value.get("sha256"),
        )
        if not _is_right(record):
            return None
        made_with = record.made_with._replace(transpositions=tuple(record.made_with.transpositions))
        return record._replace(made_with=made_with)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _is_right(record: Record) -> bool:
    """Returns whether all values that JSON gave are of their kind."""
    made = record.made

    def is_count(value) -> bool:
        return type(value) is int and value >= 0

    def are_counts(of: Any) -> bool:
        return isinstance(of, dict) and all(map(is_count, of.values())) and all(map(_is_float, of))

    return (
        isinstance(record.made_with.transpositions, list)
        and all(isinstance(text, str) for song in record.songs for text in song)
        and is_count(made.windows)
        and all(is_count(row.slices) and all(isinstance(row[i], str) for i in (0, 2, 3)) for row in made.rows)
        and all(map(are_counts, (made.qpms, made.programs, made.octaves)))
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
        records: What stands beside each; None where that is damaged or gone.
    """

    paths: Tuple[str, ...]
    records: Tuple[Optional[Record], ...]

    @property
    def is_known(self) -> bool:
        """Whether it is known of all which songs they are from."""
        return bool(self.paths) and None not in self.records

    @property
    def songs(self) -> List[File]:
        """Returns the files that they are from, as far as that is known."""
        return [song for record in self.records if record for song in record.songs]

    def is_whole(self) -> bool:
        """Returns whether all shards are there, by their checksums."""
        pairs = zip(self.paths, self.records)
        return bool(self.paths) and all(record is not None and record.is_of(path) for path, record in pairs)


def kept(folder: str, names: Optional[Sequence[str]], windows: int) -> Kept:
    """Returns the shards of a run in `folder`.

    Args:
        folder: The folder of latents.
        names: Their names, as run.json has them; None in runs of 0.1.0.
        windows: Number of windows that run.json has. In runs of 0.1.0 what is there counts if it holds as many.
    """
    there = names
    if there is None:
        listed = os.listdir(folder) if os.path.isdir(folder) else []
        named = {re.sub(r"\.json$", "", one) for one in listed}
        there = sorted(one for one in named if is_name(one) and "+" not in one)  # it made no additions
    paths = tuple(os.path.join(folder, one) for one in there)
    records = tuple(map(read_record, paths))
    if names is None and sum(record.made.windows for record in records if record) != windows:
        return Kept((), ())
    return Kept(paths, records)
