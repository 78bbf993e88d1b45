"""Whole tunes: repeats are repeats, the length and the ending are right, nothing is copied, a seed gives them again."""

import re

import note_seq
import numpy as np
import pytest
from helpers import EXAMPLE, drum_and_band, drum_beat, generate, layers, melody, midi_in, one_line, tune, write_midi

import lc_music_vae
from lc_music_vae import composer, data
from lc_music_vae.composer import joined
from lc_music_vae.encoding import song_forms
from lc_music_vae.models import rotation, tunes
from lc_music_vae.music import examples
from lc_music_vae.music import form as forms
from lc_music_vae.music.source import Song
from lc_music_vae.music.style import bar_quarters
from lc_music_vae.showing import index

pytestmark = pytest.mark.slow


def bars_of(sequence, first, count):
    """Starts and pitches of the notes in some bars of four quarters, in ticks from their start."""
    notes = data.notes_of(sequence)
    bar = 4 * data.TICKS_PER_QUARTER
    here = notes[(notes[:, 0] >= first * bar) & (notes[:, 0] < (first + count) * bar)]
    return (here[:, [0, 2]] - [first * bar, 0]).tolist()


def test_equal_letters_are_equal_notes_and_a_variation_begins_the_same(trained):
    with lc_music_vae.TrainedModel(trained, seed=3) as model:
        (sequence,) = model.compose(32, form="AABA'")
        (again,) = model.compose(32, form="AABA'")
        (other,) = model.compose(32, form="AABA'", seed=4)
    assert bars_of(sequence, 0, 8) == bars_of(sequence, 8, 8) != []
    assert bars_of(sequence, 24, 4) == bars_of(sequence, 0, 4)
    assert bars_of(sequence, 16, 8) != bars_of(sequence, 0, 8)
    assert sequence == again
    assert sequence != other


def test_a_tune_repeats_where_its_song_does_and_has_the_bars_asked_for(trained):
    with lc_music_vae.TrainedModel(trained, seed=3) as model:
        made_tunes = model.compose(15, 2)
        nearest = model.nearest(model.decode(made_tunes.made[0].latents))
        bar = 4 * 60 / model.qpm
    assert nearest is not None
    for sequence, made in zip(made_tunes, made_tunes.made):
        assert sequence.total_time == pytest.approx(15 * bar)
        assert all(0 <= note.start_time < note.end_time <= 15 * bar + 1e-6 for note in sequence.notes)
        assert len(made.places) == 8
        assert made.copies == 0
        for i, first in enumerate(made.places):
            for j, second in enumerate(made.places[:7]):
                if first == second and i < 7:
                    assert bars_of(sequence, 2 * i, 2) == bars_of(sequence, 2 * j, 2)


def test_each_tune_has_the_form_of_the_song_that_is_drawn_for_it(trained, monkeypatch):
    (first,) = examples.read(EXAMPLE)
    notes = tune(8)  # twice
    second = Song("second", melody(notes + [(start + 32, end + 32, pitch) for start, end, pitch in notes]))
    drawn = []
    monkeypatch.setattr(
        song_forms, "find", lambda form, run_path, key: drawn.append(key) or (first, second)[key[1] % 2]
    )
    with lc_music_vae.TrainedModel(trained, seed=3) as model:
        made = model.compose(16, 4).made
        expected = [forms.fitted(song_forms.of_song(model.converter, one).places, 8, 2)[0] for one in (first, second)]
    assert [one.form for one in made] == [first.name, "second"] * 2
    assert [list(one.places) for one in made] == [list(places) for places in expected] * 2
    assert expected[0] != expected[1]
    assert len(drawn) == 4


def test_a_tune_is_the_same_however_many_are_composed_with_it(trained):
    with lc_music_vae.TrainedModel(trained, seed=3) as model:
        assert model.compose(16, 1, form="AABA")[0] == model.compose(16, 3, form="AABA")[0]


def test_windows_are_joined_and_a_note_is_held_to_the_next():
    long, short = (melody([(0, 6, 60), (6, end, 62)], qpm=120) for end in (8, 7))
    second, silence = melody([(3, 8, 64)], qpm=120), note_seq.NoteSequence()
    assert len(joined([long, silence, long], 4, 12, held=[True, True]).notes) == 4
    for first, held, end in ((long, (), 8), (long, [False], 8), (long, [True], 11), (short, [True], 7)):
        whole = joined([first, second], 4, 7.5, held=held)
        quarters = [(2 * n.start_time, 2 * n.end_time, n.pitch) for n in whole.notes]
        np.testing.assert_allclose(quarters, [(0, 6, 60), (6, end, 62), (11, 15, 64)])
        assert whole.total_time == 7.5


