"""Encodes songs to latents on disk: the frozen encoder's output for every window, computed once.

A frozen encoder gives the same q(z|x) at every step. So its mean and scale are stored, and training draws a new z
from them at each step: the same distribution as with the encoder in the loop, without its cost.

`encode_shard` makes one file of latents from the songs of some music files and depends on nothing else. Each shard has
a JSON file next to it that records what the shard was made from (`shards.Record`). A shard is reused while that is the
same, and then neither magenta nor note_seq is loaded. Songs that are added later get their own shards: a shard that a
training learned from is never removed, and never rewritten with other songs.
"""

import contextlib
import itertools
import logging
import os
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from lc_music_vae import base_model
from lc_music_vae.checkpoints import run_dir, shards
from lc_music_vae.checkpoints.shards import File, Row, Shard
from lc_music_vae.checkpoints.song_list import SongList
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.encoding import streaming
from lc_music_vae.errors import InputError, printable
from lc_music_vae.models import sessions
from lc_music_vae.music.style import COMMON, Style
from lc_music_vae.system import files, plain_paths, progress

logger = logging.getLogger(__name__)

_FILES_A_SHARD = 64
_MAX_MOMENTS = 20_000  # windows: more change the moments of a collection by less than a hundredth
_RECORDS_A_BATCH = 4096  # 20 MB
_STEPS_A_BATCH = 4096  # time steps of windows: this limits the memory that encoding needs


class Latents(NamedTuple):
    """Latents on disk.

    Attributes:
        shards: The TFRecord files, in the order of the songs.
        num_windows: Number of records in the shards.
        z_size: Dimensions of z.
        rows: One row per song.
        style: The commonest tempo, program, octaves and time signature of the songs, each counted by windows.
    """

    shards: Tuple[str, ...]
    num_windows: int
    z_size: int
    rows: Tuple[Row, ...]
    style: Style = Style()


class Planned(NamedTuple):
    """A shard that is planned: its name in the folder, and the files that it is made from."""

    name: str
    songs: Tuple[File, ...]


# Encodes shards, by number, to a folder, made in a given way; returns their records, by number.
Elsewhere = Callable[[Dict[int, Planned], str, shards.MadeWith], Dict[int, shards.Record]]
# Maps n inputs, their lengths and their controls to mean and scale [n, z_size].
Encode = Callable[[Sequence[np.ndarray], Sequence[Any], Sequence[np.ndarray]], Tuple[np.ndarray, np.ndarray]]


def _record(window: Any, mean: np.ndarray, scale: np.ndarray) -> bytes:
    """Serialises a window's latents: mean and scale [transpositions, z_size], and where the window is from."""

    def ints(values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=np.ravel(values)))

    def floats(values):
        return tf.train.Feature(float_list=tf.train.FloatList(value=np.ravel(values)))

    feature = {
        "mean": floats(mean),
        "scale": floats(scale),
        "transpositions": ints(window.transpositions),
        "num_transpositions": ints(len(window.transpositions)),
        "length": ints(window.length),
        "controls": floats(window.controls[0]),
        "song": tf.train.Feature(bytes_list=tf.train.BytesList(value=[os.fsencode(window.song)])),
        "track": ints(window.track),
        "first_bar": ints(window.first_bar),
        "last_bar": ints(window.last_bar),
        "repeats": ints(window.repeats),
        "notes": ints(window.notes),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True)


@contextlib.contextmanager
def writing_records(path: str) -> Iterator[tf.io.TFRecordWriter]:
    """Yields the writer of a TFRecord file. The file appears complete or not at all."""
    try:
        with contextlib.ExitStack() as stack:
            folder, name = os.path.split(stack.enter_context(files.replacing(path)))
            folder = stack.enter_context(plain_paths.named(folder))
            yield stack.enter_context(tf.io.TFRecordWriter(os.path.join(folder, name)))
    except tf.errors.OpError as e:
        raise files.cannot_write(path, e) from e


