"""Reads music: from paths to NoteSequences.

`find` lists files and looks at their first bytes without TensorFlow. `sources` lists the songs in one file. `load` lets
another process read one such song (see `parsing`). `read` does what `sources` and `load` do.
"""

import glob
import itertools
import os
import re
import struct
import threading
from typing import Iterator, List

from lc_music_vae.errors import InputError, printable
from lc_music_vae.music import tfds
from lc_music_vae.music.source import MAX_FILE_BYTES, UNREADABLE, Song, Source
from lc_music_vae.system import addresses, files, plain_paths, processes

MIDI = (".mid", ".midi", ".kar")
MUSICXML = (".xml", ".musicxml", ".mxl")
ABC = (".abc",)
TFRECORD = (".tfrecord", ".tfrecords")
_ALL = MIDI + MUSICXML + ABC + TFRECORD

# A larger file is not a song, and is not read.
_MAX_MXL_BYTES = 8 << 20
_MAX_RECORD_BYTES = 4 << 20
_MAX_RECORDS_BYTES = 16 << 30  # a million songs
_MAX_ABC_BYTES = 8 << 20
_MAX_TUNES = 10000
_MAX_TUNE_BYTES = 64 << 10
_MAX_HEADER_BYTES = 4 << 10  # the header of a tunebook: it is read again with each tune

# Limits for reading a song: seconds of CPU time, MB of memory, and what each MB of the file adds to both. The notes of
# the longest symphonies are 20 MB of MusicXML, and need 3 s and 250 MB.
_SECONDS, _SECONDS_A_MB = 5, 1
_MEGABYTES, _MEGABYTES_A_MB = 500, 8

_IDLE = 60.0  # seconds without a song, after which the process that reads songs ends
_readers = threading.local()


def find(path: str, flag: str = "--examples_path") -> List[str]:
    """Returns the music files that `path` (a file, a glob, or a folder with its subfolders) stands for, sorted.

    Raises:
        InputError: There are none.
    """
    expanded = os.path.expanduser(path)
    if os.path.isdir(expanded):
        found: List[str] = []
        # A folder that cannot be listed is reported like a file that cannot be read.
        for folder, _, names in os.walk(expanded, onerror=lambda e: found.append(e.filename)):
            found.extend(os.path.join(folder, name) for name in filter(is_named_so, names))
        if not found:
            raise no_music(flag, path)
        return sorted(found)
    found = [expanded] if os.path.isfile(expanded) else sorted(glob.glob(expanded))
    if not found and addresses.is_address(path):
        raise addresses.refused(flag, path)
    if not found:
        raise InputError("%s=%s: no such file or folder; give a music file, a TFRecord or a folder" % (flag, path))
    for file in found:
        # A bad file among several is left out later, when it is read, as in a folder.
        if len(found) == 1 or not file.lower().endswith(_ALL):
            _check_kind(file, flag)
    return found


def is_named_so(name: str) -> bool:
    """Returns whether a file of this name, found in a folder, is taken for music."""
    return name.lower().endswith(_ALL) and not name.startswith(".")


def no_music(flag: str, path: str) -> InputError:
    """Returns the error to raise if a folder has no music."""
    return InputError("%s=%s: no music file in this folder; looked for %s" % (flag, path, " ".join(_ALL)))


