"""Writes one small MIDI file for each oddity that songs in the wild have, byte for byte the same each time.

All hold the same tune of four bars, unless their names say otherwise; `tests/test_oddities.py` says which windows each
must give. Written as bytes, because what libraries write is what they can read.

    python tests/oddities/make.py
"""

import os
import struct

HERE = os.path.dirname(os.path.abspath(__file__))

# (start, end, pitch) in quarters; a quarter of rest before bar 3, and a note that is held over the bar line into bar 4.
TUNE = (
    (0, 1, 67),
    (1, 1.5, 69),
    (1.5, 2, 71),
    (2, 3.5, 72),
    (3.5, 4, 71),
    (4, 5, 69),
    (5, 5.25, 67),
    (5.25, 5.5, 66),
    (5.5, 6, 67),
    (6, 7, 64),
    (8, 9, 65),
    (9, 10, 67),
    (10, 10.75, 69),
    (10.75, 11, 67),
    (11, 13, 65),
    (13, 13.5, 64),
    (13.5, 14, 62),
    (14, 16, 60),
)
CHORDS = tuple((4 * bar, 4 * bar + 4, root + third) for bar, root in enumerate((48, 45, 41, 48)) for third in (0, 4, 7))
BASS = tuple((quarter, quarter + 2, 36 + quarter % 3) for quarter in range(0, 16, 2))
BEAT = tuple((quarter / 2, quarter / 2 + 0.25, 42 if quarter % 2 else 36) for quarter in range(32))
SCALE = tuple((i, i + 1, 60 + i) for i in range(4))


def meta(quarters, kind, data):
    """Returns a meta event."""
    return quarters, bytes([0xFF, kind, len(data)]) + data


def signature(numerator, denominator, quarters=0):
    """Returns a time signature."""
    return meta(quarters, 0x58, bytes([numerator, denominator.bit_length() - 1, 24, 8]))


def tempo(qpm, quarters=0):
    """Returns a tempo."""
    return meta(quarters, 0x51, struct.pack(">I", round(6e7 / qpm))[1:])


def name(text):
    """Returns a track's name: bytes, because nothing in a file says how they are to be read."""
    return meta(0, 0x03, text)


def program(number, channel=0, quarters=0):
    """Returns a program change."""
    return quarters, bytes([0xC0 | channel, number])


def played(notes, channel=0, off=0x80, late=lambda start: 0):
    """Returns the events of notes; `off` 0x90 ends them by note-ons of velocity 0, `late` delays each onset."""
    events = []
    for start, end, pitch in notes:
        events.append((start + late(start), bytes([0x90 | channel, pitch, 80])))
        events.append((end, bytes([off | channel, pitch, 0])))
    return events


def moved(notes, semitones=0, quarters=0):
    """Returns notes at other pitches or times."""
    return tuple((start + quarters, end + quarters, pitch + semitones) for start, end, pitch in notes)


def varying(number):
    """Returns a number as MIDI writes times."""
    digits = bytes([number & 0x7F])
    while number > 0x7F:
        number >>= 7
        digits = bytes([0x80 | number & 0x7F]) + digits
    return digits


def track(events, ticks=480, running=False, end=True):
    """Returns a track chunk; of events at one time, notes end before others begin."""

    def order(event):
        quarters, data = event
        is_on = data[0] & 0xF0 == 0x90 and data[2] > 0
        is_off = data[0] & 0xF0 in (0x80, 0x90) and not is_on
        return round(quarters * ticks), 0 if is_off else 2 if is_on else 1

    body, now, status = b"", 0, None
    for quarters, data in sorted(events, key=order):
        body += varying(round(quarters * ticks) - now)
        now = round(quarters * ticks)
        body += data[1:] if running and data[0] == status else data
        status = data[0] if data[0] < 0xF0 else None
    body += b"\x00\xff\x2f\x00" if end else b""
    return b"MTrk" + struct.pack(">I", len(body)) + body


def file(*tracks, format=1, ticks=480):
    """Returns a file of track chunks."""
    return b"MThd" + struct.pack(">IHHH", 6, format, len(tracks), ticks) + b"".join(tracks)


def song(*events, **kwargs):
    """Returns a file of one track of events, tempo 120 first."""
    ticks = kwargs.setdefault("ticks", 480)
    return file(track([tempo(120)] + list(events), **kwargs), format=0, ticks=ticks)


def tune_under(*header):
    """Returns a file of a header track and the tune."""
    return file(track(header), track(played(TUNE)))


FOUR = signature(4, 4)

