"""Parses a file's bytes into a NoteSequence with note_seq: this is the work of the process that reads songs.

The code here may only run in a process that can be ended: see `processes`. It needs neither TensorFlow nor magenta.
"""

import contextlib
import math
import os
import re
import tempfile
import warnings
import zipfile
from typing import Any, Optional, Tuple
from xml.parsers import expat

import note_seq
from google.protobuf import message
from note_seq import abc_parser, sequences_lib

from lc_music_vae.errors import InputError
from lc_music_vae.music import midi, tempo
from lc_music_vae.music.source import MAX_FILE_BYTES, Source
from lc_music_vae.system import files

# The most that a song may have. A long symphony has fewer notes, which are 2 MB as MIDI, 3 MB as a NoteSequence and
# 20 MB as MusicXML.
MAX_NOTES = 50000
_MAX_CHANGES = 50000  # of each kind: time signatures, keys, tempos ...
_MAX_ELEMENTS = 1000000
_SUSTAIN = 64  # the pedal's controller number


def parse(source: Source) -> Tuple[Optional[bytes], str]:
    """Reads one song.

    Returns:
        The song as a serialised NoteSequence with only what is used of it, and ""; or None, and why it cannot be read.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pretty_midi warns of tempo events outside the first track
            read = _READERS[source.kind](source)
            return tempo.believe(check_notes(_used(read))).SerializeToString(), ""
    except InputError as e:
        return None, str(e)
    # note_seq does not catch the errors that a damaged file causes: KeyError, IndexError, zlib errors ...
    except Exception as e:
        _raise_memory_error(e)
        lines = str(e).strip().splitlines() or [type(e).__name__]
        return None, source.unreadable(lines[0][:200])


def _raise_memory_error(error: Optional[BaseException]) -> None:
    """Raises the `MemoryError` that caused another error: note_seq treats it as damage in the file."""
    while error is not None:
        if isinstance(error, MemoryError):
            raise error
        error = error.__cause__ or error.__context__


def _used(read: Any) -> Any:
    """Returns a NoteSequence with only what is used of a song.

    Raises:
        ValueError: It has more of something than a song may have.
    """
    kinds = {"time_signatures": "time signatures", "key_signatures": "keys", "tempos": "tempos"}
    kinds["instrument_infos"] = "names of instruments"
    for kind, said in kinds.items():
        if len(getattr(read, kind)) > _MAX_CHANGES:
            raise ValueError("%d %s; a song has at most %d here" % (len(getattr(read, kind)), said, _MAX_CHANGES))
    if len(read.notes) > MAX_NOTES:
        raise ValueError("%d notes; a song has at most %d here; split it" % (len(read.notes), MAX_NOTES))
    used = note_seq.NoteSequence(ticks_per_quarter=read.ticks_per_quarter, total_time=read.total_time)
    for kind in ["notes"] + list(kinds):
        getattr(used, kind).MergeFrom(getattr(read, kind))
    used.control_changes.extend(c for c in read.control_changes if c.control_number == _SUSTAIN)
    chords = [a for a in read.text_annotations if a.annotation_type == a.CHORD_SYMBOL and math.isfinite(a.time)]
    used.text_annotations.extend(chords[:_MAX_CHANGES])
    for single in ("sequence_metadata", "source_info"):
        if read.HasField(single):
            getattr(used, single).CopyFrom(getattr(read, single))
    return used


def check_notes(note_sequence: Any) -> Any:
    """Checks the notes of a NoteSequence, and returns it.

    Raises:
        ValueError: The times of a note are not finite, or its pitch, velocity or program is not in 0 to 127.
    """
    for i, note in enumerate(note_sequence.notes):
        if not (math.isfinite(note.start_time) and math.isfinite(note.end_time)):
            raise ValueError("note %d is from %s to %s seconds" % (i, note.start_time, note.end_time))
        for what in ("pitch", "velocity", "program"):
            if not 0 <= getattr(note, what) <= 127:
                raise ValueError("note %d has %s %d, not 0 to 127" % (i, what, getattr(note, what)))
    return note_sequence


def _midi(source: Source) -> Any:
    """Returns the NoteSequence of a MIDI file, or of one in a record of a data set, repaired."""
    note_sequence = note_seq.midi_to_note_sequence(midi.put_right(_content(source)))
    for info in note_sequence.instrument_infos:
        with contextlib.suppress(UnicodeError):  # mido decodes names as Latin-1, but they are often UTF-8
            info.name = info.name.encode("latin-1").decode("utf-8")
    return note_sequence


def _content(source: Source) -> bytes:
    if source.content is not None:
        return source.content
    with files.opened(source.name) as f:
        return f.read()


def _musicxml(source: Source) -> Any:
    """Returns the NoteSequence of a MusicXML file, zipped or not."""
    if source.name.lower().endswith(".mxl"):
        with tempfile.TemporaryDirectory() as folder:
            return note_seq.musicxml_file_to_sequence_proto(_zipped_anew(source.name, folder))
    with files.opened(source.name) as f:
        _check_elements(f.read())
    return note_seq.musicxml_file_to_sequence_proto(source.name)


def _zipped_anew(path: str, folder: str) -> str:
    """Copies a zipped MusicXML file to a folder, with a correct zip directory, and returns the path of the copy.

    note_seq would trust the file's own directory, unpack any amount of data, and not recognise `.MXL` as zipped.
    """
    copy = os.path.join(folder, "song.mxl")
    left = MAX_FILE_BYTES
    with files.opened(path) as f, zipfile.ZipFile(f) as zipped, zipfile.ZipFile(copy, "w") as anew:
        for member in zipped.infolist():
            with zipped.open(member) as unpacked:
                content = unpacked.read(left + 1)
            left -= len(content)
            if left < 0:
                raise ValueError("it unpacks to more than %d MiB" % (MAX_FILE_BYTES >> 20))
            _check_elements(content)
            anew.writestr(zipfile.ZipInfo(member.filename), content)
    return copy


def _check_elements(xml: bytes) -> None:
    """Raises a `ValueError` if MusicXML is larger than any song, or would expand when it is read."""
    left = _MAX_ELEMENTS

    def count(name, attributes):
        nonlocal left
        left -= 1 + len(attributes)
        if left < 0:
            raise ValueError("it has more than %d elements and attributes" % _MAX_ELEMENTS)

    def refuse(*unused):
        raise ValueError("it declares entities, which no MusicXML needs")

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EntityDeclHandler = count, refuse
    with contextlib.suppress(expat.ExpatError):  # note_seq gets the same error, and reports it
        parser.Parse(xml, True)


def _record(source: Source) -> Any:
    """Returns the NoteSequence in a record of a TFRecord."""
    try:
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            note_sequence = note_seq.NoteSequence.FromString(source.content)
        if said:  # protobuf only warns about a record with data after its end
            raise message.DecodeError
        return note_sequence
    except message.DecodeError:
        raise InputError("%s: the record is not a NoteSequence" % source.name) from None


def _abc(source: Source) -> Any:
    """Returns the NoteSequence of a tune, with its repeats, and with its upbeat moved to the end of a bar."""
    tune = abc_parser.ABCTune(source.content.splitlines()).note_sequence
    played = sequences_lib.expand_section_groups(tune)
    _complete_first_bar(played, _first_bar(source.content))
    return played


def _first_bar(tune: str) -> float:
    """Returns the length of the first bar of an ABC tune in seconds; 0 if it is not clear."""
    lines = [re.sub("%.*", "", line).strip() for line in tune.splitlines()]
    music = next((i for i, line in enumerate(lines) if line and not re.match(r"[A-Za-z]:", line)), len(lines))
    bar = next(re.finditer(r"[\s|:\]]*([^|:]*)", re.sub(r'"[^"]*"', "", "\n".join(lines[music:])))).group(1)
    try:
        return abc_parser.ABCTune(lines[:music] + [bar]).note_sequence.total_time
    except abc_parser.ABCParseError:
        return 0.0


def _complete_first_bar(sequence: Any, first_bar: float) -> None:
    """Moves a tune that starts with an upbeat so that the upbeat ends a bar: in ABC, bars start after the upbeat."""
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


_READERS = {"MIDI": _midi, "MusicXML": _musicxml, "NoteSequence": _record, "ABC": _abc}
