"""One small file for each oddity of songs in the wild: which windows it must give, and what must be said of it."""

import os

import numpy as np
import pytest
from helpers import REPO, melody
from oddities import make

from benchmarks import usable_files
from lc_music_vae import data
from lc_music_vae.encoding import songs
from lc_music_vae.errors import InputError
from lc_music_vae.music import examples
from lc_music_vae.music.examples import Song
from lc_music_vae.music.style import Style
from lc_music_vae.options import Reading

SMALL = "cat-mel_2bar_small"
FOLDER = os.path.dirname(make.__file__)
TWO_BARS = "windows hold 2 bars, then their beginning again; longer notes are cut"
ONE_BAR = TWO_BARS.replace("2 bars", "1 bar")
FOUR_QUARTERS = "taken as bars of four quarters"

# (first bar, from 0, and the quarter that it begins at) of each window
PLAIN = [(0, 0), (1, 4), (2, 8)]
WALTZ = [(0, 0), (1, 3), (2, 6), (3, 9), (4, 12)]

UPBEAT_LATER = ((3, 4, 62),) + make.moved(make.TUNE, quarters=4)
UPBEAT_FIRST = ((0, 1, 62),) + make.moved(make.TUNE, quarters=1)
ONE_STRAY = make.moved(make.TUNE[:-1], -39) + ((14, 16, 100),)

# What differs from the tune as it is in plain.mid: windows, reason, track, notes as MusicVAE is to see them.
ODD = {
    "header_1_4": {"reason": "1/4: " + FOUR_QUARTERS},
    "header_2_4": {"reason": "2/4: " + FOUR_QUARTERS},
    "header_3_4": {"windows": WALTZ, "reason": "3/4: " + TWO_BARS},
    "header_6_8": {"windows": WALTZ, "reason": "6/8: " + TWO_BARS},
    "header_12_8": {"windows": [(0, 0), (1, 6), (2, 12)], "reason": "12/8: " + ONE_BAR},
    "metres_4_4_and_3_4": {"windows": [(0, 0), (2, 8)], "reason": "3/4: " + TWO_BARS},
    "metre_changes_between_beats": {"reason": "2/4: " + FOUR_QUARTERS},
    "metre_and_tempo_in_the_second_track": {
        "windows": WALTZ,
        "reason": "3/4: " + TWO_BARS,
        "track": "0 (sounds alone most)",
    },
    "upbeat_in_a_whole_bar": {"windows": PLAIN + [(3, 12)], "notes": UPBEAT_LATER},
    "upbeat_in_a_short_bar": {
        "windows": [(1, 1), (2, 5), (3, 9)],
        "notes": UPBEAT_FIRST,
        "reason": "1/4: " + FOUR_QUARTERS,
    },
    "format_0_with_channels": {"track": "1 (sounds alone most)"},
    "format_1_with_names": {"track": "1 MELODY (by its name)"},
    "names_in_latin_1": {"track": "0 Mélodie für Übung (the only track)"},
    "names_in_utf_8": {"track": "0 旋律 (the only track)"},
    "chords_on_first_beats": {"track": "0 (inferred from chords)"},
    "drums_and_melody": {"track": "1 (the only track)"},
    "note_that_never_ends": {"notes": make.TUNE[:-1] + ((14, 15, 60),)},
    "below_the_range": {
        "notes": make.moved(make.TUNE, -39),
        "reason": "moved up 1 octave, to be in MusicVAE's range",
    },
    "above_the_range": {
        "notes": make.moved(make.TUNE, 36),
        "reason": "moved down 1 octave, to be in MusicVAE's range",
    },
    "below_and_above_the_range": {
        "notes": ONE_STRAY,
        "reason": "moved up 1 octave, 1 note alone, to be in MusicVAE's range",
    },
    "only_drums": {
        "windows": [],
        "reason": "no notes that this config reads; --config=lc-cat-drums_2bar_small reads its drums",
    },
    "no_notes": {"windows": [], "reason": "no notes"},
    "one_bar": {"windows": [], "reason": "too short: 1 of 2 bars"},
    "far_apart": {"windows": [], "reason": "no 2 bars without a bar of rest between"},
}
# Of the files that are not all in 4/4: the windows that are left with --metre=4/4, and what is said then.
STRICT = {
    "header_1_4": ([], "1/4 from bar 1"),
    "header_2_4": ([], "2/4 from bar 1"),
    "header_3_4": ([], "3/4 from bar 1"),
    "header_6_8": ([], "6/8 from bar 1"),
    "header_12_8": ([], "12/8 from bar 1"),
    "metres_4_4_and_3_4": ([(0, 0)], "3/4 from bar 3"),
    "metre_changes_between_beats": ([(0, 0)], "2/4 from bar 3"),
    "metre_and_tempo_in_the_second_track": ([], "3/4 from bar 1"),
    "upbeat_in_a_short_bar": ([(1, 1), (2, 5), (3, 9)], "1/4 from bar 1"),
}


