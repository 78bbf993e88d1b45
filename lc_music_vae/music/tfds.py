"""Data sets that TensorFlow Datasets has prepared on this machine, such as the Groove MIDI Dataset.

Only the files are read, `{data_dir}/{name}/{config}/{version}/{name}-{split}.tfrecord-00000-of-00001` and so on: each a
TFRecord of `tf.train.Example`, beside `dataset_info.json`. TensorFlow Datasets itself would load TensorFlow before it
knows that a data set is not there, and may then download it.
"""

import glob
import os
import re
import shlex
import sys
from typing import List

from lc_music_vae.errors import InputError
from lc_music_vae.music.source import UNREADABLE, Source

TRAIN, VALIDATION = "train", "validation"  # the splits that Magenta trains and evaluates on
_FLAG = "--tfds_name"
_NAME = re.compile(r"(?P<data_set>[a-z]\w*(?:/\w[\w.-]*)?)(?::(?P<version>\d+\.\d+\.\d+))?\Z", re.ASCII)
_VERSION = re.compile(r"\d+\.\d+\.\d+\Z")
_SHARD = re.compile(r"-(?P<split>[a-z]\w*)\.tfrecord-\d{5}-of-(?P<total>\d{5})\Z")
_INFO = "dataset_info.json"
_MIDI, _ID = "midi", "id"  # features of a record
_CHUNKS = re.compile(r"(:\d+)+(?=:\d+\Z)")


def find(name: str, split: str) -> str:
    """Returns the glob of a split's files, in the form that `--examples_path` takes.

    Args:
        name: The data set as TensorFlow Datasets names it, `name/config` or `name/config:version`. Without a version,
            the newest one that is there.
        split: `TRAIN` or `VALIDATION`.

    Raises:
        InputError: The data set is not there, or not whole, or has no such split. Nothing is downloaded.
    """
    match = _NAME.match(name) if isinstance(name, str) else None
    if not match:
        raise InputError(
            "%s=%.60s must be a data set as TensorFlow Datasets names it, such as groove/2bar-midionly" % (_FLAG, name)
        )
    data_set, version = match.group("data_set", "version")
    folder = os.path.join(data_dir(), data_set)
    versions = [version] if version else _versions(folder)
    folder = os.path.join(folder, *versions[-1:])
    if not versions or not os.path.isfile(os.path.join(folder, _INFO)):
        raise _missing(name)
    pattern = os.path.join(glob.escape(folder), "%s-%s.tfrecord-*" % (data_set.split("/")[0], split))
    _check_whole(name, split, folder=folder, shards=sorted(filter(_SHARD.search, glob.glob(pattern))))
    return pattern


def data_dir() -> str:
    """Returns the folder that TensorFlow Datasets keeps its data sets in."""
    return os.path.expanduser(os.environ.get("TFDS_DATA_DIR") or os.path.join("~", "tensorflow_datasets"))


def _versions(folder: str) -> List[str]:
    """Returns the versions of a data set that are there, the newest last."""
    found = [name for name in _listed(folder) if _VERSION.match(name)]
    return sorted(found, key=lambda version: [int(number) for number in version.split(".")])


def _listed(folder: str) -> List[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _missing(name: str) -> InputError:
    """Returns the error for a data set that is not there: what is, and the command that gets it."""
    root = data_dir()
    # A data set has configs or not. The folder also holds downloads, thousands of files that are not looked through.
    depths = ("*", "*"), ("*", "*", "*")
    there = [path for depth in depths for path in glob.glob(os.path.join(glob.escape(root), *depth, _INFO))]
    names = sorted({os.path.dirname(os.path.relpath(os.path.dirname(path), root)) for path in there})
    which = ", which has %s" % ", ".join(names) if names else ""
    return InputError(
        "%s=%s: not in %s%s; set TFDS_DATA_DIR to another folder, or download it: "
        "%s -c \"import tensorflow_datasets as tfds; tfds.load('%s', try_gcs=True)\""
        % (_FLAG, name, root, which, shlex.quote(sys.executable), name)
    )


def _check_whole(name: str, split: str, *, folder: str, shards: List[str]) -> None:
    """Raises an `InputError` unless all files of a split are there."""
    if not shards:
        splits = sorted({match.group("split") for match in map(_SHARD.search, _listed(folder)) if match})
        said = "its splits are %s" % ", ".join(splits) if splits else "no TFRecords are there"
        raise InputError("%s=%s: no split called %s in %s; %s" % (_FLAG, name, split, folder, said))
    total = int(shards[0][-5:])
    if len(shards) != total:
        raise InputError(
            "%s=%s: %d of %d files of its split %s are in %s; remove that folder and download the data set again"
            % (_FLAG, name, len(shards), total, split, folder)
        )


def is_shard(path: str) -> bool:
    """Returns whether a TFRecord is a file of a data set: its records are then `tf.train.Example`."""
    return bool(_SHARD.search(path)) and os.path.isfile(os.path.join(os.path.dirname(path), _INFO))


def source(path: str, number: int, record: bytes) -> Source:
    """Returns the song in a record: the MIDI file that is its feature `midi`, under the name that is its feature `id`.

    Args:
        path: The file of the data set.
        number: The number of the record in it, from 0: the song's name if the record has no `id`.
        record: A serialised `tf.train.Example`.
    """
    import tensorflow.compat.v1 as tf
    from google.protobuf import message

    try:
        features = tf.train.Example.FromString(record).features.feature
    except message.DecodeError:
        return Source("%s#%d" % (path, number), UNREADABLE, "%s#%d: no tf.train.Example" % (path, number))
    of_record = features[_ID].bytes_list.value if _ID in features else ()
    name = "%s#%s" % (path, _short(of_record[0].decode("utf-8", "replace")) if of_record else number)
    midi = features[_MIDI].bytes_list.value if _MIDI in features else ()
    if len(midi) != 1:
        known = ", ".join(sorted(features))
        return Source(name, UNREADABLE, "%s: no MIDI file in the record; its features are %s" % (name, known))
    return Source(name, "MIDI", midi[0])


def _short(of_record: str) -> str:
    """Returns a record's id as a song's name.

    The two bars from the fourth bar on of drummer1/session1/7 are called drummer1/session1/7:000:001:002:003 there. And
    a song is shown by what follows the last slash of its path.
    """
    return _CHUNKS.sub("", of_record).replace("/", "-")