def _check_kind(path: str, flag: str) -> None:
    """Refuses an explicitly named file whose first bytes are not those of MIDI, MusicXML, ABC or a TFRecord."""
    try:
        with files.opened(path) as f:
            head, size = f.read(12), os.fstat(f.fileno()).st_size
    except OSError as e:
        raise InputError("%s=%s: %s" % (flag, path, e.strerror)) from None
    if not head:
        raise InputError("%s=%s: the file is empty" % (flag, path))
    if head.startswith(b"MThd") and not path.lower().endswith(TFRECORD):
        return
    if path.lower().endswith(MUSICXML + ABC):
        return
    # A TFRecord starts with the length of its first record; 16 bytes of framing surround each record.
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
        InputError: A song or the file cannot be read; the songs before it are yielded first.
    """
    return map(load, sources(path))


def read_one(path: str) -> Song:
    """Returns the only song in a music file.

    Raises:
        InputError: It cannot be read, or the file holds several songs.
    """
    songs = list(itertools.islice(sources(path), 2))
    if len(songs) != 1:
        raise InputError("%s holds several songs; give a file with one" % path)
    return load(songs[0])


def sources(path: str) -> Iterator[Source]:
    """Yields the songs in a music file before they are read.

    Raises nothing, and yields at least one. If the file is damaged or empty, `load` of the last one says so.
    """
    lower = path.lower()
    try:
        head = _head(path)
        if lower.endswith(ABC):
            yield from _tunes(path)
        elif lower.endswith(MUSICXML):
            yield Source(path, "MusicXML")
        elif lower.endswith(MIDI) or head.startswith(b"MThd"):
            yield Source(path, "MIDI")
        else:
            yield from _records(path)
    except InputError as e:
        yield Source(path, UNREADABLE, str(e))
    except OSError as e:
        yield Source(path, UNREADABLE, "%s: %s" % (path, e.strerror))


def fingerprint(path: str) -> str:
    """Returns the SHA-256 of a music file; "" if nothing would be read from it, for example when it is too large."""
    try:
        _head(path)
        return files.sha256(path)
    except (InputError, OSError):
        return ""


def _head(path: str) -> bytes:
    """Returns the first bytes of a music file.

    Raises:
        InputError: It is larger than any music file, or is read as a TFRecord and cannot be one.
        OSError: It cannot be read, or is not a regular file.
    """
    lower = path.lower()
    with files.opened(path) as f:
        head, size = f.read(12), os.fstat(f.fileno()).st_size
    named = MIDI + MUSICXML + ABC
    if not lower.endswith(named) and not head.startswith(b"MThd"):
        if head == bytes(12):  # a length's checksum is never 0: this is a sparse file, or empty disk blocks
            raise InputError("%s: the TFRecord is cut off or damaged" % path)
        if size > _MAX_RECORDS_BYTES:
            raise InputError(
                "%s: of %d bytes; a TFRecord has at most %d GiB here; split it" % (path, size, _MAX_RECORDS_BYTES >> 30)
            )
        return head
    most = _MAX_MXL_BYTES if lower.endswith(".mxl") else _MAX_ABC_BYTES if lower.endswith(ABC) else MAX_FILE_BYTES
    if size > most:
        raise InputError("%s: of %d bytes; a song has at most %d MiB here; split it" % (path, size, most >> 20))
    return head


def load(source: Source) -> Song:
    """Reads one song, in a process that is ended if it takes too long or uses too much memory.

    Raises:
        InputError: It cannot be read.
    """
    if source.kind == UNREADABLE:
        raise InputError(source.content)
    reader = _reader()
    reader.start()
    from lc_music_vae.music import parsing  # here, because `find` must answer before note_seq is loaded

    try:
        read, why_not = reader.compute(parsing.parse, source, _limits(source))
    except processes.EndedError as e:
        read, why_not = None, source.unreadable(str(e))
    if read is None:
        raise InputError(why_not)
    return Song(printable(source.name), parsing.note_seq.NoteSequence.FromString(read))


def start_reading() -> None:
    """Starts the process that reads songs early, so that it is ready when this process needs it."""
    _reader().start()


def _reader() -> processes.Worker:
    """Returns this thread's reading process; it is not shared with another thread, or after a fork."""
    if getattr(_readers, "owner", None) != os.getpid():
        _readers.owner, _readers.reader = os.getpid(), processes.Worker(["lc_music_vae.music.parsing"], _IDLE)
    return _readers.reader