def encode_shard(
    songs: Iterable[Any],
    output: str,
    encode: Encode,
) -> Shard:
    """Encodes songs to the TFRecord file `output`. The file appears complete or not at all.

    Args:
        songs: The songs, each a `songs.Converted`.
        output: Path of the file to write.
        encode: Encodes windows.
    """
    shard = Shard(0, [], {}, {}, {}, {})
    count = 0
    with writing_records(output) as writer:
        for batch in _batches(_windows(songs, shard)):
            inputs = [x for window in batch for x in window.inputs]
            lengths = [window.length for window in batch for _ in window.inputs]
            controls = [x for window in batch for x in window.controls]
            means, scales = encode(inputs, lengths, controls)
            row = 0
            for window in batch:
                here = slice(row, row + len(window.inputs))
                writer.write(_record(window, means[here], scales[here]))
                row = here.stop
            count += len(batch)
    return shard._replace(windows=count)


def _windows(songs: Iterable[Any], shard: Shard) -> Iterator[Any]:
    """Yields the windows of all songs, and adds the facts about them to `shard`."""
    for song in songs:
        shard.rows.append(song.row)
        for window in song.windows:
            track = song.tracks[window.track]
            counted = {
                "qpms": song.qpm,
                "programs": str(track.program),
                "octaves": str(track.octaves),
                "time_signatures": window.time_signature,
            }
            for name, value in counted.items():
                counts = getattr(shard, name)
                counts[value] = counts.get(value, 0) + 1
            yield window


def _batches(windows: Iterator[Any]) -> Iterator[List[Any]]:
    batch: List[Any] = []
    steps = 0
    for window in windows:
        batch.append(window)
        steps += sum(len(x) for x in window.inputs)
        if steps >= _STEPS_A_BATCH:
            yield batch
            batch, steps = [], 0
    if batch:
        yield batch


def plan(songs: Sequence[File], addition: int = 0) -> List[Planned]:
    """Returns the shards that the songs will be encoded to; see `shards.name` for `addition`."""
    pieces = [tuple(songs[i : i + _FILES_A_SHARD]) for i in range(0, len(songs), _FILES_A_SHARD)]
    return [Planned(shards.name(i, len(pieces), addition), piece) for i, piece in enumerate(pieces)]


def plan_listed(listed: SongList, addition: int = 0) -> List[Planned]:
    """Returns the shards that the songs of a list will be encoded to, one for each piece; see `shards.name`."""
    count = len(listed.pieces)
    return [Planned(shards.name(i, count, addition), piece.songs) for i, piece in enumerate(listed.pieces)]


def plan_kept(kept: shards.Kept, given: Sequence[File]) -> List[Planned]:
    """Returns the shards that a run has, with the current paths of their files.

    Args:
        kept: What the run was trained on.
        given: The songs as they are now. If it is not known which songs a shard was made from, it gets songs of `given`
            that are in no other shard.
    """
    now = {song.sha256: song.path for song in given}
    unknown = iter(plan(shards.without(given, kept.songs)))
    planned = []
    for path, record in zip(*kept):
        if record is None:
            songs = next(unknown, Planned("", ())).songs
        else:
            songs = tuple(File(now.get(song.sha256, song.path), song.sha256) for song in record.songs)
        planned.append(Planned(os.path.basename(path), songs))
    return [one for one in planned if one.songs]  # of the shards with unknown songs, as few are used as needed


