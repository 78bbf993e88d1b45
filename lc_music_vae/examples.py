"""Reading music: from paths to NoteSequences.

`find` lists files and looks at their first bytes without TensorFlow; `read` yields what is in one of them.
"""

import contextlib
import glob
import os
import struct
import warnings
from typing import Any, Iterator, List, NamedTuple

from lc_music_vae import midi
from lc_music_vae.errors import InputError

MIDI = (".mid", ".midi", ".kar")
MUSICXML = (".xml", ".musicxml", ".mxl")
TFRECORD = (".tfrecord", ".tfrecords")


class Song(NamedTuple):
    """One NoteSequence and where it is from.

    Attributes:
        name: The file's path; in a TFRecord followed by `#` and the number of the record, from 0.
        note_sequence: A `note_seq.NoteSequence`, times in seconds.
    """

    name: str
    note_sequence: Any


def _is_music(path: str) -> bool:
    return path.lower().endswith(MIDI + MUSICXML + TFRECORD)


def find(path: str, flag: str = "--examples_path") -> List[str]:
    """Returns the music files that `path` (a file, a glob, or a folder and all below it) means, sorted.

    Raises:
        InputError: There are none.
    """
    expanded = os.path.expanduser(path)
    if os.path.isdir(expanded):
        found = [os.path.join(folder, name) for folder, _, names in os.walk(expanded) for name in names]
        found = sorted(f for f in found if _is_music(f) and not os.path.basename(f).startswith("."))
        if not found:
            raise InputError(
                "%s=%s: no music file in this folder; looked for %s"
                % (flag, path, " ".join(MIDI + MUSICXML + TFRECORD))
            )
        return found
    found = [expanded] if os.path.isfile(expanded) else sorted(glob.glob(expanded))
    if not found:
        raise InputError("%s=%s: no such file or folder; give a music file, a TFRecord or a folder" % (flag, path))
    for file in found:
        _check_kind(file, flag)
    return found


def _check_kind(path: str, flag: str) -> None:
    """Refuses what was named explicitly and is neither MIDI, MusicXML nor a TFRecord, by its first bytes."""
    with open(path, "rb") as f:
        head = f.read(12)
    size = os.path.getsize(path)
    if not head:
        raise InputError("%s=%s: the file is empty" % (flag, path))
    if head.startswith(b"MThd") and not path.lower().endswith(TFRECORD):
        return
    if path.lower().endswith(MUSICXML):
        return
    # A TFRecord starts with the length of its first record, which 16 bytes of framing surround.
    length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else size
    if length + 16 > size:
        looks = "MIDI" if head.startswith(b"MThd") else "neither MIDI, MusicXML nor a whole TFRecord"
        raise InputError(
            "%s=%s: the file looks like %s; give a .mid, .xml, .mxl or .tfrecord file named as what it is"
            % (flag, path, looks)
        )


def read(path: str) -> Iterator[Song]:
    """Yields the songs in a music file, one after another.

    Raises:
        InputError: The file cannot be read. In a TFRecord, songs before the damage are yielded first.
    """
    lower = path.lower()
    if lower.endswith(MIDI + MUSICXML):
        yield Song(path, _read_one(path, lower.endswith(MIDI)))
        return
    with open(path, "rb") as f:
        is_midi = f.read(4) == b"MThd"
    if is_midi:
        yield Song(path, _read_one(path, True))
        return
    yield from _read_tfrecord(path)


def _read_one(path: str, is_midi: bool) -> Any:
    import note_seq  # here, because `find` must answer before it is loaded

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pretty_midi warns of tempo events outside the first track
            if is_midi:
                with open(path, "rb") as f:
                    return _with_names(note_seq.midi_to_note_sequence(midi.put_right(f.read())))
            return note_seq.musicxml_file_to_sequence_proto(path)
    # note_seq lets whatever a damaged file provokes through: KeyError, IndexError, zlib errors ...
    except Exception as e:
        lines = str(e).strip().splitlines() or [type(e).__name__]
        raise InputError("%s: not readable as %s (%s)" % (path, "MIDI" if is_midi else "MusicXML", lines[0])) from e


def _with_names(note_sequence: Any) -> Any:
    """Returns it with names in UTF-8, all of which mido takes for Latin-1, as what they say."""
    for info in note_sequence.instrument_infos:
        with contextlib.suppress(UnicodeError):  # Latin-1 it is
            info.name = info.name.encode("latin-1").decode("utf-8")
    return note_sequence


def _read_tfrecord(path: str) -> Iterator[Song]:
    import note_seq
    import tensorflow.compat.v1 as tf
    from google.protobuf import message

    try:
        for i, record in enumerate(tf.io.tf_record_iterator(path)):
            yield Song("%s#%d" % (path, i), note_seq.NoteSequence.FromString(record))
    except tf.errors.DataLossError:
        raise InputError("%s: the TFRecord is cut off or damaged" % path) from None
    except message.DecodeError:
        raise InputError("%s: its records are not NoteSequences" % path) from None
