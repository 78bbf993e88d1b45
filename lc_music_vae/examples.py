"""Reading music: from paths to NoteSequences.

`find` lists files and looks at their first bytes without TensorFlow; `sources` lists the songs in one of them, `load`
reads one such song, here or in another process, and `read` does both.
"""

import contextlib
import glob
import math
import os
import re
import struct
import warnings
import zipfile
from typing import Any, Iterator, List, NamedTuple, Optional
from xml.parsers import expat

from lc_music_vae import interrupts, midi
from lc_music_vae.errors import InputError, printable

MIDI = (".mid", ".midi", ".kar")
MUSICXML = (".xml", ".musicxml", ".mxl")
ABC = (".abc",)
TFRECORD = (".tfrecord", ".tfrecords")
_ALL = MIDI + MUSICXML + ABC + TFRECORD

# What a song may have at most, so that no file takes more than some seconds and 500 MB to read. The notes of a long
# symphony are fewer, and take 2 MB as MIDI, 3 MB as a NoteSequence and 20 MB as MusicXML.
MOST_NOTES = 50000
_LARGEST_FILE = 32 << 20
_LARGEST_ZIPPED = 8 << 20
_LARGEST_RECORD = 4 << 20
_LARGEST_TUNE = 64 << 10
_MOST_ELEMENTS = 1000000

# Quarters a minute that a song is believed to have, and may be given. Beyond, it is a slip or damage.
LEAST_QPM, MOST_QPM = 10, 1000


class Song(NamedTuple):
    """One NoteSequence and where it is from.

    Attributes:
        name: As `Source.name`, printable.
        note_sequence: A `note_seq.NoteSequence`, times in seconds.
    """

    name: str
    note_sequence: Any


class Source(NamedTuple):
    """A song that is not read yet: small, and fit to be sent to another process.

    Attributes:
        name: The file's path; in a TFRecord followed by `#` and the number of the record, from 0, in an ABC tunebook
            by `#` and the tune's reference number (its `X:`).
        kind: Which of `_READERS` reads it.
        content: The record's bytes or the tune's text; None if that is the file, and the reason if it is unreadable.
    """

    name: str
    kind: str
    content: Any = None


def find(path: str, flag: str = "--examples_path") -> List[str]:
    """Returns the music files that `path` (a file, a glob, or a folder and all below it) means, sorted.

    Raises:
        InputError: There are none.
    """
    expanded = os.path.expanduser(path)
    if os.path.isdir(expanded):
        found = [os.path.join(folder, name) for folder, _, names in os.walk(expanded) for name in names]
        found = sorted(f for f in found if f.lower().endswith(_ALL) and not os.path.basename(f).startswith("."))
        if not found:
            raise InputError("%s=%s: no music file in this folder; looked for %s" % (flag, path, " ".join(_ALL)))
        return found
    found = [expanded] if os.path.isfile(expanded) else sorted(glob.glob(expanded))
    if not found:
        raise InputError("%s=%s: no such file or folder; give a music file, a TFRecord or a folder" % (flag, path))
    for file in found:
        _check_kind(file, flag)
    return found


def _check_kind(path: str, flag: str) -> None:
    """Refuses what was named explicitly and is neither MIDI, MusicXML, ABC nor a TFRecord, by its first bytes."""
    with open(path, "rb") as f:
        head = f.read(12)
    size = os.path.getsize(path)
    if not head:
        raise InputError("%s=%s: the file is empty" % (flag, path))
    if head.startswith(b"MThd") and not path.lower().endswith(TFRECORD):
        return
    if path.lower().endswith(MUSICXML + ABC):
        return
    # A TFRecord starts with the length of its first record, which 16 bytes of framing surround.
    length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else size
    if length + 16 > size:
        looks = "MIDI" if head.startswith(b"MThd") else "neither MIDI, MusicXML, ABC nor a whole TFRecord"
        raise InputError(
            "%s=%s: the file looks like %s; give a .mid, .xml, .mxl, .abc or .tfrecord file named as what it is"
            % (flag, path, looks)
        )


def read(path: str) -> Iterator[Song]:
    """Yields the songs in a music file, one after another.

    Raises:
        InputError: One cannot be read, or the file cannot; songs before it are yielded first.
    """
    return map(load, sources(path))


def sources(path: str) -> Iterator[Source]:
    """Yields the songs in a music file before they are read.

    Raises nothing, and yields at least one: where the file is damaged or empty, `load` of the last one says so.
    """
    lower = path.lower()
    try:
        if not lower.endswith(TFRECORD):
            _check_size(path, _LARGEST_ZIPPED if lower.endswith(".mxl") else _LARGEST_FILE)
        if lower.endswith(ABC):
            yield from _tunes(path)
        elif lower.endswith(MUSICXML):
            yield Source(path, "MusicXML")
        elif lower.endswith(MIDI) or _starts_as_midi(path):
            yield Source(path, "MIDI")
        else:
            yield from _records(path)
    except InputError as e:
        yield Source(path, "unreadable", str(e))
    except OSError as e:
        yield Source(path, "unreadable", "%s: %s" % (path, e.strerror))


