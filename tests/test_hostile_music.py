"""Music from strangers: damaged, absurd, or made to hurt. All of it is read or refused in one line, and soon."""

import os
import random
import re
import resource
import struct

import note_seq
import numpy as np
import pytest
from damaged_music import (
    MUSICXML,
    damaged_file,
    framed,
    midi,
    midi_note,
    number,
    originals,
    outcome,
    zipped,
)
from helpers import EXAMPLE, melody, tune, write_midi
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import lc_music_vae
from lc_music_vae import data
from lc_music_vae.errors import InputError, printable
from lc_music_vae.music import examples, parsing
from lc_music_vae.music.examples import Song

pytestmark = pytest.mark.faults("damaged and absurd music")
REPEATABLE = settings(
    max_examples=60, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
)
LAUGHS = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "ha">%s]><score-partwise>&z;</score-partwise>' % b"".join(
    b'<!ENTITY %c "%s">' % (c, b"&%c;" % (c - 1) * 10) for c in range(ord("b"), ord("z") + 1)
)
EXTERNAL = (
    b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><score-partwise>&e;</score-partwise>'
)


@pytest.fixture(scope="module")
def converter():
    return data.WindowConverter("cat-mel_2bar_small")


def megabytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def record(**changes):
    sequence = melody(tune(5))
    for name, value in changes.items():
        setattr(sequence.notes[3], name, value)
    return sequence.SerializeToString()


ABSURD = {
    "an event at tick 2^28": (
        "mid",
        lambda: midi(midi_note(0, 60, 9) + midi_note((1 << 28) - 1, 60, 9)),
        "at tick 268435464; a song has at most 20000000",
    ),
    "a million notes": (
        "mid",
        lambda: midi(b"".join(midi_note(0, 40 + i % 50, 9) for i in range(1000000))),
        "more than 300000 events",
    ),
    "more notes than a song has": (
        "mid",
        lambda: midi(b"".join(midi_note(0, 40 + i % 50, 9) for i in range(60000))),
        "60000 notes; a song has at most 50000",
    ),
    "notes without length, all at once": (
        "mid",
        lambda: midi(midi_note(0, 60, 0) * 20000 + midi_note(0, 60, 900)),
        None,
    ),
    "one note that begins again and again": (
        "mid",
        lambda: midi(b"\1\x90\x3c\x50" * 40000 + midi_note(0, 60, 9)),
        None,
    ),
    "a long note": ("mid", lambda: midi(midi_note(0, 60, 19000000), 1), "4750000 bars; a song has at most 5000"),
    "a long note, but no longer than a song": ("mid", lambda: midi(midi_note(0, 60, 19990), 1), ""),
    "a gap of two million bars": (
        "mid",
        lambda: midi(midi_note(0, 60, 1) + midi_note(9000000, 60, 1), 1),
        "a song has at most 5000",
    ),
    "a number without an end": ("mid", lambda: midi(b"\xff" * 1000000), "a number without an end"),
    "a million tracks": (
        "mid",
        lambda: b"MThd" + struct.pack(">IHHH", 6, 1, 1, 220) + (b"MTrk" + bytes(4)) * 1000000,
        "more than 1000 tracks",
    ),
    "no ticks": ("mid", lambda: midi(midi_note(0, 60, 9), 0), "not readable as MIDI"),
    "40 MB": ("mid", lambda: b"MThd" + bytes(40 << 20), "a song has at most 32 MiB"),
    "a tempo each tick": ("mid", lambda: midi(b"\1\xff\x51\3\0\0\1" * 60000 + midi_note(0, 60, 9)), None),
    "a metre each tick": (
        "mid",
        lambda: midi(b"".join(b"\1\xff\x58\4%c\2\x18\x08" % (1 + i % 9) for i in range(50000)) + midi_note(0, 60, 9)),
        None,
    ),
    "a billion laughs": ("xml", lambda: LAUGHS, "it declares entities"),
    "a billion laughs, zipped": ("mxl", lambda: zipped(LAUGHS), "it declares entities"),
    "a file of ours as an entity": ("xml", lambda: EXTERNAL, "it declares entities"),
    "too many elements": (
        "xml",
        lambda: b"<a>" + b"<b/>" * 3000000 + b"</a>",
        "more than 1000000 elements and attributes",
    ),
    "too deep": ("xml", lambda: b"<a>" * 200000, "not readable as MusicXML"),
    "too deep, whole": ("xml", lambda: b"<a>" * 200000 + b"</a>" * 200000, None),
    "a zip bomb": ("mxl", lambda: zipped(bytes(40 << 20)), "unpacks to more than 32 MiB"),
    "2 billion beats": (
        "xml",
        lambda: MUSICXML.replace(b"<duration>1<", b"<duration>2000000000<"),
        "a song has at most 5000",
    ),
    "no divisions": ("xml", lambda: MUSICXML.replace(b"<divisions>1<", b"<divisions>0<"), "not readable as MusicXML"),
    "a bar of 2 billion beats": ("xml", lambda: MUSICXML.replace(b"<beats>4<", b"<beats>2000000000<"), None),
    "a record that is as long as the disk": (
        "tfrecord",
        lambda: struct.pack("<QI", 1 << 60, 0) + bytes(99),
        "neither MIDI, .*nor a whole TFRecord",
    ),
    "a large record": ("tfrecord", lambda: struct.pack("<QI", 9 << 20, 0) + bytes(10 << 20), "at most 4 MiB"),
    "a time that is no number": ("tfrecord", lambda: record(start_time=np.nan), "note 3 is from nan"),
    "an endless note": ("tfrecord", lambda: record(end_time=np.inf), "to inf seconds"),
    "a note before the song": ("tfrecord", lambda: record(start_time=-7.0), ""),
    "a late note": ("tfrecord", lambda: record(end_time=1e300), "a song has at most 5000"),
    "a pitch": ("tfrecord", lambda: record(pitch=128), "note 3 has pitch 128, not 0 to 127"),
    "a low pitch": ("tfrecord", lambda: record(pitch=-1), "note 3 has pitch -1, not 0 to 127"),
    "a velocity": ("tfrecord", lambda: record(velocity=1 << 30), "note 3 has velocity 1073741824"),
    "a program": ("tfrecord", lambda: record(program=-5), "note 3 has program -5"),
    "empty notes": (
        "tfrecord",
        lambda: note_seq.NoteSequence(notes=[{}]).SerializeToString() * 2000000,
        "2000000 notes; a song has at most 50000",
    ),
}


