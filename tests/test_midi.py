"""MIDI files that are right stay what they are, and what is wrong is put right byte by byte.

`test_oddities.py` has whole songs that are wrong in such ways, and what becomes of them as music.
"""

import os
import struct

import note_seq
import pytest
from helpers import EXAMPLE, SONGS

from lc_music_vae.music import midi

END = b"\xff\x2f\0"
TEMPO, METRE, KEY = b"\xff\x51\3\7\xa1\x20", b"\xff\x58\4\4\2\x18\x08", b"\xff\x59\2\0\0"


@pytest.mark.parametrize("path", SONGS + [EXAMPLE], ids=os.path.basename)
def test_songs_that_keep_the_standard_are_read_as_note_seq_reads_them(path):
    with open(path, "rb") as f:
        content = f.read()
    right = midi.put_right(content)
    assert note_seq.midi_to_note_sequence(right) == note_seq.midi_to_note_sequence(content)
    assert midi.put_right(right) == right


def chunk(body, name=b"MTrk"):
    return name + struct.pack(">I", len(body)) + body


def song(*tracks, ticks=96, kind=1):
    """A MIDI file of these tracks' bytes, a quarter of 96 ticks."""
    return chunk(struct.pack(">HHH", kind, len(tracks), ticks), b"MThd") + b"".join(map(chunk, tracks))


def put_right(*tracks, ticks=96):
    """Returns what becomes of the tracks' bytes."""
    right = midi.put_right(song(*tracks, ticks=ticks))
    bodies, at = [], 14
    while at < len(right):
        (size,) = struct.unpack(">I", right[at + 4 : at + 8])
        bodies.append(right[at + 8 : at + 8 + size])
        at += 8 + size
    assert right == song(*bodies, ticks=struct.unpack(">H", right[12:14])[0])
    return bodies


def refuses(message, *tracks):
    with pytest.raises(ValueError, match="^%s$" % message):
        midi.put_right(song(*tracks))


def test_what_is_no_midi_file():
    for content in (b"", b"MThd", song(END)[:13], b"RIFF" + song(END)[4:]):
        with pytest.raises(ValueError, match="^no MThd at its start$"):
            midi.put_right(content)
    refuses("no track")


def test_the_kind_stays_and_what_are_no_tracks_is_left_out():
    header, tracks = song(b"", b"", kind=0)[:14], song(b"", b"\0" + END)[14:]
    odd = header + chunk(b"what", b"XFIH") + tracks + b"\0" * 7
    assert midi.put_right(odd) == song(b"\0" + END, b"\0" + END, kind=0)


def test_a_track_may_be_empty_but_not_cut_off():
    assert put_right(b"\0\x90\x3c\x40", b"") == [b"\0\x90\x3c\x40\x60\x80\x3c\0\0" + END, b"\0" + END]
    for lost in (1, 4):
        with pytest.raises(ValueError, match="^it ends inside a track$"):
            midi.put_right(song(END)[:-lost] if lost < 4 else song(b"\0" + END)[:-lost])
    for track in (b"\0", b"\0\x90", b"\0\x90\x3c", b"\0\xff", b"\0\xff\x51\3\7", b"\x80"):
        refuses("a track ends inside an event", track)


def test_so_many_tracks_are_a_song():
    assert len(put_right(*[b""] * 1000)) == 1000
    refuses("more than 1000 tracks", *[b""] * 1001)


def test_so_many_events_are_a_song():
    half = b"\0\xc0\5" * 150000
    assert len(put_right(half, half)) == 2
    refuses("more than 300000 events", half, half + b"\0\xc0\5")


def test_so_late_a_song_ends():
    late = bytes([0x89, 0xC4, 0xDA, 0])  # 20 million
    assert put_right(late + b"\xc0\5") == [late + b"\xc0\5\0" + END]
    refuses("an event at tick 20000001; a song has at most 20000000", late + b"\xc0\5\1\xc0\5")


@pytest.mark.parametrize("ticks", [b"\x7f", b"\x81\0", b"\xff\x7f", b"\x81\x80\0", b"\x83\xff\x7f"])
def test_ticks_are_numbers_of_variable_length(ticks):
    assert put_right(ticks + b"\xc0\5") == [ticks + b"\xc0\5\0" + END]


def test_numbers_have_an_end():
    assert put_right(b"\x80" * 8 + b"\5\xc0\5") == [b"\5\xc0\5\0" + END]
    refuses("a number without an end", b"\x80" * 9 + b"\5\xc0\5")