def complete(
    planned: Sequence[Planned],
    folder: str,
    made_with: shards.MadeWith,
    *,
    weights: Weights,
    workers: Optional[int] = None,
    before: Callable[[Sequence[int]], None] = lambda missing: None,
    elsewhere: Optional[Elsewhere] = None,
) -> Latents:
    """Returns the latents of shards. Shards that are missing, incomplete, or made in another way are encoded first.

    Args:
        planned: The shards, in order.
        folder: The folder that holds them.
        made_with: How they are made.
        weights: MusicVAE's checkpoint.
        workers: Additional processes that read songs; None means one per core if there are many songs, else none.
        before: Called with the numbers of the shards that will be encoded, if there are any.
        elsewhere: Encodes these shards in other processes; None means in this one.

    Raises:
        InputError: A song that must be encoded is missing or has changed.
    """
    paths = [os.path.join(folder, name) for name, _ in planned]
    records = list(map(shards.read_record, paths))
    whole = shards.each(_is_whole, paths, records)
    records = [_usable(*of_shard, made_with) for of_shard in zip(paths, planned, records, whole)]
    missing = [i for i, record in enumerate(records) if record is None]
    if missing:
        before(missing)
        if elsewhere is None:
            made = _encode(planned, missing, folder, made_with, weights=weights, workers=workers)
        else:
            made = elsewhere({i: planned[i] for i in missing}, folder, made_with)
        records = [made.get(i, record) for i, record in enumerate(records)]
    return _found(paths, [record for record in records if record is not None])


def _usable(
    path: str, planned: Planned, record: Optional[shards.Record], is_whole: bool, made_with: shards.MadeWith
) -> Optional[shards.Record]:
    """Returns the record of a shard that can be used as it is; None if the shard must be encoded.

    Raises:
        InputError: The shard must be encoded, and a song is missing or has changed.
    """
    songs = planned.songs
    if record is None or _contents(record.songs) != _contents(songs):
        _check_there(songs, path)
        return None
    is_made, is_older = record.is_made(made_with), record.is_older(made_with)
    if (is_made or is_older) and not is_whole:
        logger.warning("%s is damaged or gone; its songs are encoded again", path)
    elif is_made or is_older and _changed(songs):
        if not is_made:
            logger.warning("%s: made by an older version, and its songs are gone or changed; kept as it is", path)
        if record.sha256 is None:  # written by version 0.1.0
            record = record.with_checksum(path)
            record.write(path)
        return record
    elif is_older:
        logger.info("%s: made by an older version; its songs are encoded again, in whole bars", path)
    _check_there(songs, path)
    return None


def _encode(
    planned: Sequence[Planned],
    missing: Sequence[int],
    folder: str,
    made_with: shards.MadeWith,
    *,
    weights: Weights,
    workers: Optional[int],
) -> Dict[int, shards.Record]:
    """Encodes the missing shards and returns their records, by the number of the shard; see `complete`."""
    from lc_music_vae.encoding import songs as reading
    from lc_music_vae.models import music_vae

    records = {}
    counts, unsaid = [len(songs) for _, songs in planned], 0
    paths: Dict[int, Sequence[str]] = {i: [song.path for song in planned[i].songs] for i in missing}
    reading.window_converter(made_with)  # before processes start: this fails if the config's kind is not supported
    reading.check_kind(itertools.chain.from_iterable(paths.values()), made_with)
    with reading.reading(paths, made_with, workers) as converted:
        encoder = music_vae.Encoder(made_with.music_vae, weights)
        for i, of_shard in itertools.groupby(converted, lambda song: song.shard):
            records[i] = encode_piece(planned[i], of_shard, folder, made_with=made_with, encode=encoder.encode)
            unsaid += counts[i]
            if len(planned) > 1 and (unsaid >= _FILES_A_SHARD or i == missing[-1]) and not progress.shown():
                logger.info("encoded %d of %d files", sum(counts[: i + 1]), sum(counts))
                unsaid = 0
        encoder.close()
    return records


