"""Songs to latents on disk: what the frozen encoder says of every window, computed once.

A frozen encoder gives the same q(z|x) at every step, so its mean and scale are kept, and training draws a fresh z
from them: the same distribution as with the encoder in the loop, at none of its cost.

`encode_shard` makes one file of latents from the songs of some music files and depends on nothing else. Beside each
shard stands a JSON file that says what it was made from; a shard is used again while that is the same, and then neither
magenta nor note_seq is loaded.
"""

import contextlib
import hashlib
import itertools
import json
import logging
import os
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

from lc_music_vae import checkpoints, examples, files, plain_paths, progress
from lc_music_vae.errors import InputError, printable

logger = logging.getLogger(__name__)

_FORMAT = 2  # of the records; a new number makes old shards be encoded again
_FILES_A_SHARD = 64
_STEPS_A_BATCH = 4096  # of windows' time steps: bounds the memory that encoding takes


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


class Latents(NamedTuple):
    """Latents on disk.

    Attributes:
        shards: The TFRecord files, in the order of the songs.
        num_windows: Number of records in them.
        z_size: Dimensions of z.
        rows: One a song.
        qpm: The commonest tempo of the songs, by windows, in quarters per minute.
        program: The commonest program of their tracks, by windows.
        octaves: The commonest of how many octaves up these were moved, by windows.
    """

    shards: Tuple[str, ...]
    num_windows: int
    z_size: int
    rows: Tuple[Row, ...]
    qpm: float = 120.0
    program: int = 0
    octaves: int = 0


class Shard(NamedTuple):
    """What `encode_shard` made, apart from the file itself.

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


def _record(window: Any, mean: np.ndarray, scale: np.ndarray) -> bytes:
    """Serialises a window's latents: mean and scale [transpositions, z_size], and where it is from."""

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
        "controls": floats([]),
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
    """Yields the writer of a TFRecord file, which appears whole or not at all."""
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
    encode: Callable[[Sequence[np.ndarray], Sequence[Any]], Tuple[np.ndarray, np.ndarray]],
) -> Shard:
    """Encodes songs to the TFRecord file `output`, which appears whole or not at all.

    Args:
        songs: The songs, each a `songs.Converted`.
        output: Path of the file to write.
        encode: Maps n inputs and their lengths to mean and scale [n, z_size].
    """
    shard = Shard(0, [], {}, {}, {})
    count = 0
    with writing_records(output) as writer:
        for batch in _batches(_windows(songs, shard)):
            inputs = [x for window in batch for x in window.inputs]
            lengths = [window.length for window in batch for _ in window.inputs]
            means, scales = encode(inputs, lengths)
            row = 0
            for window in batch:
                here = slice(row, row + len(window.inputs))
                writer.write(_record(window, means[here], scales[here]))
                row = here.stop
            count += len(batch)
    return shard._replace(windows=count)


def _windows(songs: Iterable[Any], shard: Shard) -> Iterator[Any]:
    """Yields the windows of all songs, and adds what they are to `shard`."""
    for song in songs:
        shard.rows.append(song.row)
        for window in song.windows:
            track = song.tracks[window.track]
            counted = (shard.qpms, song.qpm), (shard.programs, str(track.program)), (shard.octaves, str(track.octaves))
            for counts, value in counted:
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


def prepare(
    paths: Sequence[str],
    folder: str,
    music_vae_config: str,
    weights: checkpoints.Weights,
    fingerprint: str,
    transpositions: Sequence[int] = (0,),
    melody_track: str = "auto",
    metre: str = "any",
    workers: Optional[int] = None,
) -> Latents:
    """Returns the latents of the songs in `paths`, encoding only what is not in `folder` already.

    Args:
        paths: Music files.
        folder: Where shards are kept; those of other songs are removed.
        music_vae_config: Name of the MusicVAE config.
        weights: MusicVAE's checkpoint.
        fingerprint: Fingerprint of its encoder.
        transpositions: Semitones that each window is encoded at.
        melody_track: Which tracks of a song are read, as `melody.choose` takes it.
        metre: Which time signatures are read, as `data.WindowConverter` takes it.
        workers: Processes that read songs beside this one; None is one a core where there are many songs, else none.
    """
    made_with = {
        "format": _FORMAT,
        "music_vae": music_vae_config,
        "fingerprint": fingerprint,
        "transpositions": list(transpositions),
        "melody_track": melody_track,
        "metre": metre,
    }
    pieces = [paths[i : i + _FILES_A_SHARD] for i in range(0, len(paths), _FILES_A_SHARD)]
    shards = [os.path.join(folder, "latents-%05d-of-%05d.tfrecord" % (i, len(pieces))) for i in range(len(pieces))]
    made_from = [dict(made_with, files=[[path, examples.fingerprint(path)] for path in piece]) for piece in pieces]
    made = [_made(shard, expected) for shard, expected in zip(shards, made_from)]
    missing = {i: pieces[i] for i in range(len(pieces)) if made[i] is None}
    if missing:
        from lc_music_vae import music_vae, songs

        settings = songs.Settings(music_vae_config, melody_track, metre, tuple(transpositions))
        songs.window_converter(*settings[:3])
        with songs.reading(missing, settings, workers) as converted:
            encoder = music_vae.Encoder(music_vae_config, weights)
            for i, of_shard in itertools.groupby(converted, lambda song: song.shard):
                made[i] = encode_shard(of_shard, shards[i], encoder.encode)
                _check_unchanged(made_from[i]["files"])
                files.write_json(shards[i] + ".json", {"made_from": made_from[i], "made": made[i]})
                if len(pieces) > 1 and not progress.shown():
                    logger.info("encoded %d of %d files", i * _FILES_A_SHARD + len(pieces[i]), len(paths))
            encoder.close()
    _remove_others(folder, shards)
    return Latents(
        shards=tuple(shards),
        num_windows=sum(m.windows for m in made),
        z_size=next((record["mean"].shape[1] for record in read(shards)), 0),
        rows=tuple(Row(*row) for m in made for row in m.rows),
        qpm=float(_commonest([m.qpms for m in made], "120")),
        program=int(_commonest([m.programs for m in made], "0")),
        octaves=int(_commonest([m.octaves for m in made], "0")),
    )


