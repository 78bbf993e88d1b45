"""Music files, the ways to damage them, and what reading one comes to."""

import glob
import io
import math
import os
import random
import struct
import time
import zipfile
from typing import Dict, NamedTuple

import tensorflow.compat.v1 as tf
from helpers import EXAMPLE, REPO, melody, tune

from lc_music_vae.errors import InputError, printable
from lc_music_vae.music import examples

NOTE = "<note><pitch><step>%s</step><octave>4</octave></pitch><duration>1</duration><type>quarter</type></note>"
MUSICXML = (
    '<?xml version="1.0"?><score-partwise><part-list><score-part id="P1"><part-name>M</part-name></score-part>'
    '</part-list><part id="P1">%s</part></score-partwise>'
    % "".join(
        '<measure number="%d"><attributes><divisions>1</divisions><time><beats>4</beats><beat-type>4</beat-type></time>'
        "</attributes>%s</measure>" % (i, "".join(NOTE % step for step in steps))
        for i, steps in enumerate(("CDEF", "GFED", "CEGE", "CCCC"), 1)
    )
).encode()
CONTAINER = (
    b'<?xml version="1.0"?><container><rootfiles><rootfile full-path="s.xml" '
    b'media-type="application/vnd.recordare.musicxml+xml"/></rootfiles></container>'
)
ABC = b"X:1\nT:Up and down\nM:4/4\nL:1/4\nQ:1/4=120\nK:G\n|: G A B c | d c B A :|\n|: G2 B2 | [1 d4 :| [2 G4 |]\n"


