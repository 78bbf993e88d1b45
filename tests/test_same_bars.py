"""Bars of outputs that are bars of the songs, note for note."""

import numpy as np
import pytest
from helpers import EXAMPLE

import lc_music_vae
from lc_music_vae import data
from lc_music_vae.checkpoints import run_dir
from lc_music_vae.encoding import latents
from lc_music_vae.encoding.same_bars import MIN_NOTES, SongBars

BAR = 96  # ticks of 4/4


@pytest.fixture(scope="module")
def table(trained):
    return latents.read_notes(run_dir.at(trained).shards(), 1000)


def bars_of(notes, ticks=BAR):
    """Sets of (start in the bar, pitch), by number of the bar from 1: the definition."""
    found = {}
    for start, _, pitch in notes.tolist():
        found.setdefault(start // ticks + 1, set()).add((start % ticks, pitch))
    return found


def test_each_bar_is_found_where_the_song_has_it_first(table, trained):
    """Two bars of the song in the other order, the second with another last note."""
    records = list(latents.read(run_dir.at(trained).shards()))
    song = {}
    for record in records:
        for bar, notes in bars_of(record["notes"]).items():
            song.setdefault(record["first_bar"] + bar, notes)
    (found,) = SongBars(table, BAR).in_outputs([records[4]["notes"]])
    wanted = {bar: notes for bar, notes in bars_of(records[4]["notes"]).items() if len(notes) >= MIN_NOTES}
    assert [one.bar for one in found] == sorted(wanted)
    for one in found:
        assert song[one.song_bar] == wanted[one.bar]
        assert one.song == EXAMPLE
        assert not any(song[bar] == wanted[one.bar] for bar in range(1, one.song_bar))
    changed = records[4]["notes"].copy()
    changed[-1, 2] += 1
    (found_in_changed,) = SongBars(table, BAR).in_outputs([changed])
    assert found_in_changed == [one for one in found if one.bar == 1]
    assert found_in_changed


def test_bars_are_as_long_as_the_metre_has_them():
    """A jig's bars of 72 ticks, the second of them in the output's first."""
    jig = np.array([[12 * i, 12 * i + 12, pitch] for i, pitch in enumerate((60, 62, 64, 65, 67, 69) * 2)])
    jig[6:, 2] += 12
    table = latents.Notes(
        jig, np.array([12]), np.array([0]), np.ones([1, 1], bool), np.array([b"j"]), np.array([[2, 3]])
    )
    output = jig[6:] - [72, 72, 0]
    (found,) = SongBars(table, 72).in_outputs([output])
    assert found == [(1, "j", 4)]
    assert SongBars(table, BAR).in_outputs([output]) == [[]]


def test_short_bars_and_bars_of_rest_say_nothing(table):
    three = np.array([[0, 24, 64], [24, 48, 64], [48, 72, 65]])
    empty = latents.Notes(
        np.zeros([0, 3], int),
        np.zeros(0, int),
        np.zeros(0, int),
        np.zeros([0, 0], bool),
        np.zeros(0, object),
        three[:0],
    )
    assert SongBars(table, BAR).in_outputs([three, three[:0]]) == [[], []]
    assert SongBars(empty, BAR).in_outputs([three]) == [[]]


def test_a_key_that_was_trained_on_counts(tmp_path):
    lc_music_vae.train(
        "lc-cat-mel_2bar_small",
        EXAMPLE,
        str(tmp_path),
        num_steps=1,
        hparams="latent_encoder_layers=8,latent_decoder_layers=8",
        augment=True,
    )
    with lc_music_vae.TrainedModel(str(tmp_path)) as model:
        table = latents.read_notes(run_dir.at(str(tmp_path)).shards(), 1000)
        own = data.to_note_sequence(table.notes[: table.lengths[0]] + [0, 0, 2])
        far = data.to_note_sequence(table.notes[: table.lengths[0]] + [0, 0, 11])
        near, none = model.same_bars([own, far])
    assert [(one.bar, one.song_bar) for one in near][0] == (1, 1)
    assert none == []