@pytest.mark.parametrize("case", ABSURD)
def test_absurd_songs(case, converter, tmp_path):
    """`message` is "" where the song is read all the same, None where either will do."""
    suffix, make, message = ABSURD[case]
    path, content = str(tmp_path / ("song." + suffix)), make()
    if suffix == "tfrecord" and not content.startswith(struct.pack("<Q", 1 << 60)) and len(content) < 10 << 20:
        content = framed(path, content)
    with open(path, "wb") as f:
        f.write(content)
    before = megabytes()
    found = outcome(path, converter)
    assert found.seconds < 5
    assert megabytes() < before + 500
    if message == "":
        assert not found.refused
        assert found.windows > 0
    elif message is not None:
        assert re.search(message, found.refused), found.refused


def test_a_record_that_lies_after_one_that_does_not(converter, tmp_path):
    """TensorFlow would allocate what the second record says it has, and end the process."""
    path = str(tmp_path / "song.tfrecord")
    whole = framed(path, record())
    with open(path, "ab") as f:
        f.write(struct.pack("<QI", 1 << 60, 0) + bytes(99))
    assert os.path.getsize(path) == len(whole) + 111
    songs = examples.read(path)
    assert converter.windows(converter.score(next(songs)))
    with pytest.raises(InputError, match="cut off or damaged"):
        next(songs)


def test_damage_is_read_or_refused(converter, tmp_path, record_property):
    rng = random.Random(7)  # noqa: S311 - the same damage each time
    whole = originals()
    found = [
        outcome(damaged_file(name, whole[name], str(tmp_path), rng), converter)
        for name in (rng.choice(sorted(whole)) for _ in range(400))
    ]
    record_property("tried", len(found))
    assert max(o.seconds for o in found) < 5
    assert 40 < sum(bool(o.refused) for o in found) < 360


