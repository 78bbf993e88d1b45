"""Songs that are not in 4/4: windows, reconstructions and outputs are of whole bars of their own metre."""

import os

import numpy as np
import pytest
from helpers import REPO, SMALL, melody, one_line, write_midi

import lc_music_vae
from lc_music_vae import data
from lc_music_vae.checkpoints import run_dir as run_dir_lib
from lc_music_vae.checkpoints.shards import Row
from lc_music_vae.encoding.latents import Latents
from lc_music_vae.generation import bars as picking
from lc_music_vae.generation import inputs
from lc_music_vae.music import examples
from lc_music_vae.music.examples import Song
from lc_music_vae.music.style import Style
from lc_music_vae.options import Reading
from lc_music_vae.showing import page
from lc_music_vae.training import report

JIG = os.path.join(REPO, "tests", "songs", "nottingham_jigs10.mid")
SIX_EIGHT = "6/8: windows hold 2 bars, then their beginning again; longer notes are cut"
CONVERTER = data.WindowConverter("cat-mel_2bar_small")


def eighths(quarters, time_signature=(6, 8)):
    """A scale in eighths, up and down: no note is held over a bar line."""
    notes = [(i / 2, i / 2 + 0.5, 60 + abs(i % 26 - 13)) for i in range(int(2 * quarters))]
    return melody(notes, time_signature=time_signature)


def changing(*changes, quarters):
    """The same under time signatures that begin at some quarters."""
    sequence = eighths(quarters, None)
    for at, numerator, denominator in changes:
        sequence.time_signatures.add(time=at / 2, numerator=numerator, denominator=denominator)
    return sequence


ALTERNATING = ((0, 4, 4), (4, 3, 4), (7, 4, 4), (11, 3, 4), (14, 4, 4), (18, 3, 4))


@pytest.mark.parametrize(
    ("time_signature", "bars", "quarters"),
    [
        ((4, 4), 2, 8),
        ((2, 4), 2, 8),  # two of 2/4 are taken as one
        ((3, 4), 2, 6),
        ((6, 8), 2, 6),
        ((3, 8), 5, 7.5),
        ((7, 8), 2, 7),
        ((5, 4), 1, 5),
        ((9, 8), 1, 4.5),
        ((12, 8), 1, 6),
        ((3, 2), 1, 6),
        ((12, 4), 1, 8),  # the beginning of a bar that is longer than a window
    ],
)
def test_a_window_holds_as_many_whole_bars_as_fit_and_begins_again(time_signature, bars, quarters):
    score = CONVERTER.score(Song("song", eighths(6 * quarters, time_signature)))
    windows = CONVERTER.windows(score)
    assert {w.last_bar - w.first_bar + 1 for w in windows} == {bars}
    for window in windows:
        start = score.bars[window.first_bar]
        pitches = [n.pitch for n in score.notes if start <= n.start < start + quarters]
        assert window.notes[:, 2].tolist() == pitches
        (everything,) = CONVERTER.to_note_sequences([window.outputs])
        assert [n.pitch for n in everything.notes] == (pitches + pitches)[:16]


@pytest.mark.parametrize(
    "sequence",
    [eighths(33, metre) for metre in ((4, 4), (3, 4), (6, 8), (3, 8), (9, 8), (12, 8), (5, 4), (12, 4))]
    + [
        changing((0, 4, 4), (16, 3, 4), (31, 6, 8), (40, 4, 4), quarters=60),
        changing((0, 1, 4), (1, 6, 8), quarters=25),  # an upbeat
        changing(*ALTERNATING, quarters=21),
    ],
)
def test_a_song_is_covered_bar_by_bar(sequence):
    """What `reconstruct` does, with a decoder that makes no mistake: every note once, and where it was."""
    score = CONVERTER.score(Song("song", sequence))
    (track,) = score.tracks
    result, at = type(sequence)(), 0.0
    for place, window in CONVERTER.consecutive(score, track):
        assert place.start == at
        assert place.start == score.bars[place.first_bar] or place.start - score.bars[place.first_bar] == 8
        at = place.end
        CONVERTER.place(CONVERTER.to_note_sequences([window.outputs])[0], track, score, at=place, result=result)
    found, own = ([(n.start_time, n.end_time, n.pitch) for n in s.notes] for s in (result, sequence))
    np.testing.assert_allclose(found, own)


def test_windows_hold_bars_of_one_length():
    score = CONVERTER.score(Song("song", changing((0, 4, 4), (16, 3, 4), (28, 4, 4), quarters=44)))
    found = [(w.first_bar, w.last_bar, w.time_signature) for w in CONVERTER.windows(score)]
    assert found == [
        *((bar, bar + 1, "4/4") for bar in (0, 1, 2)),
        *((bar, bar + 1, "3/4") for bar in (4, 5, 6)),
        *((bar, bar + 1, "4/4") for bar in (8, 9, 10)),
    ]


def test_where_no_window_is_full_those_that_are_not_are_used():
    """Of six bars. The last is no window: one from there would hold a second bar of 3/4."""
    score = CONVERTER.score(Song("song", changing(*ALTERNATING, quarters=21)))
    found = [(w.first_bar, w.last_bar, w.time_signature) for w in CONVERTER.windows(score)]
    assert found == [(bar, bar, "3/4" if bar % 2 else "4/4") for bar in range(5)]