def encode_piece(
    planned: Planned, converted: Iterable[Any], folder: str, *, made_with: shards.MadeWith, encode: Encode
) -> shards.Record:
    """Encodes the songs of one shard to its file, and writes its record; depends on nothing else.

    Args:
        planned: The shard.
        converted: Its songs, each a `songs.Converted`.
        folder: The folder to write to.
        made_with: How the songs were converted.
        encode: Encodes windows.

    Raises:
        InputError: A song changed while it was read.
    """
    shard = os.path.join(folder, planned.name)
    made = encode_shard(converted, shard, encode)
    _check_unchanged(planned.songs)
    record = shards.Record(made_with, planned.songs, made).with_checksum(shard)
    record.write(shard)
    return record


def load(kept: shards.Kept) -> Latents:
    """Returns the latents that a run was trained on, and encodes nothing.

    Raises:
        InputError: They have changed since training.
    """
    for path, record, is_whole in zip(*kept, shards.each(_is_whole, *kept)):
        if not (record and record.is_readable() and is_whole):
            raise run_dir.damaged_latents(path)
    return _found(kept.paths, [record for record in kept.records if record is not None])


def _found(paths: Sequence[str], records: Sequence[shards.Record]) -> Latents:
    made = [record.made for record in records]
    return Latents(
        shards=tuple(paths),
        num_windows=sum(m.windows for m in made),
        z_size=next((record["mean"].shape[1] for record in read(paths)), 0),
        rows=tuple(row for m in made for row in m.rows),
        style=Style(
            float(_commonest([m.qpms for m in made], "120")),
            int(_commonest([m.programs for m in made], "0")),
            int(_commonest([m.octaves for m in made], "0")),
            _commonest([m.time_signatures for m in made], COMMON),
        ),
    )


def _contents(songs: Sequence[File]) -> List[str]:
    return [song.sha256 for song in songs]


def _is_whole(shard: str, record: Optional[shards.Record]) -> bool:
    """Returns whether a shard is complete, by its checksum or by TensorFlow's own checksum of each record."""
    if record is None:
        return False
    if record.sha256 is not None or not record.has_size(shard):
        return record.is_of(shard)
    try:
        return sum(1 for _ in _records(shard)) == record.made.windows
    except InputError:
        return False


def _check_there(songs: Sequence[File], shard: str) -> None:
    """Raises an `InputError` unless the files that a shard will be made from exist and have the known hashes."""
    for path in _changed(songs):
        raise gone_or_changed(shard, path)


def gone_or_changed(shard: str, song: str) -> InputError:
    """Returns the error to raise if a song that a shard is to be made from is not the one that was listed."""
    return InputError(
        "%s is to be made, and %s, which it is made from, is gone or changed; put that back, or take another "
        "--run_dir" % (shard, song)
    )


def _check_unchanged(songs: Sequence[File]) -> None:
    """Raises an `InputError` unless the files have the hashes that they had before they were read."""
    for path in _changed(songs):
        raise InputError("%s changed while it was read; give the same command again" % path)


def _changed(songs: Sequence[File]) -> List[str]:
    """Returns the files whose hashes have changed, or that are missing."""
    return [song.path for song, now in zip(songs, shards.hashed(song.path for song in songs)) if song != now]


def _commonest(counts: Sequence[Dict[str, int]], default: str) -> str:
    total: Dict[str, int] = {}
    for one in counts:
        for name, number in one.items():
            total[name] = total.get(name, 0) + number
    return max(sorted(total), key=lambda name: total[name]) if total else default


def parse(records: tf.Tensor, z_size: int, *, one_key: bool = False) -> Dict[str, tf.Tensor]:
    """Parses serialised records [n] for training.

    Args:
        records: The records.
        z_size: Dimensions of z.
        one_key: Whether each window is known to have one transposition and one draw alone: then parsing takes half the
            time.

    Returns:
        mean and scale, float32 [n, k, z_size], where k is the largest number of transpositions that a window of these
        records has; and num_transpositions, int64 [n], the number that each window has. The rest is padding.
    """
    if one_key:
        values = tf.io.FixedLenFeature([1, z_size], tf.float32)
    else:
        values = tf.io.FixedLenSequenceFeature([z_size], tf.float32, allow_missing=True)
    count = tf.io.FixedLenFeature([], tf.int64)
    return tf.io.parse_example(records, {"mean": values, "scale": values, "num_transpositions": count})