def load(source: Source) -> Song:
    """Reads one song.

    Raises:
        InputError: It cannot be read.
    """
    refusal: Optional[InputError] = None
    # What note_seq reads with may take Ctrl-C for damage in the song: it comes afterwards, whatever became of that.
    with interrupts.postponed(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pretty_midi warns of tempo events outside the first track
        try:
            return Song(printable(source.name), check_notes(_READERS[source.kind](source)))
        except InputError as e:
            refusal = e
        # note_seq lets whatever a damaged file provokes through: KeyError, IndexError, zlib errors ...
        except Exception as e:
            lines = str(e).strip().splitlines() or [type(e).__name__]
            refusal = InputError("%s: not readable as %s (%s)" % (source.name, source.kind, lines[0][:200]))
            refusal.__cause__ = e
    raise refusal


def _starts_as_midi(path: str) -> bool:
    with open(path, "rb") as f:
        return f.read(4) == b"MThd"


def _midi(source: Source) -> Any:
    import note_seq  # here, because `find` must answer before it is loaded

    with open(source.name, "rb") as f:
        note_sequence = note_seq.midi_to_note_sequence(midi.put_right(f.read()))
    for info in note_sequence.instrument_infos:
        with contextlib.suppress(UnicodeError):  # mido takes names for Latin-1; often they are UTF-8
            info.name = info.name.encode("latin-1").decode("utf-8")
    return note_sequence


def _musicxml(source: Source) -> Any:
    import note_seq

    _check_xml(source.name)
    return note_seq.musicxml_file_to_sequence_proto(source.name)


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
        if left < 0:
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


def _records(path: str) -> Iterator[Source]:
    import tensorflow.compat.v1 as tf

    i = -1
    try:
        for i, record in enumerate(_framed(path, tf.io.tf_record_iterator(path))):
            yield Source("%s#%d" % (path, i), "NoteSequence", record)
        if i < 0:
            yield Source(path, "unreadable", "%s: the TFRecord is empty" % path)
    except InputError as e:
        yield Source(path, "unreadable", str(e))
    except tf.errors.DataLossError:
        yield Source(path, "unreadable", "%s: the TFRecord is cut off or damaged" % path)


def _record(source: Source) -> Any:
    import note_seq
    from google.protobuf import message

    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            note_sequence = note_seq.NoteSequence.FromString(source.content)
        if said:  # protobuf only warns of a record that goes on after its end
            raise message.DecodeError
        return note_sequence
    except message.DecodeError:
        raise InputError("%s: the record is not a NoteSequence" % source.name) from None


def _tunes(path: str) -> Iterator[Source]:
    """Yields the tunes of an ABC tunebook: what is between empty lines, under the file's own header."""
    with open(path, "rb") as f:
        content = f.read()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")  # as most older tunebooks are
    blocks = [block.strip() for block in re.split(r"\n\s*\n", "\n".join(text.splitlines()))]
    tunes = [block for block in blocks if re.search(r"^\s*[XK]:", block, re.MULTILINE)]  # others are text between them
    # The file's own header is fields alone; words may stand there, too.
    fields = [] if blocks[0] in tunes else re.findall(r"^\s*[A-Za-z]:.*$", blocks[0], re.MULTILINE)
    header = "".join(field + "\n" for field in fields)
    for i, tune in enumerate(tunes):
        reference = re.search(r"^\s*X:\s*(\d+)", tune, re.MULTILINE)
        yield Source("%s#%s" % (path, reference.group(1) if reference else i), "ABC", header + tune)
    if not tunes:
        yield Source(path, "unreadable", "%s: no tune in it; in ABC each starts with a line X:" % path)


def _abc(source: Source) -> Any:
    from note_seq import abc_parser, sequences_lib

    if len(source.content) > _LARGEST_TUNE:
        raise ValueError("a tune of more than %d kB" % (_LARGEST_TUNE >> 10))
    tune = abc_parser.ABCTune(source.content.splitlines()).note_sequence
    played = sequences_lib.expand_section_groups(tune)
    _complete_first_bar(played, _first_bar(source.content))
    return played


def _first_bar(tune: str) -> float:
    """Returns the seconds that the first bar of an ABC tune takes; 0 if that is not clear."""
    from note_seq import abc_parser

    lines = [re.sub("%.*", "", line).strip() for line in tune.splitlines()]
    music = next((i for i, line in enumerate(lines) if line and not re.match(r"[A-Za-z]:", line)), len(lines))
    bar = re.match(r"[\s|:\]]*([^|:]*)", re.sub(r'"[^"]*"', "", "\n".join(lines[music:]))).group(1)
    try:
        return abc_parser.ABCTune(lines[:music] + [bar]).note_sequence.total_time
    except abc_parser.ABCParseError:
        return 0.0


def _complete_first_bar(sequence: Any, first_bar: float) -> None:
    """Moves a tune that starts with an upbeat to where the upbeat ends a bar: ABC's bars start after it."""
    if not sequence.time_signatures:
        return
    metre = sequence.time_signatures[0]
    qpm = sequence.tempos[0].qpm if sequence.tempos else 120
    bar = 4 * metre.numerator / metre.denominator * 60 / qpm
    if not 0 < first_bar < bar - 1e-6:
        return
    rest = bar - first_bar
    for note in sequence.notes:
        note.start_time += rest
        note.end_time += rest
    sequence.total_time += rest
    for changes in (sequence.time_signatures, sequence.key_signatures, sequence.tempos, sequence.text_annotations):
        for change in changes:
            if change.time:
                change.time += rest


def _unreadable(source: Source) -> Any:
    raise InputError(source.content)


_READERS = {"MIDI": _midi, "MusicXML": _musicxml, "NoteSequence": _record, "ABC": _abc, "unreadable": _unreadable}
