"""Renders a NoteSequence as a WAV file, with FluidSynth if it is installed, else with note-seq's simple synthesiser.

Large packages are imported only when a file is rendered, so `find_engine` answers at once.
"""

import glob
import logging
import os
import shutil
import subprocess
import wave
from typing import Any, NamedTuple

from lc_music_vae.errors import InputError
from lc_music_vae.system import files, requirements

logger = logging.getLogger(__name__)

RATE = 44100  # samples per second
VARIABLE = "LC_MUSIC_VAE_SOUNDFONT"
_PLACES = (
    "/usr/share/sounds/sf2/default*.sf2",
    "/usr/share/soundfonts/default*.sf2",
    "/usr/share/sounds/sf2/*.sf2",
    "/usr/share/soundfonts/*.sf2",
)
_PEAK = 0.9  # of full scale: MP3 and AAC encoders may exceed the peak of their input
_SLACK = 0.1  # seconds that FluidSynth may end before the last note, because MIDI rounds times
_MAX_SECONDS = 3600
_BLOCK = 1 << 20  # samples per write
_FADE = 0.02  # seconds of fade-out at the end, because a note that still sounds would click
_BASS_DRUMS = (35, 36)


class Engine(NamedTuple):
    """The synthesiser: FluidSynth, or note-seq's synthesiser if both attributes are empty.

    Attributes:
        program: Path of the `fluidsynth` program.
        soundfont: Path of the soundfont that it uses.
    """

    program: str = ""
    soundfont: str = ""


def find_engine() -> Engine:
    """Returns the best engine on this machine, and logs which it is.

    Raises:
        InputError: $LC_MUSIC_VAE_SOUNDFONT is not the path of a soundfont.
    """
    soundfont = os.environ.get(VARIABLE)
    if soundfont:
        soundfont = os.path.expanduser(soundfont)
        if not _is_soundfont(soundfont):
            raise InputError("$%s=%s: no soundfont there; name a .sf2 file, or unset it" % (VARIABLE, soundfont))
    program = shutil.which("fluidsynth")
    if program is None:
        logger.info(
            "--audio: by note-seq's plain synthesiser; for real instruments install FluidSynth "
            "(apt install fluidsynth, brew install fluid-synth)"
        )
        return Engine()
    soundfont = soundfont or _usual_soundfont()
    logger.info("--audio: by FluidSynth with %s", soundfont)
    return Engine(program, soundfont)


def _usual_soundfont() -> str:
    for place in _PLACES:
        for path in sorted(glob.glob(place)):
            if _is_soundfont(path):
                return path
    # pretty_midi, which note-seq needs, includes a General MIDI soundfont of 6 MB.
    return os.path.join(requirements.folder_of("pretty_midi"), "TimGM6mb.sf2")


def _is_soundfont(path: str) -> bool:
    try:
        with files.opened(path) as f:
            head = f.read(12)
    except OSError:
        return False
    return head[:4] == b"RIFF" and head[8:] == b"sfbk"


def render(sequence: Any, path: str, engine: Engine) -> None:
    """Writes a NoteSequence as a 16-bit WAV at 44.1 kHz, as long as the sequence, with its peak just below full scale.

    Args:
        sequence: A `note_seq.NoteSequence`, times in seconds.
        path: The file to create.
        engine: The result of `find_engine`.

    Raises:
        FileExistsError: The file already exists.
        InputError: FluidSynth fails.
    """
    import numpy as np

    seconds = max([sequence.total_time] + [n.end_time for n in sequence.notes])
    if seconds > _MAX_SECONDS:
        raise InputError(
            "%s: %.1f hours of sound; at most %d is rendered: leave out --audio"
            % (path, seconds / 3600, _MAX_SECONDS / 3600)
        )
    length = int(round(RATE * seconds))
    sound, loudness = np.zeros((0, 1)), 0.0
    if sequence.notes:
        if engine.program:
            sound = _by_fluidsynth(sequence, engine, os.path.dirname(os.path.abspath(path)))[:length]
        else:
            sound = _by_note_seq(sequence, length)
        peak = max(sound.max(), -sound.min())
        if not peak:
            raise InputError("%s rendered silence with %s; choose another by $%s" % (*engine, VARIABLE))
        loudness = _PEAK / float(peak)
    with files.creating(path) as temporary, open(temporary, "wb") as f, wave.open(f, "wb") as out:
        out.setnchannels(sound.shape[1])
        out.setsampwidth(2)
        out.setframerate(RATE)
        for start in range(0, length, _BLOCK):  # one hour as 64-bit floats would take 3 GB at each step
            block = np.zeros((min(_BLOCK, length - start), sound.shape[1]))
            part = sound[start : start + _BLOCK]
            block[: len(part)] = part
            left = length - start - np.arange(len(block))  # samples, this one included
            block *= np.clip((left[:, None] - 1) / (_FADE * RATE - 1), 0, 1) * loudness
            out.writeframes(np.round(block * 32767).astype("<i2").tobytes())


def _by_fluidsynth(sequence: Any, engine: Engine, folder: str) -> Any:
    """Returns floats [samples, 2], longer than the sequence because its last notes fade out. Works in `folder`."""
    import note_seq
    import numpy as np

    with files.scratch_folder(folder) as scratch:
        midi, raw = os.path.join(scratch, "in.mid"), os.path.join(scratch, "out.raw")
        note_seq.note_sequence_to_midi_file(sequence, midi)
        # The user's own configuration file could load other soundfonts or effects, so it is not read.
        command = [engine.program, "-f", os.devnull, "-n", "-i", "-r", str(RATE)]
        command += ["-T", "raw", "-O", "float", "-E", "little", "-F", raw, engine.soundfont, midi]
        done = subprocess.run(  # noqa: S603 - a list of arguments, no shell
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
        )
        if done.returncode or not os.path.exists(raw):
            said = done.stdout.decode("utf-8", "replace").strip().splitlines() or ["nothing"]
            raise InputError("%s ended with status %d and said: %s" % (engine.program, done.returncode, said[-1]))
        heard = np.fromfile(raw, "<f4")
        if len(heard) < 2 * RATE * (max(n.end_time for n in sequence.notes) - _SLACK):
            raise InputError("%s: %s wrote only part of the sound; see that there is room" % (raw, engine.program))
        return heard.reshape(-1, 2)


def _by_note_seq(sequence: Any, length: int) -> Any:
    """Returns [samples, 1]. note-seq's synthesiser is silent for drums, so this function adds short noises for them."""
    import note_seq
    import numpy as np

    sound = np.zeros((length, 1))
    pitched = type(sequence)()
    pitched.CopyFrom(sequence)
    del pitched.notes[:]
    pitched.notes.extend(n for n in sequence.notes if not n.is_drum)
    if pitched.notes:
        heard = note_seq.synthesize(pitched, RATE)[:length]
        sound[: len(heard), 0] = heard
    seconds = np.arange(int(0.2 * RATE)) / RATE
    noise = np.random.RandomState(0).uniform(-1, 1, len(seconds)) * np.exp(-seconds / 0.03)
    thump = np.sin(2 * np.pi * 60 * seconds) * np.exp(-seconds / 0.06)
    for note in sequence.notes:
        if note.is_drum:
            start = int(round(RATE * note.start_time))
            hit = (thump if note.pitch in _BASS_DRUMS else 0.4 * noise)[: length - start] * note.velocity / 127
            sound[start : start + len(hit), 0] += hit
    return sound