def test_notes_are_held_where_the_tune_that_was_composed_says_so(trained, monkeypatch):
    compose, joins = tunes.compose, []

    def join(*arguments, held):
        joins.append(held)
        return note_seq.NoteSequence()

    def all_held(*arguments):
        return [one._replace(held=frozenset({(0, 1)})) for one in compose(*arguments)]

    with lc_music_vae.TrainedModel(trained, seed=3) as model:
        monkeypatch.setattr(tunes, "compose", all_held)
        monkeypatch.setattr(composer, "joined", join)
        (tune,) = model.compose(16, form="AABA").made
    assert tune.places == [0, 1, 0, 1, 2, 3, 0, 1]
    assert joins == [[True, False, True, False, False, False, True]]


def test_the_song_that_gave_the_form_is_shown_bar_by_bar(trained, tmp_path):
    song = melody(tune(8), qpm=90)
    path = write_midi(song, tmp_path / "song.mid")
    with lc_music_vae.TrainedModel(trained, seed=3) as model:
        (made,) = model.compose(16, form=path).made
        assert model.compose(8, form="AABA").made[0].song is None
        waltz = write_midi(melody(tune(8), time_signature=(3, 4)), tmp_path / "waltz.mid")
        assert model.compose(4, form=waltz).made[0].song is None  # its bars are no bars of the tune
        assert made.song.total_time == pytest.approx(16 * 4 * 60 / model.qpm)
    given = [bars_of(song, 2 * i, 2) for i in range(4)]
    assert [bars_of(made.song, 2 * i, 2) for i in range(8)] == [given[i] for i in (0, 1, 2, 3, 0, 1, 2, 3)]


@pytest.mark.usefixtures("no_pictures")
def test_near_copies_are_known_in_a_metre_whose_bars_do_not_fill_a_window(tmp_path):
    """Two bars of 3/4 have 24 of the 32 steps: what follows them in a window is no part of a tune."""
    waltz = write_midi(melody(tune(12), time_signature=(3, 4)), tmp_path / "waltz.mid")
    lc_music_vae.train("lc-cat-mel_2bar_small", waltz, str(tmp_path / "run"), num_steps=2)
    with lc_music_vae.TrainedModel(str(tmp_path / "run")) as model:
        converter = model.converter
        own = converter.windows(converter.score(Song("waltz", melody(tune(12), time_signature=(3, 4)))))
        other = converter.windows(converter.score(Song("other", melody(tune(12, seed=7), time_signature=(3, 4)))))
        found = composer.Composer(model._means(), 0.5)._is_copy([window.outputs for window in [*own, *other]])
    assert len(own) > 6
    assert found.tolist() == [True] * len(own) + [False] * len(other)


def test_given_bars_stay_and_what_comes_after_them_sounds_as_they_do_and_differs(trained, tmp_path):
    song = melody([(s, e, p - 12) for s, e, p in tune(16, seed=5)], qpm=95, program=40)
    path = write_midi(song, tmp_path / "song.mid")
    given, first, second = (str(tmp_path / name) for name in ("given", "first", "second"))
    generate("continue", trained, given, input_midi_1=path, num_bars=8, num_outputs=2, seed=1)
    made = [note_seq.midi_file_to_note_sequence(name) for name in midi_in(given)]
    for one in made:
        assert bars_of(one, 0, 8) == bars_of(song, 8, 8)
        assert bars_of(one, 8, 8) != []
        assert max(note.end_time for note in one.notes) <= 16 * 4 * 60 / 95 + 1e-6
        assert {note.program for note in one.notes} == {40}
        assert one.tempos[0].qpm == pytest.approx(95, rel=1e-4)
        assert abs(np.mean([n.pitch for n in one.notes]) - np.mean([n.pitch for n in song.notes])) < 12
    assert bars_of(made[0], 8, 8) != bars_of(made[1], 8, 8)
    generate("continue", trained, first, input_midi_1=path, input_bars_1="3-6", num_bars=5, num_outputs=1, seed=1)
    (one,) = [note_seq.midi_file_to_note_sequence(name) for name in midi_in(first)]
    assert bars_of(one, 0, 4) == bars_of(song, 2, 4)
    assert max(note.end_time for note in one.notes) <= 9 * 4 * 60 / 95 + 1e-6
    generate("continue", trained, second, input_midi_1=path, num_bars=8, num_outputs=1, seed=1, form=EXAMPLE)
    (record,) = index.read(second)[0][0].outputs
    assert record.tune["form"] == "ode_to_joy.mid"
    assert record.title == "000: 8 bars of song.mid, going on as ode_to_joy.mid"
    assert record.tune["places"][:4] == [0, 1, 2, 3]
    assert record.tune["num_bars"] == 16