@contextlib.contextmanager
def plainly_named(paths: Sequence[str]) -> Iterator[Tuple[str, ...]]:
    """Yields names for the shards that TensorFlow accepts; see `plain_paths`."""
    with contextlib.ExitStack() as stack:
        folders = {os.path.dirname(path) for path in paths}
        named = {folder: stack.enter_context(plain_paths.named(folder or os.curdir)) for folder in folders}
        yield tuple(os.path.join(named[os.path.dirname(path)], os.path.basename(path)) for path in paths)


def read(paths: Sequence[str]) -> Iterator[Dict[str, Any]]:
    """Returns every record of these shards as NumPy arrays, in order: for pictures and measurements, not for training.

    Raises:
        InputError: A shard is damaged or missing.
    """
    return map(_parsed_one, _all_records(paths))


def _parsed_one(record: bytes) -> Dict[str, Any]:
    """Returns a record as NumPy arrays."""
    feature = tf.train.Example.FromString(record).features.feature
    k = len(feature["transpositions"].int64_list.value)
    return {
        "mean": np.array(feature["mean"].float_list.value, np.float32).reshape(k, -1),
        "scale": np.array(feature["scale"].float_list.value, np.float32).reshape(k, -1),
        "transpositions": tuple(feature["transpositions"].int64_list.value),
        "controls": np.array(feature["controls"].float_list.value, np.float32),
        "song": os.fsdecode(feature["song"].bytes_list.value[0]),
        "track": feature["track"].int64_list.value[0],
        "first_bar": feature["first_bar"].int64_list.value[0],
        "last_bar": feature["last_bar"].int64_list.value[0],
        "repeats": feature["repeats"].int64_list.value[0],
        "notes": np.array(feature["notes"].int64_list.value, np.int64).reshape(-1, 3),
    }


class Notes(NamedTuple):
    """The notes of n windows, without their latents.

    Attributes:
        notes: Notes of all windows, one window after another, in the song's own key: int [number of notes, 3], as
            `data.notes_of` returns them.
        lengths: Number of notes of each window, int [n].
        keys: The transpositions that windows were trained on, in semitones, int [k], ascending.
        in_key: Which window was trained on in which of these keys, bool [n, k].
        songs: Name of each window's song, bytes [n].
        bars: First and last bar of each window, from 0, int [n, 2].
    """

    notes: np.ndarray
    lengths: np.ndarray
    keys: np.ndarray
    in_key: np.ndarray
    songs: np.ndarray
    bars: np.ndarray


def read_notes(paths: Sequence[str], most: int) -> Notes:
    """Returns the notes of the first windows of these shards, at most `most`: many times as fast as `read`.

    Raises:
        InputError: A shard is damaged or missing.
    """
    lists, one = tf.io.VarLenFeature(tf.int64), tf.io.FixedLenFeature([], tf.int64)
    spec = {"notes": lists, "transpositions": lists, "first_bar": one, "last_bar": one}
    spec["song"] = tf.io.FixedLenFeature([], tf.string)
    parts = _parsed(itertools.islice(_all_records(paths), most), spec)

    def joined(name: str, dtype: Any) -> np.ndarray:
        return np.concatenate([np.zeros(0, dtype)] + [part[name] for part in parts])

    def flat(name: str) -> Tuple[np.ndarray, np.ndarray]:
        """Returns the values of lists, one list after another, and the length of each list."""
        values = [part[name].values for part in parts]
        lengths = [np.bincount(part[name].indices[:, 0], minlength=part[name].dense_shape[0]) for part in parts]
        none = [np.zeros(0, np.int64)]
        return np.concatenate(none + values), np.concatenate(none + lengths)

    (numbers, lengths), (transpositions, counts) = flat("notes"), flat("transpositions")
    notes, lengths = numbers.reshape(-1, 3), lengths // 3
    keys, columns = np.unique(transpositions, return_inverse=True)
    in_key = np.zeros([len(counts), len(keys)], bool)
    in_key[np.repeat(np.arange(len(counts)), counts), columns] = True
    # Records have the notes at the first transposition.
    notes[:, 2] -= np.repeat(transpositions[np.cumsum(counts) - counts], lengths)
    bars = np.stack([joined("first_bar", np.int64), joined("last_bar", np.int64)], 1)
    return Notes(notes, lengths, keys, in_key, joined("song", object), bars)