def path_of(stem):
    return os.path.join(FOLDER, stem + ".mid")


def read(stem, metre="any", config=SMALL):
    """Returns score, windows and row of a file."""
    converter = data.WindowConverter(config, Reading(metre=metre))
    score = converter.score(next(examples.read(path_of(stem))))
    windows = converter.windows(score)
    return score, windows, songs._row(score, windows, converter)


def events(notes, start, quarters=8):
    """The 32 melody events of the notes of `quarters` from quarter `start` on, and of these again to the end.

    Step by step: 0 goes on, 1 ends, else starts.
    """
    held = [(begin - start, min(end - start, quarters), p) for begin, end, p in notes if 0 <= begin - start < quarters]
    found = [0] * 32
    for begin, end, pitch in held + [(begin + quarters, end + quarters, pitch) for begin, end, pitch in held]:
        if begin < 8:
            if end < 8:
                found[int(end * 4)] = 1
            found[int(begin * 4)] = pitch - 19
    return found


@pytest.mark.parametrize("stem", sorted(make.FILES))
def test_windows_and_what_is_said(stem):
    odd = ODD.get(stem, {})
    expected = odd.get("windows", PLAIN)
    score, windows, row = read(stem)
    assert [(w.first_bar, score.bars[w.first_bar]) for w in windows] == expected
    notes = odd.get("notes", make.TUNE)
    quarters = [8 if w.time_signature == "4/4" else 6 for w in windows]
    assert [list(w.inputs[0].argmax(-1)) for w in windows] == [
        events(notes, start, held) for (_, start), held in zip(expected, quarters)
    ]
    assert row.slices == len(expected)
    assert row.melody == (odd.get("track", "0 (the only track)") if expected else "")
    assert row.reason == odd.get("reason", "")


@pytest.mark.parametrize("stem", sorted(make.FILES))
def test_in_strict_metre_the_rest_is_left_out_and_said(stem):
    _, windows, row = read(stem)
    expected = [(w.first_bar, w.inputs[0].tobytes()) for w in windows]
    reason = row.reason
    if stem in STRICT:
        kept = [bar for bar, _ in STRICT[stem][0]]
        expected = [(bar, content) for bar, content in expected if bar in kept]
        reason = "left out by --metre=4/4: %s; --metre=any reads it" % STRICT[stem][1]
    _, windows, row = read(stem, "4/4")
    assert [(w.first_bar, w.inputs[0].tobytes()) for w in windows] == expected
    assert (row.slices, row.reason) == (len(expected), reason)


def test_tempo_and_program_are_the_files():
    qpms = {stem: [round(qpm, 1) for _, qpm in read(stem)[0].tempo_map.changes()] for stem in make.FILES}
    assert qpms["tempo_changes"] == [100, 60, 150]
    assert qpms["tempo_changes_inside_a_bar"] == [100, 87.3, 181, 40]
    assert qpms["metre_and_tempo_in_the_second_track"] == [90]
    assert {stem for stem, found in qpms.items() if found != [120]} == {
        "tempo_changes",
        "tempo_changes_inside_a_bar",
        "metre_and_tempo_in_the_second_track",
    }
    assert read("flute")[0].tracks[0].program == 73
    assert read("program_changes_inside_it")[0].tracks[0].program == 0


@pytest.mark.parametrize(
    ("stem", "octaves"), [("plain", 0), ("below_the_range", 1), ("above_the_range", -1), ("format_0_with_channels", 0)]
)
def test_windows_come_back_to_the_songs_own_octave(stem, octaves):
    """What `reconstruct` does, with a decoder that makes no mistake."""
    converter = data.WindowConverter(SMALL)
    (song,) = examples.read(path_of(stem))
    score = converter.score(song)
    (track,) = score.tracks
    assert track.octaves == octaves
    result = type(song.note_sequence)()
    for at, window in converter.consecutive(score, track):
        (decoded,) = converter.to_note_sequences([window.outputs])
        converter.place(decoded, track, score, at=at, result=result)
    own = [n for n in song.note_sequence.notes if n.instrument == track.number]
    assert len(own) == len(make.TUNE)
    assert [(n.start_time, n.pitch) for n in result.notes] == [(n.start_time, n.pitch) for n in own]