def zipped(xml: bytes, names=("META-INF/container.xml", "s.xml")) -> bytes:
    """An .mxl of a MusicXML file."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as mxl:
        for name, content in zip(names, (CONTAINER, xml)):
            mxl.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def framed(path: str, *records: bytes) -> bytes:
    """A TFRecord with right checksums, which is also left at `path`."""
    with tf.io.TFRecordWriter(path) as writer:
        for record in records:
            writer.write(record)
    with open(path, "rb") as f:
        return f.read()


def originals() -> Dict[str, bytes]:
    """Whole songs of each kind: {file name: content}. A TFRecord is given by its one record."""
    found = {"a.xml": MUSICXML, "b.mxl": MUSICXML, "c.abc": ABC, "d.tfrecord": melody(tune(5)).SerializeToString()}
    for path in [EXAMPLE] + sorted(glob.glob(os.path.join(REPO, "tests", "oddities", "*.mid"))):
        with open(path, "rb") as f:
            found[os.path.basename(path)] = f.read()
    return found


def damage(content: bytes, rng: random.Random, numbers_alone: bool = False) -> bytes:
    """Changes a few places: bytes, lengths, numbers in text, pieces lost, repeated or moved."""
    damaged = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        at = rng.randrange(len(damaged) + 1)
        size = rng.choice((1, 2, 4, 30, 300))
        digits = [i for i, byte in enumerate(damaged) if 0x30 <= byte <= 0x39]
        kind = 7 if digits and numbers_alone else rng.randrange(8 if digits else 7)
        if kind == 0:
            damaged[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            damaged[at : at + 1] = bytes(byte ^ 1 << rng.randrange(8) for byte in damaged[at : at + 1])
        elif kind == 2:
            damaged[at : at + 4] = rng.choice((b"\xff\xff\xff\x7f", b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff"))
        elif kind == 3:
            del damaged[at : at + size]
        elif kind == 4:
            damaged[at:at] = damaged[at : at + size] * rng.choice((1, 2, 100))
        elif kind == 5:
            other = rng.randrange(len(damaged) + 1)
            damaged[at : at + size] = damaged[other : other + size]
        elif kind == 6:
            damaged[at:at] = bytes(rng.randrange(256) for _ in range(size))
        else:
            number = rng.choice((b"0", b"-1", b"99", b"2147483648", b"1e308", b"999999999999999999999"))
            at = rng.choice(digits)
            damaged[at : at + 1] = number
        if rng.random() < 0.03 and not numbers_alone:
            del damaged[rng.randrange(len(damaged) + 1) :]
    return bytes(damaged)


def damaged_file(name: str, content: bytes, folder: str, rng: random.Random) -> str:
    """Writes a damaged file and returns its path; half the time all is well formed but for what it says."""
    path = os.path.join(folder, name)
    inside = rng.random() < 0.5
    text = name.endswith((".xml", ".mxl", ".abc"))
    damaged = damage(content, rng, numbers_alone=text) if inside else content
    if name.endswith(".mxl"):
        damaged = zipped(damaged)
    if name.endswith(".tfrecord"):
        damaged = framed(path, damaged, content)
    if not inside:
        damaged = damage(damaged, rng)
    with open(path, "wb") as f:
        f.write(damaged)
    return path


class Outcome(NamedTuple):
    """What reading a file came to: windows, or why it was refused; seconds."""

    windows: int
    refused: str
    seconds: float


def outcome(path: str, converter) -> Outcome:
    """Reads a file as a training does. Anything but an `InputError` of one line goes through."""
    started = time.process_time()
    windows, refused = 0, ""
    try:
        for found in examples.find(path):
            for song in examples.read(found):
                windows += len(converter.windows(converter.score(song)))
    except InputError as e:
        refused = str(e)
        if printable(refused) != refused or path not in refused or len(refused) > 1000:
            raise AssertionError("not one line that names the file: %r" % refused) from e
    return Outcome(windows, refused, time.process_time() - started)


def number(value: int) -> bytes:
    """A MIDI number of variable length."""
    digits = [value & 0x7F]
    while value > 0x7F:
        value >>= 7
        digits.insert(0, 0x80 | value & 0x7F)
    return bytes(digits)


def midi(body: bytes, ticks: int = 220) -> bytes:
    """A MIDI file of one track."""
    body += b"\0\xff\x2f\0"
    return b"MThd" + struct.pack(">IHHH", 6, 1, 1, ticks) + b"MTrk" + struct.pack(">I", len(body)) + body


def midi_note(delta: int, pitch: int, length: int) -> bytes:
    """The events of a note, so many ticks after the one before."""
    return number(delta) + bytes([0x90, pitch, 80]) + number(length) + bytes([0x80, pitch, 0])


# What a song is made of, in each notation: a structural fault is a few of these, each far too often.
_MIDI_EVENTS = (
    lambda i: midi_note(1, i % 128, 3),
    lambda i: midi_note(0, 60, 0),
    lambda i: number(i % 3) + bytes([0x90 | i % 16, i % 128, 80]),  # never ended
    lambda i: b"\x30\xff\x58\4%c\2\x18\x08" % (1 + i % 9),
    lambda i: b"\1\xff\x51\3%c\7\7" % (i % 256),
    lambda i: b"\1\xff\x59\2%c\0" % (i % 8),
    lambda i: b"\0\xff\3\3abc",
    lambda i: b"\0%c%c" % (0xC0 | i % 16, i % 128),
    lambda i: b"\0\xe0\1%c" % (i % 128),
    lambda i: b"\0\xb0\x40%c" % (i % 128),
    lambda i: b"\x90\0" + midi_note(0, 60, 9)[1:],
)
_ABC_WORDS = (
    *(
        "C22",
        "C16 ",
        "C/8",
        "/111",
        "[",
        "]",
        "(3",
        ":",
        "|",
        "|:",
        ":|",
        "::",
        "[1",
        '"Am"',
        "!mf!",
        "{",
        "}",
        "'",
        ",",
        "^",
    ),
    *(
        ">",
        "<",
        "z4",
        "-",
        "\\\n",
        "\nM:3/4\n",
        "\nM:4/4\n",
        "\nK:G\n",
        "\nQ:1/4=90\n",
        "\nX:1\n",
        "\n\nX:2\nK:C\n",
        "[K:D]",
    ),
)
_XML_PIECES = (
    NOTE % "C",
    NOTE.replace("<pitch>", "<chord/><pitch>") % "E",
    "<harmony><root><root-step>A</root-step></root><kind>major</kind></harmony>",
    "<attributes><key><fifths>{0}</fifths></key></attributes>",
    "<attributes><time><beats>{1}</beats><beat-type>4</beat-type></time></attributes>",
    "<attributes><transpose><chromatic>{0}</chromatic></transpose></attributes>",
    "<direction><sound tempo='{1}0'/></direction>",
    "<backup><duration>{1}</duration></backup>",
    "<forward><duration>{1}</duration></forward>",
    "</measure><measure number='{1}'>",
    "</measure></part><part id='P1'><measure number='1'>",
    "<note a='{0}' b='{1}' c='{0}'/>",
)
_FIELDS = ("notes", "time_signatures", "key_signatures", "tempos", "instrument_infos", "control_changes", "pitch_bends")
_FIELDS += ("text_annotations", "section_annotations", "section_groups", "part_infos")


def _often(rng: random.Random, most: int) -> int:
    return int(10 ** rng.uniform(0, math.log10(most)))


def _midi_structure(rng: random.Random, most: int) -> bytes:
    tracks = []
    for _ in range(rng.choice((1, 1, 1, 2, 30))):
        chosen = rng.sample(_MIDI_EVENTS, rng.choice((1, 2, 3)))
        count = _often(rng, most)
        alternating = rng.random() < 0.5
        events = [chosen[(i if alternating else i * len(chosen) // count) % len(chosen)](i) for i in range(count)]
        tracks.append(b"".join(events) + midi_note(0, 60, 9))
    return midi(tracks[0], rng.choice((1, 24, 220, 960))) + b"".join(midi(track)[14:] for track in tracks[1:])


def _abc_structure(rng: random.Random, most: int) -> bytes:
    blocks = []
    for _ in range(rng.choice((1, 2, 3, 4))):
        blocks.append("".join(rng.choice(_ABC_WORDS) for _ in range(rng.choice((1, 1, 2, 3)))) * _often(rng, most))
    header = "X:1\nM:4/4\nL:1/8\n" + rng.choice(("", "Q:1/111%s\n" % ("/111" * _often(rng, 99)), "Q:1/4=90\n"))
    return (header + "K:C\nCDEF|" + "".join(blocks) + "|C").encode()


def _xml_structure(rng: random.Random, most: int) -> bytes:
    blocks = []
    for _ in range(rng.choice((1, 2, 3))):
        piece = "".join(rng.choice(_XML_PIECES) for _ in range(rng.choice((1, 2, 3))))
        blocks += [piece.format(i % 7, i % 9 + 1) for i in range(_often(rng, most // 4))]
    if rng.random() < 0.1:
        depth = _often(rng, most)
        blocks.append("<a>" * depth + "</a>" * depth)
    body = "".join(blocks).encode()
    return MUSICXML.replace(b"</attributes>", b"</attributes>" + body, 1)


def _mxl_structure(rng: random.Random, most: int) -> bytes:
    packed = zipped(_xml_structure(rng, most))
    if rng.random() < 0.3:  # its directory lies
        size = packed.rindex(b"PK\1\2") + 24
        packed = packed[:size] + struct.pack("<I", _often(rng, 1 << 31)) + packed[size + 4 :]
    if rng.random() < 0.3:
        packed = zipped(MUSICXML.ljust(_often(rng, 1000 * most)))
    return packed


def _record_structure(rng: random.Random, most: int) -> bytes:
    sequence = melody(tune(3))
    for _ in range(rng.choice((1, 2))):
        field = rng.choice(_FIELDS)
        one = type(sequence)()
        getattr(one, field).add()
        sequence.MergeFromString(one.SerializeToString() * _often(rng, 5 * most))
    return sequence.SerializeToString()


_STRUCTURES = {
    "mid": _midi_structure,
    "abc": _abc_structure,
    "xml": _xml_structure,
    "mxl": _mxl_structure,
    "tfrecord": _record_structure,
}


def structured_file(kind: str, folder: str, rng: random.Random, most: int) -> str:
    """Writes a song in which a few things stand up to `most` times, well formed but for that; returns its path."""
    path = os.path.join(folder, "structure." + kind)
    content = _STRUCTURES[kind](rng, most)
    if kind == "tfrecord":
        framed(path, content, melody(tune(2)).SerializeToString())
    else:
        with open(path, "wb") as f:
            f.write(content)
    return path


def read_all(path: str, converter) -> Outcome:
    """Reads what a file holds up to the places of its windows; seconds are those of this process alone."""
    started = time.process_time()
    windows, refused = 0, ""
    for found in examples.find(path):
        for source in examples.sources(found):
            try:
                score = converter.score(examples.load(source))
            except InputError as e:
                refused = str(e)
                if printable(refused) != refused or path not in refused or len(refused) > 1000:
                    raise AssertionError("not one line that names the file: %r" % refused) from e
                continue
            windows += sum(len(converter.first_bars(track, score)) for track in score.tracks)
    return Outcome(windows, refused, time.process_time() - started)
