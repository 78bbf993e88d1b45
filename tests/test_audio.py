import os
import sys

import numpy as np
import pytest
from helpers import check_two_notes, drum_beat, loudest_hertz, melody, read_wav, within

from lc_music_vae.errors import InputError
from lc_music_vae.showing import audio

# Stands for FluidSynth: looks at what it is told, and at the MIDI file, and plays each note as a sine in its place.
FAKE = """#!%s
import os, sys
import numpy as np, pretty_midi
arguments = sys.argv[1:]
assert arguments[:4] == ["-f", os.devnull, "-n", "-i"], arguments
options = dict(zip(arguments[4:14:2], arguments[5:14:2]))
raw, soundfont, midi = options.pop("-F"), *arguments[14:]
assert options == {"-r": "44100", "-T": "raw", "-O": "float", "-E": "little"}, options
assert open(soundfont, "rb").read(4) == b"RIFF"
if os.environ.get("FAKE_FAILS"):
    print("fluidsynth: error: out of luck", file=sys.stderr)
    sys.exit(3)
sound = np.zeros((44100 * 9, 2), "<f4")
for note in pretty_midi.PrettyMIDI(midi).instruments[0].notes:
    a, b = int(note.start * 44100 + 0.5), int(note.end * 44100 + 0.5) + 22050  # rings on for half a second
    hertz = pretty_midi.note_number_to_hz(note.pitch)
    sound[a:b, 0] += 3 * np.sin(2 * np.pi * hertz * np.arange(b - a) / 44100)
if os.environ.get("FAKE_SILENT"):
    sound[:] = 0
if os.environ.get("FAKE_SHORT"):
    sound = sound[: int(44100 * float(os.environ["FAKE_SHORT"]))]
if not os.environ.get("FAKE_NOTHING"):
    sound.tofile(raw)
"""


@pytest.fixture(autouse=True)
def _no_fluidsynth(monkeypatch):
    """What is installed here does not matter."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv(audio.VARIABLE, raising=False)


@pytest.fixture
def fake(tmp_path, monkeypatch):
    path = tmp_path / "bin" / "fluidsynth"
    path.parent.mkdir()
    path.write_text(FAKE % sys.executable)
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(path.parent))
    return str(path)


def test_a_note_has_its_pitch_its_place_and_the_file_the_length_of_the_sequence(tmp_path):
    assert check_two_notes(tmp_path / "plain.wav", audio.Engine()).shape[1] == 1


def test_fluidsynth_is_given_the_notes_and_its_sound_is_cut_to_length_and_never_clips(fake, tmp_path, caplog):
    caplog.set_level("INFO")
    engine = audio.find_engine()
    assert engine.program == fake
    assert caplog.messages == ["--audio: by FluidSynth with %s" % engine.soundfont]
    sound = check_two_notes(tmp_path / "a.wav", engine)
    assert sound.shape[1] == 2
    assert np.abs(sound[:, 1]).max() == 0  # channels are not mixed up
    assert np.mean(np.abs(sound) > 0.89) < 0.05  # three times full scale was turned down, not cut off
    sounding = melody([(0, 8, 60)])
    audio.render(sounding, str(tmp_path / "b.wav"), engine)
    sound = read_wav(tmp_path / "b.wav")
    assert np.abs(sound[-20:]).max() < 0.03  # a note that rings on at the end is faded
    assert np.abs(sound).max() == pytest.approx(0.9, abs=1e-3)
    assert np.abs(sound[-4410:-2205]).max() > 0.85  # in no time


def test_same_sequence_same_bytes_and_no_file_is_overwritten(tmp_path):
    for name in ("a", "b"):
        audio.render(drum_beat(2), str(tmp_path / name), audio.Engine())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    with pytest.raises(FileExistsError):
        audio.render(melody([(0, 1, 60)]), str(tmp_path / "a"), audio.Engine())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert sorted(os.listdir(str(tmp_path))) == ["a", "b"]


def test_drums_are_heard_without_fluidsynth(tmp_path):
    """note-seq's synthesiser leaves them out, and divides by zero where there is nothing else."""
    beat = drum_beat(1)
    audio.render(beat, str(tmp_path / "drums.wav"), audio.Engine())
    sound = read_wav(tmp_path / "drums.wav")
    assert len(sound) == 44100 * max(note.end_time for note in beat.notes)  # one bass drum is held beyond the bar
    for note in beat.notes:
        start = int(note.start_time * 44100)
        assert np.abs(sound[start : start + 900]).max() > 0.05, note
    kick, hat = sound[:4410, 0], sound[11025 : 11025 + 4410, 0]
    assert loudest_hertz(kick) < 200 < 1000 < loudest_hertz(hat)
    beat.MergeFrom(melody([(0, 4, 81)]))
    audio.render(beat, str(tmp_path / "both.wav"), audio.Engine())
    both = read_wav(tmp_path / "both.wav")[:, 0]
    assert loudest_hertz(both[11025:22050]) == pytest.approx(880, abs=4)
    assert np.abs(both).max() == pytest.approx(0.9, abs=1e-3)