def test_frames_a_second_are_no_beats():
    """25 frames of 40 ticks are 1,000 ticks a second: 500 a quarter at MIDI's own tempo, 120."""
    right = midi.put_right(song(b"\0" + TEMPO + b"\0\xc0\5", ticks=0xE728))
    assert right == song(b"\0\xc0\5\0" + END, ticks=500)
    assert put_right(b"\0" + TEMPO, ticks=97) == [b"\0" + TEMPO + b"\0" + END]


def test_what_says_nothing_of_notes_is_left_out_and_after_the_end_there_is_nothing():
    exclusive, text = b"\0\xf0\x2f" + bytes(0x2F), b"\0\xff\x01\2la"
    name = b"\0\xff\x03\2la"
    assert put_right(exclusive + name + text + b"\1\xc0\5\2" + END + b"\0\xc0\6") == [name + b"\1\xc0\5\2" + END]


def test_a_status_byte_holds_until_the_next():
    """Also through metas. Programs and pressure have one byte of data, the others two."""
    running = b"\0\x90\x3c\x40\1\x3e\x40\0" + TEMPO + b"\1\x3c\0\1\x3e\0\0\xd0\x40\0\x41\0\xb0\7\x70\0\xe0\0\x40"
    assert put_right(running) == [
        b"\0\x90\x3c\x40\1\x90\x3e\x40\0" + TEMPO + b"\1\x90\x3c\0\1\x90\x3e\0"
        b"\0\xd0\x40\0\xd0\x41\0\xb0\7\x70\0\xe0\0\x40\0" + END
    ]
    refuses("data without a status byte", b"\0\x3c\x40")


def test_data_are_below_128():
    assert put_right(b"\0\x90\x80\xff\1\x80\x7f\x80") == [b"\0\x90\x7f\x7f\1\x80\x7f\x7f\0" + END]


def meta(kind, *data):
    return b"\0\xff" + bytes([kind, len(data)]) + bytes(data)


@pytest.mark.parametrize(
    "usable",
    [
        (0x51, 0, 0, 1),
        (0x51, 1, 0, 0),
        (0x58, 1, 0, 24, 8),
        (0x58, 255, 7, 0, 0),
        (0x59, 7, 0),
        (0x59, 0xF9, 1),  # seven flats, minor
        (0x59, 0xFF, 0),
    ],
)
def test_metas_that_are_kept(usable):
    assert put_right(meta(*usable)) == [meta(*usable) + b"\0" + END]


@pytest.mark.parametrize(
    "unusable",
    [
        (0x51,),
        (0x51, 0, 0, 0),
        (0x51, 1, 0),
        (0x51, 0, 1, 0, 0),
        (0x58, 4, 2, 24),
        (0x58, 4, 2, 24, 8, 0),
        (0x58, 0, 2, 24, 8),
        (0x58, 4, 8, 24, 8),
        (0x59, 0),
        (0x59, 0, 0, 0),
        (0x59, 8, 0),
        (0x59, 0xF8, 0),
        (0x59, 0, 2),
        (0x01, 65),
    ],
)
def test_metas_that_are_left_out(unusable):
    assert put_right(meta(*unusable)) == [b"\0" + END]


def test_the_first_track_has_tempo_metre_and_key_of_the_first_that_has_them():
    first, other = b"\0\xc0\5\2" + METRE, b"\1" + TEMPO + b"\0\xff\x58\4\3\2\x18\x08\4" + KEY
    assert put_right(first, b"", other, b"\0" + TEMPO) == [
        b"\0\xc0\5\1" + TEMPO + b"\1" + METRE + b"\3" + KEY + b"\0" + END,
        b"\0" + END,
        other + b"\0" + END,
        b"\0" + TEMPO + b"\0" + END,
    ]


def test_a_channel_keeps_the_program_of_its_first_note():
    kept = b"\0\xc1\5\0\xc1\6\0\x91\x3c\x40"
    assert put_right(kept + b"\0\xc1\7\0\xc2\7\1\x81\x3c\0") == [kept + b"\0\xc2\7\1\x81\x3c\0\0" + END]


def test_notes_that_nothing_ends_sound_to_the_end_of_their_track():
    """A note is ended by one of its channel and pitch, though it be without velocity."""
    notes = b"\0\x90\x3c\x40\0\x91\x3c\x40\0\x90\x3d\x40\0\x92\x3d\x40\1\x80\x3c\0\1\x92\x3d\0"
    ended = b"\0\x80\x3d\0\0\x81\x3c\0\0" + END
    assert put_right(notes + b"\x81\0" + END) == [notes + b"\x81\0" + ended[1:]]


def test_notes_that_nothing_ends_sound_for_a_quarter_at_the_least():
    notes = b"\0\x90\x3c\x40\x20\x90\x3d\x40"
    assert put_right(notes + b"\x10" + END) == [notes + b"\x40\x80\x3c\0\x20\x80\x3d\0\0" + END]