def _made(shard: str, made_from: Dict[str, Any]) -> Optional[Shard]:
    """Returns what is in `shard` if it is there and was made from this."""
    done = files.read_json(shard + ".json")
    return Shard(*done["made"]) if done and done["made_from"] == made_from and os.path.isfile(shard) else None


def _check_unchanged(read: Sequence[Sequence[str]]) -> None:
    """Raises an `InputError` unless the files are what they were before they were read."""
    for path, before in read:
        if examples.fingerprint(path) != before:
            raise InputError("%s changed while it was read; give the same command again" % path)


def _commonest(counts: Sequence[Dict[str, int]], default: str) -> str:
    total: Dict[str, int] = {}
    for one in counts:
        for name, number in one.items():
            total[name] = total.get(name, 0) + number
    return max(sorted(total), key=total.get) if total else default


def _remove_others(folder: str, shards: Sequence[str]) -> None:
    keep = {os.path.basename(shard) for shard in shards}
    for name in os.listdir(folder):
        if name.startswith("latents-") and name.replace(".json", "") not in keep:
            os.remove(os.path.join(folder, name))


def digest(shards: Sequence[str]) -> str:
    """Returns the SHA-256 of what the shards were made from: songs, encoder, transpositions."""
    made_from = [files.read_json(shard + ".json")["made_from"] for shard in shards]
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()


def parse(records: tf.Tensor, z_size: int) -> Dict[str, tf.Tensor]:
    """Parses serialised records [n] for training.

    Returns:
        mean and scale, float32 [n, k, z_size], where k is the largest number of transpositions of a window among
        them; and num_transpositions, int64 [n], how many each one has. The rest is padding.
    """
    sequence = tf.io.FixedLenSequenceFeature([], tf.float32, allow_missing=True)
    count = tf.io.FixedLenFeature([], tf.int64)
    parsed = tf.io.parse_example(records, {"mean": sequence, "scale": sequence, "num_transpositions": count})
    shape = [tf.shape(records)[0], -1, z_size]
    parsed["mean"] = tf.reshape(parsed["mean"], shape)
    parsed["scale"] = tf.reshape(parsed["scale"], shape)
    return parsed


@contextlib.contextmanager
def plainly_named(shards: Sequence[str]) -> Iterator[Tuple[str, ...]]:
    """Yields names for shards that TensorFlow takes; see `plain_paths`."""
    with contextlib.ExitStack() as stack:
        folders = {os.path.dirname(shard) for shard in shards}
        named = {folder: stack.enter_context(plain_paths.named(folder or os.curdir)) for folder in folders}
        yield tuple(os.path.join(named[os.path.dirname(shard)], os.path.basename(shard)) for shard in shards)


def read(shards: Sequence[str]) -> Iterator[Dict[str, Any]]:
    """Yields every record as NumPy arrays, in order: for pictures and measurements, not for training."""
    with plainly_named(shards) as named:
        for record in itertools.chain.from_iterable(map(tf.io.tf_record_iterator, named)):
            feature = tf.train.Example.FromString(record).features.feature
            k = len(feature["transpositions"].int64_list.value)
            yield {
                "mean": np.array(feature["mean"].float_list.value, np.float32).reshape(k, -1),
                "scale": np.array(feature["scale"].float_list.value, np.float32).reshape(k, -1),
                "transpositions": tuple(feature["transpositions"].int64_list.value),
                "song": os.fsdecode(feature["song"].bytes_list.value[0]),
                "track": feature["track"].int64_list.value[0],
                "first_bar": feature["first_bar"].int64_list.value[0],
                "last_bar": feature["last_bar"].int64_list.value[0],
                "repeats": feature["repeats"].int64_list.value[0],
                "notes": np.array(feature["notes"].int64_list.value, np.int64).reshape(-1, 3),
            }


def own_key(shards: Sequence[str], most: int) -> Tuple[np.ndarray, List[Dict[str, Any]]]:
    """Returns the posterior means of the first windows, at most so many, in their own key, and their records.

    The means are float32 [n, z_size].
    """
    records = list(itertools.islice(read(shards), most))
    means = [r["mean"][r["transpositions"].index(0)] for r in records]
    return np.stack(means), records


def write_rows(path: str, rows: Sequence[Row]) -> None:
    """Writes `examples.tsv`: one row a song, used or not."""
    with files.replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as f:
        f.write("\t".join(Row._fields) + "\n")
        for row in rows:
            f.write("\t".join(printable(str(value)) for value in row) + "\n")