def test_what_goes_on_comes_back_to_the_given_bars_where_the_song_does(trained, tmp_path):
    """The song is a b c d a b c d; given a b c d, it goes on with these again, whatever else is drawn."""
    notes = tune(8, seed=2)
    path = write_midi(melody(notes + [(s + 32, e + 32, p) for s, e, p in notes]), tmp_path / "twice.mid")
    with lc_music_vae.TrainedModel(trained, seed=3) as model:
        (one,) = model.go_on(path, 8, bars=(1, 8), form=path)
    assert bars_of(one, 0, 8) == bars_of(one, 8, 8) == bars_of(examples.read_one(path).note_sequence, 0, 8)


def test_the_key_of_what_goes_on_turns_the_songs_path_to_its_points(trained, tmp_path):
    path = write_midi(melody(tune(16, seed=5)), tmp_path / "song.mid")
    with lc_music_vae.TrainedModel(trained, seed=3) as model:
        made = model.go_on(path, 8, 2, form=EXAMPLE).made
        song = song_forms.of_song(model.converter, examples.read_one(EXAMPLE))
        way, _ = model.hear(song.windows)
    assert made[0].rotation_key != made[1].rotation_key
    for one in made:
        given, new = one.latents[:4], one.latents[4:]
        turned = [way @ rotation.leading(start, given[-1], one.rotation_key) for start in way]  # from one of its places
        far = [max(np.abs(points - point).max(1).min() for point in new) for points in turned]
        assert len(new) >= 2
        assert min(far) < 1e-4


def test_a_tune_is_varied_as_a_whole_and_its_repeats_stay_repeats(trained, tmp_path):
    with lc_music_vae.TrainedModel(trained, seed=3) as model:
        (sequence,) = model.compose(16, form="AABA")
        path = write_midi(sequence, tmp_path / "tune.mid")
        song = examples.read_one(path).note_sequence
        sets = {s: model.vary(song, 16, 4, similarity=s) for s in (1.0, 0.5, 0.0)}
        again = model.vary(song, 16, 4, similarity=0.5)
    assert again == sets[0.5]
    whole = {tuple(x) for x in bars_of(sequence, 0, 16)}
    alike = {}
    for similarity, made in sets.items():
        found = [{tuple(x) for x in bars_of(one, 0, 16)} for one in made]
        alike[similarity] = np.mean([2 * len(whole & x) / (len(whole) + len(x)) for x in found])
        for one in made:
            assert bars_of(one, 0, 4) == bars_of(one, 4, 4) != []
    assert alike[0.0] < alike[0.5] < alike[1.0]
    assert alike[1.0] > 0.8


def test_what_cannot_be_gone_on_from_or_varied_is_one_line(trained, tmp_path):
    both = write_midi(melody([(0, 3, 60), (3, 6, 62)], time_signature=(3, 4)), tmp_path / "short.mid")
    out = str(tmp_path / "out")
    assert "takes its form from a song" in one_line(generate, "continue", trained, out, input_midi_1=both, form="AABA")
    error = one_line(generate, "similar", trained, out, input_midi_1=both, num_bars=8, input_bars_1="1-2")
    assert error == "num_bars varies a whole tune; leave out input_bars_1=1-2"
    error = one_line(generate, "continue", trained, out, input_midi_1=both, input_bars_1="1-9")
    assert re.match("input_bars_1=1-9: .*short.mid has 2 bars$", error)


def test_tunes_follow_a_knob(trained):
    with lc_music_vae.TrainedModel(trained, seed=3) as model:
        (name,) = [knob.name for knob in model.knobs if knob.name == "register"]
        heights = []
        for value in (-2.5, 0, 2.5):
            made = model.compose(16, 4, form="AABA", knobs={name: value} if value else None)
            heights.append(np.mean([note.pitch for one in made for note in one.notes]))
            assert all(bars_of(one, 0, 4) == bars_of(one, 4, 4) for one in made)
        scale = next(knob.scale for knob in model.knobs if knob.name == name)
    assert heights[0] + 0.4 * scale < heights[1] < heights[2] - 0.4 * scale
    assert heights[0] + 1.5 * scale < heights[2]