def drums(tmp_path, *notes, rest=0.5):
    """What is heard of drums, (seconds, pitch, velocity), and of so many seconds after the last begins."""
    sequence = drum_beat(1)
    del sequence.notes[:]
    for start, pitch, velocity in notes:
        sequence.notes.add(start_time=start, end_time=start + 0.05, pitch=pitch, velocity=velocity, is_drum=True)
    sequence.total_time = max(start for start, _, _ in notes) + rest
    path = str(tmp_path / ("%d.wav" % len(os.listdir(str(tmp_path)))))
    audio.render(sequence, path, audio.Engine())
    return read_wav(path)[:, 0]


@pytest.mark.parametrize("pitch", [35, 36])
def test_a_bass_drum_is_a_thump_and_a_soft_one_softer(pitch, tmp_path):
    sound = drums(tmp_path, (0, pitch, 100), (1, pitch, 50))
    assert loudest_hertz(np.pad(sound[:8820], [(0, 44100)], mode="constant")) == pytest.approx(60, abs=5)
    peaks = [np.abs(sound[at : at + 8820]).max() for at in (0, 44100)]
    assert peaks == [pytest.approx(0.9, abs=1e-3), pytest.approx(0.45, abs=1e-3)]
    assert np.abs(sound[6615:8820]).max() < 0.15  # it is over
    assert not sound[8820:44100].any()
    assert len(drums(tmp_path, (1, pitch, 100), rest=0.1)) == 48510  # its end is cut off


def test_other_drums_are_noise_that_is_not_louder_and_all_sound_at_once(tmp_path):
    sound = drums(tmp_path, (0, 42, 100), (1, 36, 100))
    hat, bass = (np.abs(sound[at : at + 8820]).max() for at in (0, 44100))
    assert 0.3 < hat / bass < 0.6
    assert np.abs(sound[4410:8820]).max() < 0.1 * hat
    for pair in ((36, 42), (42, 36)):
        both = drums(tmp_path, *((0, pitch, 100) for pitch in pair))[:4410]
        spectrum = np.abs(np.fft.rfft(both))
        assert spectrum[4:9].max() > 300  # 40 to 90 Hz
        assert spectrum[100:].max() > 10


@pytest.mark.parametrize("total_time", [0.0, 2.0])
def test_silence_is_silence_of_its_length(total_time, tmp_path):
    silent = melody([(0, 1, 60)])
    del silent.notes[:]
    silent.total_time = total_time
    audio.render(silent, str(tmp_path / "a.wav"), audio.Engine())
    sound = read_wav(tmp_path / "a.wav")
    assert len(sound) == total_time * 44100
    assert not sound.any()


def test_the_soundfont_asked_for_is_taken_or_its_absence_said(fake, tmp_path, monkeypatch):
    own = tmp_path / "own.sf2"
    monkeypatch.setenv(audio.VARIABLE, str(own))
    for text in (None, b"RIFF\0\0\0\0WAVE", b""):
        if text is not None:
            own.write_bytes(text)
        with pytest.raises(InputError, match=r"^\$LC_MUSIC_VAE_SOUNDFONT=.*own.sf2: no soundfont there; name a .sf2"):
            audio.find_engine()
    own.write_bytes(b"RIFF\0\0\0\0sfbk")
    assert audio.find_engine() == audio.Engine(fake, str(own))