NUMBERS = st.one_of(st.floats(), st.floats(0, 40))
NOTES = st.lists(
    st.tuples(NUMBERS, NUMBERS, st.integers(-2, 130), st.integers(0, 130), st.integers(0, 130), st.booleans()),
    max_size=12,
)
CHANGES = st.lists(st.tuples(NUMBERS, NUMBERS, st.integers(-9, 1 << 30), st.integers(-9, 1 << 30)), max_size=4)


@REPEATABLE
@given(NOTES, CHANGES, st.text(max_size=5))
def test_any_note_sequence_is_read_or_refused(converter, record_property, notes, changes, name):
    record_property("tried", 1)
    sequence = note_seq.NoteSequence()
    for start, end, pitch, velocity, program, is_drum in notes:
        sequence.notes.add(
            start_time=start, end_time=end, pitch=pitch, velocity=velocity, program=program, is_drum=is_drum
        )
    for at, qpm, numerator, denominator in changes:
        sequence.tempos.add(time=at, qpm=qpm)
        sequence.time_signatures.add(time=at, numerator=numerator, denominator=denominator)
    sequence.instrument_infos.add(instrument=0, name=name)
    try:
        score = converter.score(Song("s", parsing.check_notes(sequence)))
    except ValueError as e:
        assert len(str(e).splitlines()) == 1  # noqa: PT017 - some sequences are right
        return
    for window in converter.windows(score):
        assert np.isfinite(window.inputs[0]).all()
    for track in score.tracks:
        assert track.name == printable(track.name)
        assert len(converter.consecutive(score, track)) <= 5000
    assert np.isfinite(score.bars).all()
    assert (np.diff(score.bars) > 0).all()


EVENTS = st.lists(
    st.tuples(st.integers(0, 3000), st.integers(0x80, 0xFF), st.binary(min_size=0, max_size=4)), max_size=60
)


@REPEATABLE
@given(EVENTS, st.integers(0, 0xFFFF))
def test_any_midi_events_are_read_or_refused(converter, tmp_path_factory, record_property, events, ticks):
    record_property("tried", 1)
    path = tmp_path_factory.getbasetemp() / "events.mid"
    path.write_bytes(midi(b"".join(number(d) + bytes([status]) + rest for d, status, rest in events), ticks))
    assert outcome(str(path), converter).seconds < 5


@pytest.mark.slow
def test_names_cannot_speak_to_the_terminal(tmp_path):
    """A file's name and a track's name are spelt out on the screen and in examples.tsv."""
    folder = tmp_path / "songs"
    folder.mkdir()
    sequence = melody(tune(8), name="lead\x1b[2J\nx" + "long" * 99)
    note_seq.note_sequence_to_midi_file(sequence, str(folder / "a.mid"))
    (folder / "b\x1b[31m\nred.mid").write_bytes(b"MThd")
    lc_music_vae.train("lc-cat-mel_2bar_small", str(folder), str(tmp_path / "run"), num_steps=1)
    table = (tmp_path / "run" / "examples.tsv").read_text()
    assert "\x1b" not in table
    assert [line.count("\t") for line in table.splitlines()] == [3, 3, 3]
    assert r"lead\x1b[2J\nx" in table
    assert "longlonglong" * 9 not in table


@pytest.mark.slow
def test_one_bad_file_in_a_hundred(tmp_path, caplog):
    folder = tmp_path / "songs"
    folder.mkdir()
    for i in range(99):
        write_midi(melody(tune(2, seed=i)), folder / ("%02d.mid" % i))
    with open(EXAMPLE, "rb") as f:
        (folder / "bad.mid").write_bytes(f.read()[:200])
    with caplog.at_level("INFO", "lc_music_vae"):
        lc_music_vae.train("lc-cat-mel_2bar_small", str(folder), str(tmp_path / "run"), num_steps=2)
    said = caplog.text
    assert "from 99 songs" in said
    assert "1 of 100 songs gave no window" in said
    assert "bad.mid: not readable as MIDI" in said
