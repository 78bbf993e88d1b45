"""MIDI files that are right stay what they are; `test_oddities.py` has those that are not."""

import os

import note_seq
import pytest
from conftest import EXAMPLE, SONGS

from lc_music_vae import midi


@pytest.mark.parametrize("path", SONGS + [EXAMPLE], ids=os.path.basename)
def test_songs_that_keep_the_standard_are_read_as_note_seq_reads_them(path):
    with open(path, "rb") as f:
        content = f.read()
    right = midi.put_right(content)
    assert note_seq.midi_to_note_sequence(right) == note_seq.midi_to_note_sequence(content)
    assert midi.put_right(right) == right
