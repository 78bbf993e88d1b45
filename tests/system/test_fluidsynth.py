"""`make test-audio`: rendering by the FluidSynth that is installed."""

import shutil

import numpy as np
import pytest
from helpers import check_two_notes, drum_beat, loudest_hertz, melody, read_wav

from lc_music_vae.showing import audio


@pytest.fixture(params=["found", "pretty_midi's"])
def engine(request, monkeypatch):
    if shutil.which("fluidsynth") is None:
        pytest.exit("no FluidSynth: apt install fluidsynth, or brew install fluid-synth", returncode=1)
    if request.param != "found":
        monkeypatch.setattr(audio, "_PLACES", ())
        monkeypatch.delenv(audio.VARIABLE, raising=False)
    return audio.find_engine()


def test_notes_have_their_pitch_place_and_length(engine, tmp_path):
    sound = check_two_notes(tmp_path / "a.wav", engine, cents=15.0)
    assert sound.shape[1] == 2
    assert np.abs(sound).max(0).min() > 0.2  # both channels are heard


def test_same_bytes_again_and_each_drum_is_heard(engine, tmp_path):
    beat = drum_beat(2)
    for name in ("a", "b"):
        audio.render(beat, str(tmp_path / name), engine)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    sound = read_wav(tmp_path / "a")
    for note in beat.notes:
        start = int(note.start_time * 44100)
        assert np.abs(sound[start : start + 2000]).max() > 0.02, note


def test_programs_sound_each_its_own_way(engine, tmp_path):
    sounds = []
    for program in (0, 73):
        audio.render(melody([(0, 4, 69)], program=program), str(tmp_path / str(program)), engine)
        sounds.append(read_wav(tmp_path / str(program)))
        assert abs(1200 * np.log2(loudest_hertz(sounds[-1][:, 0]) / 440)) < 15
    piano, flute = (np.abs(s[80000:88000]).mean() / np.abs(s[5000:13000]).mean() for s in sounds)
    assert piano < 0.6 < flute  # a piano's note dies away, a flute's does not