def test_the_prior_moves_with_the_knobs(trained):
    """What is decoded where knobs lead is as likely there as the same is without them."""
    with lc_music_vae.TrainedModel(trained, seed=3) as model:
        turn = model.knobs.shift({"register": 2})
        plain, turned = (composer.Composer(model._means(), 0.5, by) for by in (0.0, turn))
        where, keys = np.zeros([4, model.encoded_z_size]), np.array([[3, i] for i in range(4)])
        windows = turned._decode(where, keys, 0.5)
        (nats, at), (moved_nats, moved_at) = (one._hear(windows) for one in (plain, turned))
    np.testing.assert_allclose(moved_at, at - turn, atol=1e-5)
    assert np.mean(moved_nats) > np.mean(nats)


def test_what_gives_no_form_is_named(trained):
    with lc_music_vae.TrainedModel(trained, seed=3) as model:
        assert "form=nowhere.mid is no music file" in one_line(model.compose, 32, form="nowhere.mid")
        assert "num_bars=0" in one_line(model.compose, 0)
        assert "comes before the A" in one_line(model.compose, 32, form="A'A")


def test_the_command_writes_whole_tunes_and_the_index_says_how_they_were_made(trained, tmp_path):
    paths = generate("compose", trained, str(tmp_path), form="AABA", num_bars=16, num_outputs=2, seed=5)
    assert [path.rsplit(".", 1)[1] for path in paths] == ["mid", "mid", "png"]
    for path in paths[:2]:
        assert max(note.end_time for note in note_seq.midi_file_to_note_sequence(path).notes) > 16
    (run,), faults = index.read(str(tmp_path))
    assert faults == []
    assert (run.num_bars, run.form, run.seed) == (16, "AABA", 5)
    for output in run.outputs:
        assert output.tune["places"] == [0, 1, 0, 1, 2, 3, 0, 1]
        assert len(output.tune["latents"]) == max(output.tune["places"]) + 1
    assert run.outputs[0].tune["rotation_key"] != run.outputs[1].tune["rotation_key"]


def test_a_tune_whose_last_window_is_its_own_ends_on_the_songs_last_pitch_held_to_the_end(trained, tmp_path):
    with lc_music_vae.TrainedModel(trained, seed=3) as model:
        song, path = melody(tune(16)), str(tmp_path / "song.mid")
        write_midi(song, path)
        home = max(song.notes, key=lambda note: note.start_time).pitch % 12
        whole = model.compose(16, 3, form=path)
        early = model.compose(15, 3, form=path)
    ended = [(s, made) for s, made in zip(whole, whole.made) if list(made.places).count(made.places[-1]) == 1]
    assert ended
    for sequence in [*early, *(sequence for sequence, _ in ended)]:
        last = max(sequence.notes, key=lambda note: note.start_time)
        assert last.pitch % 12 == home
        assert last.end_time == pytest.approx(sequence.total_time)


@pytest.mark.parametrize(
    ("music_vae", "song"),
    [
        ("cat-drums_2bar_small", drum_beat(8)),
        pytest.param("hierdec-trio_16bar", drum_and_band(48), marks=pytest.mark.every),
        pytest.param("hier-mel_16bar", melody(tune(48), time_signature=(3, 4)), marks=pytest.mark.every),
    ],
)
def test_every_kind_of_window_makes_tunes(cut_down, tmp_path, monkeypatch, music_vae, song):
    monkeypatch.setattr(tunes, "_MAX_ROUNDS", 1)  # the others are the same again
    monkeypatch.setitem(lc_music_vae.CONFIG_MAP, "lc-other", lc_music_vae.Config(music_vae=music_vae))
    path = write_midi(song, tmp_path / "song.mid")
    run_dir = str(tmp_path / "run")
    lc_music_vae.train("lc-other", path, run_dir, pretrained_path=cut_down[music_vae], num_steps=2, hparams=layers(8))
    with lc_music_vae.TrainedModel(run_dir, seed=1) as model:
        bar = bar_quarters(*map(int, model.time_signature.split("/"))) * 60 / model.qpm
        (sequence,) = model.compose(32, form=path)
    assert sequence.total_time == pytest.approx(32 * bar)
    assert sequence.notes
    assert all(note.end_time <= 32 * bar + 1e-6 for note in sequence.notes)