def _parsed(records: Iterator[bytes], spec: Dict[str, Any]) -> List[Dict[str, Any]]:
    """Returns features of serialised records: batches of `tf.io.parse_example`."""
    with tf.Graph().as_default(), tf.Session(config=sessions.config()) as session:
        serialized = tf.placeholder(tf.string, [None])
        parsed = tf.io.parse_example(serialized, spec)
        batches = iter(lambda: list(itertools.islice(records, _RECORDS_A_BATCH)), [])
        return [session.run(parsed, {serialized: batch}) for batch in batches]


def _all_records(paths: Sequence[str]) -> Iterator[bytes]:
    return itertools.chain.from_iterable(map(_records, paths))


def _sample(paths: Sequence[str], most: int) -> Iterator[bytes]:
    """Returns at most `most` records of these shards: the first, or of more than fit in memory some from all over."""
    if streaming.fits(paths):
        return itertools.islice(_all_records(paths), most)
    return streaming.sample(streaming.divided(paths), most)


def _records(path: str) -> Iterator[bytes]:
    try:
        with plain_paths.named(path) as plain:
            yield from tf.io.tf_record_iterator(plain)
    except (tf.errors.OpError, OSError) as e:
        raise run_dir.damaged_latents(path) from e


class OwnKey(NamedTuple):
    """Windows in their own key: mean and scale of their q(z|x), float32 [n, z_size] each, and their records."""

    means: np.ndarray
    scales: np.ndarray
    records: List[Dict[str, Any]]

    def draws(self, seed: int, times: int = 1) -> np.ndarray:
        """Draws z ~ q(z|x) of each window, float32 [times * n, z_size]."""
        noise = np.random.RandomState(seed).standard_normal((times, *self.means.shape))
        return (self.means + self.scales * noise).reshape(-1, self.means.shape[1]).astype(np.float32)


def own_key(paths: Sequence[str], most: int) -> OwnKey:
    """Returns windows of these shards, at most `most`, in their own key: the first, or a sample; see `_sample`."""
    records = list(map(_parsed_one, _sample(paths, most)))
    places = [record["transpositions"].index(0) for record in records]
    means, scales = (np.stack([r[name][i] for r, i in zip(records, places)]) for name in ("mean", "scale"))
    return OwnKey(means, scales, records)


def moments(paths: Sequence[str]) -> base_model.Moments:
    """Returns the moments of the latents in these shards, of `_MAX_MOMENTS` windows at most, in all their keys."""
    lists = tf.io.VarLenFeature(tf.float32)
    spec = {"mean": lists, "scale": lists, "num_transpositions": tf.io.FixedLenFeature([], tf.int64)}
    parts = _parsed(_sample(paths, _MAX_MOMENTS), spec)
    rows = sum(int(part["num_transpositions"].sum()) for part in parts)
    values = (np.concatenate([part[name].values for part in parts]).reshape(rows, -1) for name in ("mean", "scale"))
    return base_model.moments(*values)


def write_rows(path: str, rows: Sequence[Row]) -> None:
    """Writes `examples.tsv`: one row per song, used or not."""
    with files.replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as f:
        f.write("\t".join(Row._fields) + "\n")
        for row in rows:
            f.write("\t".join(printable(str(value)) for value in row) + "\n")