def _limits(source: Source) -> processes.Limits:
    """Returns the limits for reading a song: higher ones if it is large."""
    try:
        megabytes = (len(source.content) if source.content else os.path.getsize(source.name)) >> 20
    except OSError:
        megabytes = 0  # `parsing` gets the same error, and reports it
    return processes.Limits(_SECONDS + _SECONDS_A_MB * megabytes, _MEGABYTES + _MEGABYTES_A_MB * megabytes)


def _framed(path: str, records: Iterator[bytes]) -> Iterator[bytes]:
    """Yields TensorFlow's records of a TFRecord; checks each length first, as TensorFlow would allocate any length."""
    at = 0
    with files.opened(path) as f:
        size = os.fstat(f.fileno()).st_size
        while at < size:
            f.seek(at)
            head = f.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
            if at + length + 16 > size:
                raise InputError("%s: the TFRecord is cut off or damaged" % path)
            if length > _MAX_RECORD_BYTES:
                raise InputError(
                    "%s: a record of %d bytes; a song has at most %d MiB here" % (path, length, _MAX_RECORD_BYTES >> 20)
                )
            yield next(records)
            at += length + 16


def _note_sequence(path: str, number: int, record: bytes) -> Source:
    """Returns the song in a record of a TFRecord of NoteSequences."""
    return Source("%s#%d" % (path, number), "NoteSequence", record)


def _records(path: str) -> Iterator[Source]:
    """Yields the songs of a TFRecord: NoteSequences, or MIDI files of a data set.

    If it cannot be read further, the last item says why.
    """
    import tensorflow.compat.v1 as tf

    of_record = tfds.source if tfds.is_shard(path) else _note_sequence
    i = -1
    try:
        with plain_paths.named(path) as plain:
            for i, record in enumerate(_framed(path, tf.io.tf_record_iterator(plain))):
                yield of_record(path, i, record)
        if i < 0:
            yield Source(path, UNREADABLE, "%s: the TFRecord is empty" % path)
    except InputError as e:
        yield Source(path, UNREADABLE, str(e))
    except tf.errors.DataLossError:
        yield Source(path, UNREADABLE, "%s: the TFRecord is cut off or damaged" % path)


def _text(path: str) -> str:
    """Returns the content of a text file."""
    with files.opened(path) as f:
        content = f.read()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")  # the encoding of most older tunebooks


def _tunes(path: str) -> Iterator[Source]:
    """Yields the tunes of an ABC tunebook: the blocks between empty lines, each with the file's own header."""
    blocks = [block.strip() for block in re.split(r"\n\s*\n", "\n".join(_text(path).splitlines()))]
    tunes = [block for block in blocks if re.search(r"^\s*[XK]:", block, re.MULTILINE)]  # other blocks are text
    # Only fields belong to the file's own header; that block may also contain text.
    fields = [] if blocks[0] in tunes else re.findall(r"^\s*[A-Za-z]:.*$", blocks[0], re.MULTILINE)
    header = "".join(field + "\n" for field in fields)
    if not tunes:
        raise InputError("%s: no tune in it; in ABC each starts with a line X:" % path)
    if len(tunes) > _MAX_TUNES:
        raise InputError("%s: %d tunes; a tunebook has at most %d here; split it" % (path, len(tunes), _MAX_TUNES))
    if len(header) > _MAX_HEADER_BYTES:
        raise InputError("%s: more than %d kB before its first tune" % (path, _MAX_HEADER_BYTES >> 10))
    for i, tune in enumerate(tunes):
        reference = re.search(r"^\s*X:\s*(\d{1,18})", tune, re.MULTILINE)
        source = Source("%s#%s" % (path, reference.group(1) if reference else i), "ABC", header + tune)
        if len(source.content) > _MAX_TUNE_BYTES:
            why_not = source.unreadable("a tune of more than %d kB" % (_MAX_TUNE_BYTES >> 10))
            source = Source(source.name, UNREADABLE, why_not)
        yield source