def test_soundfonts_that_a_distribution_calls_its_default_come_first(fake, tmp_path, monkeypatch):
    places = ["/usr/share/%s.sf2" % name for name in ("sounds/sf2/default*", "soundfonts/default*")]
    places += ["/usr/share/%s.sf2" % name for name in ("sounds/sf2/*", "soundfonts/*")]
    found = {}
    monkeypatch.setattr(audio.glob, "glob", lambda place: found.get(place, []))
    for i, place in reversed(list(enumerate(places))):
        damaged, good = str(tmp_path / ("%da.sf2" % i)), str(tmp_path / ("%db.sf2" % i))
        for path, content in ((damaged, b"RIFF"), (good, b"RIFF\0\0\0\0sfbk and more")):
            with open(path, "wb") as f:
                f.write(content)
        found[place] = [good, damaged]
        assert audio.find_engine().soundfont == good


def test_without_a_soundfont_in_the_usual_places_pretty_midis_own_is_taken(fake, monkeypatch):
    monkeypatch.setattr(audio, "_PLACES", ("/nowhere/*.sf2",))
    found = audio.find_engine().soundfont
    assert os.path.basename(found) == "TimGM6mb.sf2"
    assert os.path.getsize(found) > 5e6


def test_without_fluidsynth_the_log_says_how_to_get_it(caplog):
    caplog.set_level("INFO")
    assert audio.find_engine() == audio.Engine()
    (said,) = caplog.messages
    assert "note-seq's plain synthesiser" in said
    assert "apt install fluidsynth, brew install fluid-synth" in said


def test_when_fluidsynth_fails_its_last_line_is_said_and_no_file_is_left(fake, tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    monkeypatch.setenv("FAKE_FAILS", "1")
    with pytest.raises(InputError, match=r"fluidsynth ended with status 3 and said: fluidsynth: error: out of luck$"):
        audio.render(melody([(0, 1, 60)]), str(path), audio.find_engine())
    monkeypatch.delenv("FAKE_FAILS")
    monkeypatch.setenv("FAKE_SILENT", "1")
    with pytest.raises(
        InputError, match=r"^%s rendered silence with .*; choose another by \$%s$" % (fake, audio.VARIABLE)
    ):
        audio.render(melody([(0, 1, 60)]), str(path), audio.find_engine())
    monkeypatch.delenv("FAKE_SILENT")
    monkeypatch.setenv("FAKE_NOTHING", "1")
    with pytest.raises(InputError, match="fluidsynth ended with status 0 and said: nothing$"):
        audio.render(melody([(0, 1, 60)]), str(path), audio.find_engine())
    assert not path.exists()


def test_when_fluidsynth_had_no_room(fake, tmp_path, monkeypatch):
    """It says nothing of that. A tenth of a second may be missing before the last note's end."""
    path = tmp_path / "a.wav"
    monkeypatch.setenv("FAKE_SHORT", "3.85")
    with pytest.raises(InputError, match=r"out.raw: %s wrote only part of the sound; see that there is room$" % fake):
        audio.render(melody([(0, 8, 60)]), str(path), audio.find_engine())
    assert not path.exists()
    monkeypatch.setenv("FAKE_SHORT", "3.91")
    audio.render(melody([(0, 8, 60)]), str(path), audio.find_engine())
    assert len(read_wav(path)) == 4 * 44100


def test_blocks_leave_no_trace(tmp_path, monkeypatch):
    audio.render(drum_beat(2), str(tmp_path / "whole"), audio.Engine())
    monkeypatch.setattr(audio, "_BLOCK", 1000)
    audio.render(drum_beat(2), str(tmp_path / "blocks"), audio.Engine())
    assert (tmp_path / "blocks").read_bytes() == (tmp_path / "whole").read_bytes()


@pytest.mark.faults("what would take all memory or time")
def test_more_than_an_hour_of_sound_is_refused_before_it_takes_memory(tmp_path):
    with pytest.raises(InputError, match="a.wav: 2.8 hours of sound; at most 1 is rendered: leave out audio$"):
        audio.render(melody([(0, 20000, 60)]), str(tmp_path / "a.wav"), audio.Engine())
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.faults("pipes, devices and folders in place of files")
def test_a_soundfont_that_is_a_pipe_is_not_waited_for(tmp_path, monkeypatch):
    os.mkfifo(str(tmp_path / "pipe.sf2"))
    monkeypatch.setenv(audio.VARIABLE, str(tmp_path / "pipe.sf2"))
    with within(5), pytest.raises(InputError, match="no soundfont there; name a .sf2 file, or unset it"):
        audio.find_engine()