@pytest.mark.parametrize(
    ("time_signature", "quarters"), [("6/8", 6), ("9/8", 4.5), ("3/8", 7.5), ("5/4", 5), ("12/4", 8)]
)
def test_outputs_are_whole_bars_that_can_be_looped(time_signature, quarters, tmp_path):
    (window, *_) = CONVERTER.windows(CONVERTER.score(Song("song", melody([(0, 1, 60), (1, 4, 62), (4, 8, 64)]))))
    (made,) = CONVERTER.to_note_sequences([window.outputs], Style(90, time_signature=time_signature))
    assert made.total_time == pytest.approx(quarters * 60 / 90)
    ends = [note.end_time * 90 / 60 for note in made.notes]
    assert ends == pytest.approx([1, 4, quarters])  # what is held over the end is cut there
    (read,) = examples.read(write_midi(made, tmp_path / "made.mid"))
    assert ["%d/%d" % (s.numerator, s.denominator) for s in read.note_sequence.time_signatures] == [time_signature]


def test_bars_of_a_jig_are_given_as_they_are_counted():
    song = next(examples.read(JIG))

    def pick(bars):
        given = inputs.Input("jig", 1, JIG, bars)
        return picking.pick(CONVERTER, song, given)

    window = pick((3, 4))
    assert (window.first_bar, window.last_bar) == (2, 3)
    for bars in ((3, 3), (3, 5)):
        assert one_line(pick, bars) == "input_bars_1=3-%d: one window is bars 3-4 there" % bars[1]


def test_the_bars_of_a_jig_are_listed_as_they_are_counted():
    given = inputs.Given([inputs.Input("jig", 1, JIG)], [next(examples.read(JIG))])
    listed = picking.listed(given, "cat-mel_2bar_small", Reading())
    assert len(listed) > 10
    assert [one.flag for one in listed[:2]] == ["--input_bars_1=1-2", "--input_bars_1=2-3"]
    for one in listed:
        assert [(s.numerator, s.denominator) for s in one.note_sequence.time_signatures] == [(6, 8)]
        assert one.note_sequence.total_time == 3  # six quarters at magenta's tempo


def test_every_song_that_is_not_in_4_4_is_said_once_within_a_screen(caplog):
    rows = [Row("reel%d.mid" % i, 9, "0 (the only track)", "") for i in range(6)]
    rows += [Row("jig%d.mid" % i, 9, "0 (the only track)", SIX_EIGHT) for i in range(7)]
    with caplog.at_level("INFO"):
        report.say(Latents((), 117, 256, tuple(rows)), "examples.tsv")
    named = [row for message in caplog.messages for row in rows if row.path in message]
    assert [row.path for row in named] == ["reel%d.mid" % i for i in range(5)] + ["jig%d.mid" % i for i in range(5)]
    assert caplog.messages[6] == "  jig0.mid: track 0 (the only track); " + SIX_EIGHT
    assert caplog.messages[-1] == "  ... and 2 more songs that are not in 4/4; all are in examples.tsv"


@pytest.mark.parametrize(
    ("reason", "is_said"),
    [
        (SIX_EIGHT, True),
        ("left out by --metre=4/4: 3/4 from bar 1; --metre=any reads it", True),
        ("moved up 1 octave, to be in MusicVAE's range", False),
        ("", False),
    ],
)
def test_which_songs_are_said_to_be_in_another_metre(reason, is_said, caplog):
    rows = [Row("reel.mid", 9, "0", "") for _ in range(5)] + [Row("last.mid", 9, "0", reason)]
    with caplog.at_level("INFO"):
        report.say(Latents((), 54, 256, tuple(rows)), "examples.tsv")
    assert any("last.mid" in message for message in caplog.messages) is is_said


def test_the_page_has_a_songs_own_bars():
    assert page.heard(eighths(7.5), "jig.mid").bars == [0, 1.5, 3, 4.5]
    assert page.heard(changing((0, 4, 4), (8, 3, 4), quarters=14), "song.mid").bars == [0, 2, 4, 5.5, 7]


def onset_f1(a, b):
    a, b = ({(round(n.start_time * 8), n.pitch) for n in s.notes} for s in (a, b))
    return 2 * len(a & b) / max(1, len(a) + len(b))


@pytest.mark.slow
def test_a_model_of_jigs_makes_and_gives_back_bars_of_jigs(tmp_path, caplog):
    run = str(tmp_path / "run")
    pitches = np.random.RandomState(3).choice([60, 62, 64, 65, 67, 69, 71, 72], 96)
    notes = [(i / 2, i / 2 + 0.5, int(pitch)) for i, pitch in enumerate(pitches)]  # 16 bars
    jig, two_bars = (melody(some, time_signature=(6, 8)) for some in (notes, notes[:12]))
    lc_music_vae.train(SMALL, write_midi(jig, tmp_path / "jig.mid"), run, num_steps=500, seed=1)
    assert run_dir_lib.at(run).read().music.time_signature == "6/8"
    with lc_music_vae.TrainedModel(run, seed=1) as model:
        with caplog.at_level("INFO"):
            again = model.reconstruct(jig)
        assert "the song: track 0 (the only track); " + SIX_EIGHT in caplog.messages
        assert onset_f1(again, jig) > 0.6
        assert "F1 of its notes, by start and pitch: %.2f" % onset_f1(again, jig) in caplog.messages
        for made in model.sample(3) + model.similar(two_bars, 3):
            assert made.total_time == pytest.approx(3)
            assert max(n.end_time for n in made.notes) <= 3 + 1e-6
            assert [(s.numerator, s.denominator) for s in made.time_signatures] == [(6, 8)]
