"""Reading music: from paths to NoteSequences.

`find` lists files and looks at their first bytes without TensorFlow; `read` yields what is in one of them.
"""

import contextlib
import glob
import math
import os
import struct
import warnings
import zipfile
from typing import Any, Iterator, List, NamedTuple
from xml.parsers import expat

from lc_music_vae import midi
from lc_music_vae.errors import InputError, printable

MIDI = (".mid", ".midi", ".kar")
MUSICXML = (".xml", ".musicxml", ".mxl")
TFRECORD = (".tfrecord", ".tfrecords")

# What a song may have at most, so that no file takes more than some seconds and 500 MB to read. The notes of a long
# symphony are fewer, and take 2 MB as MIDI, 3 MB as a NoteSequence and 20 MB as MusicXML.
MOST_NOTES = 50000
_LARGEST_FILE = 32 << 20
_LARGEST_ZIPPED = 8 << 20
_LARGEST_RECORD = 4 << 20
_MOST_ELEMENTS = 1000000


class Song(NamedTuple):
    """One NoteSequence and where it is from.

    Attributes:
        name: The file's path, printable; in a TFRecord followed by `#` and the number of the record, from 0.
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
    if not lower.endswith(TFRECORD):
        _check_size(path, _LARGEST_ZIPPED if lower.endswith(".mxl") else _LARGEST_FILE)
    if lower.endswith(MIDI + MUSICXML):
        yield Song(printable(path), _read_one(path, lower.endswith(MIDI)))
        return
    with open(path, "rb") as f:
        is_midi = f.read(4) == b"MThd"
    if is_midi:
        yield Song(printable(path), _read_one(path, True))
        return
    yield from _read_tfrecord(path)


def _read_one(path: str, is_midi: bool) -> Any:
    import note_seq  # here, because `find` must answer before it is loaded

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pretty_midi warns of tempo events outside the first track
            if is_midi:
                with open(path, "rb") as f:
                    return check_notes(_with_names(note_seq.midi_to_note_sequence(midi.put_right(f.read()))))
            _check_xml(path)
            return check_notes(note_seq.musicxml_file_to_sequence_proto(path))
    # note_seq lets whatever a damaged file provokes through: KeyError, IndexError, zlib errors ...
    except Exception as e:
        lines = str(e).strip().splitlines() or [type(e).__name__]
        raise InputError(
            "%s: not readable as %s (%s)" % (path, "MIDI" if is_midi else "MusicXML", lines[0][:200])
        ) from e


def _with_names(note_sequence: Any) -> Any:
    """Returns it with names in UTF-8, all of which mido takes for Latin-1, as what they say."""
    for info in note_sequence.instrument_infos:
        with contextlib.suppress(UnicodeError):  # Latin-1 it is
            info.name = info.name.encode("latin-1").decode("utf-8")
    return note_sequence


def _check_size(path: str, most: int) -> None:
    size = os.path.getsize(path)
    if size > most:
        raise InputError("%s: of %d bytes; a song has at most %d MiB here; split it" % (path, size, most >> 20))


def _check_xml(path: str) -> None:
    """Raises a `ValueError` if a MusicXML file, zipped or not, would unfold to more than a song."""
    if not path.lower().endswith(".mxl"):
        with open(path, "rb") as f:
            _check_elements(f.read())
        return
    with zipfile.ZipFile(path) as zipped:
        members = zipped.infolist()
        if sum(member.file_size for member in members) > _LARGEST_FILE:
            raise ValueError("it unpacks to more than %d MiB" % (_LARGEST_FILE >> 20))
        for member in members:
            _check_elements(zipped.read(member))


def _check_elements(xml: bytes) -> None:
    left = _MOST_ELEMENTS

    def count(*unused):
        nonlocal left
        left -= 1
        if not left:
            raise ValueError("it has more than %d elements" % _MOST_ELEMENTS)

    def refuse(*unused):
        raise ValueError("it declares entities, which no MusicXML needs")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EntityDeclHandler = count, refuse
    with contextlib.suppress(expat.ExpatError):  # note_seq finds the same, and says what it is
        parser.Parse(xml, True)


def check_notes(note_sequence: Any) -> Any:
    """Returns a NoteSequence.

    Raises:
        ValueError: Its notes are too many, or not of this world.
    """
    notes = note_sequence.notes
    if len(notes) > MOST_NOTES:
        raise ValueError("%d notes; a song has at most %d here; split it" % (len(notes), MOST_NOTES))
    for i, note in enumerate(notes):
        if not (math.isfinite(note.start_time) and math.isfinite(note.end_time)):
            raise ValueError("note %d is from %s to %s seconds" % (i, note.start_time, note.end_time))
        for what in ("pitch", "velocity", "program"):
            if not 0 <= getattr(note, what) <= 127:
                raise ValueError("note %d has %s %d, not 0 to 127" % (i, what, getattr(note, what)))
    return note_sequence


def _read_tfrecord(path: str) -> Iterator[Song]:
    import tensorflow.compat.v1 as tf
    from google.protobuf import message

    try:
        for i, record in enumerate(_framed(path, tf.io.tf_record_iterator(path))):
            name = printable("%s#%d" % (path, i))
            try:
                yield Song(name, check_notes(_parsed(record)))
            except message.DecodeError:
                raise InputError("%s: its records are not NoteSequences" % path) from None
            except ValueError as e:
                raise InputError("%s: %s" % (name, e)) from None
    except tf.errors.DataLossError:
        raise InputError("%s: the TFRecord is cut off or damaged" % path) from None


def _parsed(record: bytes) -> Any:
    import note_seq
    from google.protobuf import message

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        note_sequence = note_seq.NoteSequence.FromString(record)
    if said:  # protobuf only warns of a record that goes on after its end
        raise message.DecodeError
    return note_sequence


def _framed(path: str, records: Iterator[bytes]) -> Iterator[bytes]:
    """Yields TensorFlow's records of a TFRecord; it would allocate whatever length a record says it has."""
    size, at = os.path.getsize(path), 0
    with open(path, "rb") as f:
        while at < size:
            f.seek(at)
            head = f.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
            if at + length + 16 > size:
                raise InputError("%s: the TFRecord is cut off or damaged" % path)
            if length > _LARGEST_RECORD:
                raise InputError(
                    "%s: a record of %d bytes; a NoteSequence has at most %d MiB here"
                    % (path, length, _LARGEST_RECORD >> 20)
                )
            yield next(records)
            at += length + 16