def test_pitches_never_leave_midis_range():
    converter = data.WindowConverter(SMALL)
    _, (window, *_), _ = read("below_the_range")
    highest = np.zeros_like(window.outputs)
    highest[:, 0] = True
    highest[0] = np.eye(90, dtype=bool)[108 - 19]
    for outputs, octaves, pitch in [
        (window.outputs, 1, 16),
        (window.outputs, 2, 4),
        (window.outputs, 5, 4),
        (highest, 1, 96),
        (highest, -1, 120),
        (highest, -2, 120),
    ]:
        (sequence,) = converter.to_note_sequences([outputs], Style(octaves=octaves))
        assert sequence.notes[0].pitch == pitch
        assert all(0 <= n.pitch <= 127 for n in sequence.notes)


@pytest.mark.parametrize("config", ["hierdec-mel_16bar", "cat-drums_2bar_small"])
def test_too_short_says_which_config_would_read_it(config):
    _, _, row = read("plain", config=config)
    assert (
        row.reason
        == {
            "hierdec-mel_16bar": "too short: 4 of 16 bars; "
            "--config=lc-cat-mel_2bar_small or --config=lc-cat-mel_2bar_big would read it",
            "cat-drums_2bar_small": "no notes that this config reads",
        }[config]
    )
    assert read("one_bar", config="hierdec-mel_16bar")[2].reason == "too short: 1 of 16 bars"
    assert read("far_apart", config="hierdec-mel_16bar")[2].reason == "too short: 4 of 16 bars"


def test_long_enough_but_for_rests_says_which_config_would_read_it():
    notes = [(start + 24 * part, end + 24 * part, pitch) for part in range(3) for start, end, pitch in make.TUNE]
    converter = data.WindowConverter("hierdec-mel_16bar")
    score = converter.score(Song("song", melody(notes)))
    assert songs._row(score, converter.windows(score), converter).reason == (
        "no 16 bars without a bar of rest between; "
        "--config=lc-cat-mel_2bar_small or --config=lc-cat-mel_2bar_big would read it"
    )


def test_with_all_tracks_the_one_that_was_moved_is_named():
    song = melody([(i, i + 1, 60) for i in range(8)])
    song.MergeFrom(melody([(i, i + 1, 12) for i in range(8)], instrument=3, name="bass"))
    score = data.WindowConverter(SMALL, Reading("all")).score(Song("song", song))
    assert score.remarks == ("track 3 bass: moved up 1 octave, to be in MusicVAE's range",)


def test_strict_metre_over_bars_of_rest_says_both():
    song = melody([(12 + i, 13 + i, 60) for i in range(9)])
    song.time_signatures.add(time=6, numerator=3, denominator=4)
    converter = data.WindowConverter(SMALL, Reading(metre="4/4"))
    score = converter.score(Song("song", song))
    assert songs._row(score, converter.windows(score), converter).reason == (
        "no 2 bars without a bar of rest between; left out by --metre=4/4: 3/4 from bar 4; --metre=any reads it"
    )


def test_files_are_what_the_script_makes():
    assert sorted(name for name in os.listdir(FOLDER) if name.endswith(".mid")) == sorted(
        stem + ".mid" for stem in make.FILES
    )
    for stem, content in make.FILES.items():
        with open(path_of(stem), "rb") as f:
            assert f.read() == content, stem
        assert len(content) < 1000
    assert len(set(make.FILES.values())) == len(make.FILES)


def test_the_table_of_usable_songs_is_what_is_measured():
    with open(os.path.join(REPO, "benchmarks", "README.md"), encoding="utf-8") as f:
        table = f.read()
    rows = usable_files.rows(FOLDER)
    for row in rows:
        assert "| %s | %s | %d | %d | %d |\n" % row in table
    assert [row[2:4] for row in rows][-1] == (len(make.FILES), len(make.FILES) - 4)  # all that hold a melody


def test_a_file_that_is_cut_off_is_refused_wherever_that_is(tmp_path):
    path = tmp_path / "cut.mid"
    whole = make.FILES["names_in_utf_8"]
    for length in range(4, len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match="not readable as MIDI .(no MThd|no track|it ends inside a track)"):
            next(examples.read(str(path)))


def test_a_track_whose_length_is_wrong_is_refused(tmp_path):
    path = tmp_path / "wrong.mid"
    head, track = make.FILES["plain"][:14], make.track(make.played(make.TUNE), end=False)[8:]
    refused = 0
    for length in range(1, len(track)):
        content = head[:10] + b"\x00\x01" + head[12:] + b"MTrk" + length.to_bytes(4, "big") + track[:length]
        path.write_bytes(content)
        try:
            (song,) = examples.read(str(path))
            assert all(n.end_time > n.start_time for n in song.note_sequence.notes)
        except InputError as e:
            assert str(e).endswith("(a track ends inside an event)")  # noqa: PT017 - some lengths are right
            refused += 1
    assert refused > len(track) / 2