FILES = {
    "plain": tune_under(tempo(120), FOUR),
    "no_header": tune_under(),
    # Time signatures.
    "header_1_4": tune_under(signature(1, 4)),
    "header_2_4": tune_under(signature(2, 4)),
    "header_2_2": tune_under(signature(2, 2)),
    "header_3_4": tune_under(signature(3, 4)),
    "header_6_8": tune_under(signature(6, 8)),
    "header_12_8": tune_under(signature(12, 8)),
    "metres_4_4_and_3_4": tune_under(FOUR, signature(3, 4, 8), signature(4, 4, 14)),
    "metre_changes_between_beats": tune_under(FOUR, signature(2, 4, 4.18)),
    "metre_and_tempo_in_the_second_track": file(
        track([]), track([signature(3, 4), tempo(90)] + played(TUNE)), track(played(CHORDS, 1))
    ),
    # Tempo.
    "tempo_changes": tune_under(tempo(100), FOUR, tempo(60, 4), tempo(150, 12)),
    "tempo_changes_inside_a_bar": tune_under(tempo(100), FOUR, tempo(87.3, 2.6), tempo(181, 5.25), tempo(40, 11.5)),
    # Upbeats: the tune, and before it one note on the fourth beat.
    "upbeat_in_a_whole_bar": song(FOUR, *played(((3, 4, 62),) + moved(TUNE, quarters=4))),
    "upbeat_in_a_short_bar": song(
        signature(1, 4), signature(4, 4, 1), *played(((0, 1, 62),) + moved(TUNE, quarters=1))
    ),
    # How it is written.
    "format_0_with_channels": song(FOUR, *played(TUNE) + played(BASS, 1) + played(CHORDS, 2) + played(BEAT, 9)),
    "format_1_with_names": file(
        track([tempo(120), FOUR, name(b"a song")]),
        track([name(b"CHORDS")] + played(CHORDS)),
        track([name(b"MELODY"), program(0, 1)] + played(TUNE, 1)),
        track([name(b"BASS"), program(33, 2)] + played(BASS, 2)),
    ),
    "running_status": song(FOUR, *played(TUNE, off=0x90), running=True),
    "note_on_of_velocity_0": song(FOUR, *played(TUNE, off=0x90)),
    "no_end_of_track": song(FOUR, *played(TUNE), end=False),
    "bytes_after_the_last_track": tune_under(FOUR) + b"\x00\x1a\r\n",
    "unknown_chunk": file(track([FOUR])).replace(
        b"\x00\x00\x00\x06\x00\x01\x00\x01", b"\x00\x00\x00\x06\x00\x01\x00\x02"
    )
    + b"XFIH\x00\x00\x00\x04abcd"
    + track(played(TUNE)),
    "96_ticks": song(FOUR, *played(TUNE), ticks=96),
    "1024_ticks": song(FOUR, *played(TUNE), ticks=1024),
    "100_ticks": song(FOUR, *played(TUNE), ticks=100),
    # 25 frames of 40 ticks a second, which knows no tempo.
    "frames_for_beats": file(track([tempo(90), FOUR] + played(TUNE), ticks=500), format=0, ticks=0xE728),
    "empty_tracks": file(track([]), track([name(b"empty")]), track([FOUR] + played(TUNE)), track([])),
    "names_in_latin_1": song(name("Mélodie für Übung".encode("latin-1")), FOUR, *played(TUNE)),
    "names_in_utf_8": song(name("旋律".encode()), FOUR, *played(TUNE)),
    "key_signature_that_is_none": song(meta(0, 0x59, b"\x0b\x05"), FOUR, *played(TUNE)),
    "tempo_0": song(meta(0, 0x51, b"\x00\x00\x00"), FOUR, *played(TUNE)),
    "sysex_controllers_and_bends": song(
        (0, b"\xf0\x05\x7e\x7f\x09\x01\xf7"),
        (0, b"\xb0\x07\x64"),
        (0, b"\xe0\x00\x40"),
        (2, b"\xb0\x40\x7f"),
        (6.5, b"\xb0\x40\x00"),
        FOUR,
        *played(TUNE),
    ),
    "velocity_above_127": song(FOUR, *played(TUNE)).replace(b"\x90\x43\x50", b"\x90\x43\x90", 1),
    # What is played.
    "legato": song(FOUR, *[(start, data) for s, e, p in TUNE for start, data in played([(s, e + 0.1, p)])]),
    "chords_on_first_beats": song(FOUR, *played(TUNE + tuple((s, s + 1, p) for s, _, p in CHORDS))),
    "played_late": song(FOUR, *played(TUNE, late=lambda start: 0.07 * (int(4 * start) % 3) / 2)),
    "drums_and_melody": file(track([FOUR]), track(played(BEAT, 9)), track(played(TUNE))),
    "flute": song(FOUR, program(73), *played(TUNE)),
    "program_changes_inside_it": song(FOUR, program(0), program(40, quarters=6), *played(TUNE)),
    "note_that_never_ends": song(FOUR, *played(TUNE)[:-1]),
    "notes_without_length": song(FOUR, *played(TUNE), *played([(15.5, 15.5, 32)])).replace(
        b"\x80\x20\x00\x00\x90\x20\x50", b"\x90\x20\x50\x00\x80\x20\x00"
    ),
    "below_the_range": song(FOUR, *played(moved(TUNE, -51))),
    "above_the_range": song(FOUR, *played(moved(TUNE, 48))),
    "below_and_above_the_range": song(FOUR, *played(moved(TUNE[:-1], -51) + ((14, 16, 112),))),
    "only_drums": song(FOUR, *played(BEAT, 9)),
    "no_notes": song(FOUR),
    "one_bar": song(FOUR, *played(SCALE)),
    "far_apart": song(FOUR, *played(SCALE[:1] + moved(SCALE[:1], quarters=13))),
}


def main():
    """Writes them all beside this file."""
    for stem, content in FILES.items():
        with open(os.path.join(HERE, stem + ".mid"), "wb") as f:
            f.write(content)


if __name__ == "__main__":
    main()
