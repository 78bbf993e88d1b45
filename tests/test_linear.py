"""Ten times as much of anything in a song takes at most twelve times as long to make windows of."""

import gc
import time

import note_seq
import pytest
from damaged_music import midi, midi_note
from helpers import melody

from lc_music_vae import data
from lc_music_vae.music import midi as midi_repair
from lc_music_vae.music.examples import Song
from lc_music_vae.music.source import ANY
from lc_music_vae.options import Reading

pytestmark = pytest.mark.faults("songs that stall")

SMALL = "cat-mel_2bar_small"
_MAX_TIMES, _SLACK = 12, 0.03  # times as long, and the seconds that a clock and a busy machine may be wrong by


def seconds(function, argument):
    gc.disable()  # a full collection takes a tenth of a second, whenever it comes
    try:
        started = time.process_time()
        function(argument)
        return time.process_time() - started
    finally:
        gc.enable()


def bare_song(bars=1, **changes):
    """A song of a single note, and so many changes of a kind."""
    sequence = melody([(0, 4 * bars, 60)], time_signature=None)
    del sequence.tempos[:]
    for kind, values in changes.items():
        for value in values:
            getattr(sequence, kind).add(**value)
    return Song("song", sequence)


def with_notes(n):
    return Song("song", melody([(i / 8, i / 8 + 0.1, 60 + i % 12) for i in range(n)]))


def with_chords(n):
    return Song("song", melody([(i // 50, i // 50 + 1, 40 + i % 50) for i in range(n)]))


def with_bars(n):
    return bare_song(n)


def with_metres(n):
    changes = [{"time": i / 2, "numerator": 3 + i % 2, "denominator": 4} for i in range(n)]
    return bare_song(n // 4, time_signatures=changes)


def with_names_of_metres(n):
    return bare_song(n, time_signatures=[{"time": 2 * i, "numerator": 100 + i, "denominator": 4} for i in range(n)])


def with_tempos(n):
    return bare_song(n // 10, tempos=[{"time": i / 10, "qpm": 60 + i % 100} for i in range(n)])


def with_tracks(n):
    """Each holds a single note, but as long as the song."""
    song = bare_song(n)
    song.note_sequence.notes.extend(
        note_seq.NoteSequence.Note(pitch=60, velocity=80, start_time=0, end_time=2 * n, instrument=i) for i in range(n)
    )
    return song


@pytest.fixture(scope="module", params=["any", "4/4"])
def converter(request):
    return data.WindowConverter(SMALL, Reading("all", request.param))


@pytest.mark.parametrize(
    ("make", "n"),
    [
        (with_notes, 800),
        (with_chords, 1500),
        (with_bars, 450),
        (with_metres, 1500),
        (with_names_of_metres, 400),
        (with_tempos, 2000),
        (with_tracks, 25),
    ],
)
def test_from_a_song_to_the_bars_of_its_windows(make, n, converter):
    def place_windows(song):
        score = converter.score(song)
        assert all(len(remark) < 2000 for remark in score.remarks)
        for track in score.tracks:
            converter.first_bars(track, score)
        for bar in range(len(score.bars) - 1):
            converter.metre_allows(score, float(score.bars[bar]))
            converter.last_bar(score, bar)
        score.tempo_map.main_qpm(score.bars[-1])

    few, many = make(n), make(10 * n)
    place_windows(few)  # what is made at the first use
    assert seconds(place_windows, many) <= _MAX_TIMES * min(seconds(place_windows, few) for _ in range(3)) + _SLACK


def test_windows_are_looked_for_where_notes_start_alone(converter):
    """A thousand tracks of a note as long as the longest song are five million bars, and a thousand windows."""
    if converter.reading.metre != ANY:
        return
    score = converter.score(with_tracks(1000))
    asked = [bar for track in score.tracks for bar in converter.first_bars(track, score)]
    assert asked == [0] * 1000
    assert len(converter.candidates(converter.score(with_tracks(9)))) == 9


def test_putting_a_song_together_again(converter):
    def place_all(song):
        score = converter.score(song)
        result = note_seq.NoteSequence()
        for bar in range(0, int(score.bars[-1]), 8):
            at = data.Place(bar, bar, bar + 8)
            converter.place(melody([(0, 1, 60), (1, 9, 62)]), score.tracks[0], score, at=at, result=result)
        assert max(note.end_time for note in result.notes) <= song.note_sequence.total_time + 1e-6

    few, many = with_notes(1000), with_notes(10000)
    place_all(few)
    assert seconds(place_all, many) <= _MAX_TIMES * min(seconds(place_all, few) for _ in range(3)) + _SLACK


@pytest.mark.parametrize(
    ("make", "n"),
    [
        (lambda n: midi(b"".join(midi_note(1, i % 128, 9) for i in range(n))), 2000),
        (lambda n: midi(b"".join(b"\1\x90%c\x50" % (i % 128) for i in range(n))), 2000),
        (lambda n: midi(b"".join(b"\1\xff\x58\4%c\2\x18\x08" % (1 + i % 9) for i in range(n))), 2000),
        (lambda n: midi(b"\1\xff\x51\3\7\7\7" * n), 2000),
        (lambda n: midi(b"\1\xc0\7\1\x90\x3c\x50" * n), 1500),
        (lambda n: midi(b"")[:14] + midi(b"\1\x90\x3c\x50")[14:] * n, 99),
        (lambda n: midi(b"")[:14] + b"junk\0\0\0\0" * n + midi(b"")[14:], 5000),
    ],
    ids=["notes", "notes without an end", "metres", "tempos", "programs", "tracks", "chunks"],
)
def test_repairing_midi(make, n):
    few, many = make(n), make(10 * n)
    midi_repair.put_right(few)
    assert seconds(midi_repair.put_right, many) <= (
        _MAX_TIMES * min(seconds(midi_repair.put_right, few) for _ in range(3)) + _SLACK
    )
