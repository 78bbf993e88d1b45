"""What several test modules use: songs and how to write them, small trainings, and looking at what they left."""

import contextlib
import dataclasses
import glob
import html.parser
import os
import signal
import subprocess
import sys
import time
import wave

import numpy as np
import pytest

import lc_music_vae
from lc_music_vae.configs import CONFIG_MAP
from lc_music_vae.errors import InputError

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EXAMPLE = os.path.join(REPO, "examples", "ode_to_joy.mid")
# Real songs; tests/songs/README.md says where they are from.
SONGS = sorted(glob.glob(os.path.join(REPO, "tests", "songs", "*.mid")))
SMALL = "lc-cat-mel_2bar_small"
WEIGHTS = CONFIG_MAP[SMALL].shipped[0].file  # of the MusicVAE that ships
LOCK = ".lc_music_vae.lock"  # in a folder that is being written to
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
# Everything that could break out of a script element, an attribute, a URL or JSON.
AWKWARD = "</script><script>alert(1)</script> \"x\" 'y' <!-- & \\u003c @RUNS@ ${z} % \u2028 é"
# Tunes in ABC: a plain one, one with an upbeat and a repeat, and one with what is not read.
TUNES = """M:4/4
L:1/4
Z:what stands before the first X: is of all tunes
but words are not.

X:1
T:Plain
K:C
C D E F|G A B c|

X:7
T:An upbeat and a repeat
Q:1/4=60
K:G
D|:G "Am"A B c|d2 F G:|g4|

Words between tunes: they are none.

X:8
T:A triplet
K:C
(3CDE F G A|
"""


def one_line(call, *arguments, kind=InputError, **kwargs):
    """The one line that a call refuses its arguments with."""
    with pytest.raises(kind) as e:
        call(*arguments, **kwargs)
    assert "\n" not in str(e.value)
    return str(e.value)


def melody(notes, qpm=120, program=0, time_signature=(4, 4), instrument=0, name=""):
    """Makes a NoteSequence from (start, end, pitch) in quarters."""
    import note_seq

    sequence = note_seq.NoteSequence(ticks_per_quarter=220)
    sequence.tempos.add(qpm=qpm)
    if time_signature:
        sequence.time_signatures.add(numerator=time_signature[0], denominator=time_signature[1])
    for start, end, pitch in notes:
        sequence.notes.add(
            pitch=pitch,
            velocity=80,
            start_time=start * 60 / qpm,
            end_time=end * 60 / qpm,
            program=program,
            instrument=instrument,
        )
    if name:
        sequence.instrument_infos.add(instrument=instrument, name=name)
    sequence.total_time = max(n[1] for n in notes) * 60 / qpm
    return sequence


def tune(bars, seed=0):
    """A random melody without rests, `bars` bars of 4/4: [(start, end, pitch)] in quarters."""
    rng = np.random.RandomState(seed)
    notes, at = [], 0.0
    while at < 4 * bars:
        length = min(rng.choice([0.5, 1.0, 1.5]), 4 * bars - at)
        notes.append((at, at + length, int(rng.randint(60, 80))))
        at += length
    return notes


def drum_beat(bars):
    import note_seq

    sequence = note_seq.NoteSequence(ticks_per_quarter=220)
    sequence.tempos.add(qpm=120)
    for i in range(bars * 8):
        start = i * 0.25
        sequence.notes.add(pitch=42, velocity=90, start_time=start, end_time=start + 0.1, instrument=9, is_drum=True)
        if i % 4 == 0 or i == 5:
            sequence.notes.add(pitch=36, velocity=90, start_time=start, end_time=start + 3, instrument=9, is_drum=True)
    sequence.total_time = bars * 2
    return sequence


def drum_sequence(windows):
    """Windows of drums, int [n, 32] classes, one after another as a NoteSequence, without magenta's encoders."""
    import note_seq

    from tools.base_model.drum_rolls import PITCHES, rolls

    sequence = note_seq.NoteSequence(ticks_per_quarter=220)
    sequence.tempos.add(qpm=120)
    hits = np.concatenate(rolls(np.asarray(windows)))
    for step, drum in zip(*np.nonzero(hits)):
        at = {"start_time": step / 8, "end_time": step / 8 + 0.1, "instrument": 9, "is_drum": True, "velocity": 90}
        sequence.notes.add(pitch=PITCHES[drum], **at)
    sequence.total_time = len(hits) / 8
    return sequence


def groove(bars, qpm=120):
    """A beat as a drummer plays it: loud and soft, hits up to 40 % of a sixteenth off, bars beginning ahead of time."""
    beat = drum_beat(bars)
    beat.tempos[0].qpm = qpm
    rng = np.random.RandomState(0)
    for note in beat.notes:
        at = note.start_time / 0.125  # in sixteenths
        off = rng.uniform(-0.4, 0.4) if at % 16 else -0.3 * (at > 0)
        note.start_time = (at + off) * 15 / qpm
        note.end_time = note.start_time + 0.1
        note.velocity = int(rng.randint(20, 127))
    beat.total_time = bars * 240 / qpm
    return beat


def drum_and_band(bars):
    """Drums, a melody and a bass."""
    band = drum_beat(bars)
    band.MergeFrom(melody(tune(bars), instrument=0))
    band.MergeFrom(melody(tune(bars, 1), instrument=1, program=33))
    return band


def write_midi(sequence, path):
    """Returns the path."""
    import note_seq

    note_seq.note_sequence_to_midi_file(sequence, str(path))
    return str(path)


def write_tfrecord(path, sequences):
    import tensorflow.compat.v1 as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for sequence in sequences:
            writer.write(sequence.SerializeToString())
    return str(path)


def train(run_dir, examples_path=EXAMPLE, config=SMALL, **kwargs):
    return lc_music_vae.train(config, examples_path, str(run_dir), **kwargs)


def layers(units):
    """Hyperparameters of a small VAE of one layer of so many units each way: it trains in no time."""
    return "latent_encoder_layers=%d,latent_decoder_layers=%d" % (units, units)


def generate(mode, run_dir, output_dir=None, **values):
    """Calls `generate` with values put into their records."""
    from lc_music_vae import options
    from lc_music_vae.generation import generate as generating

    def record(kind, **more):
        names = {field.name for field in dataclasses.fields(kind)}
        return kind(**more, **{name: value for name, value in values.items() if name in names})

    return generating.generate(
        record(options.Request, mode=mode),
        record(options.ModelSource, run_dir=run_dir),
        output_dir,
        sampling=record(options.Sampling),
        sound=record(options.Sound),
        reading=record(options.Reading),
    )


def run_process(*arguments, **kwargs):
    """Runs Python on a script of the checkout, as a user would: CompletedProcess with text."""
    kwargs.setdefault("cwd", REPO)
    return subprocess.run(
        [sys.executable] + list(arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **kwargs,
    )


def weights_at(run_dir):
    """Every variable of the newest checkpoint, Adam's slots and the step included, as bytes."""
    import tensorflow.compat.v1 as tf

    reader = tf.train.NewCheckpointReader(tf.train.latest_checkpoint(os.path.join(str(run_dir), "train")))
    return {name: reader.get_tensor(name).tobytes() for name in reader.get_variable_to_shape_map()}


def state_of(folder):
    """Size and time of change of every file."""
    return {
        os.path.join(at, name): (os.stat(os.path.join(at, name)).st_size, os.stat(os.path.join(at, name)).st_mtime_ns)
        for at, _, names in os.walk(str(folder))
        for name in names
    }


def half_written(folder):
    """Files in a folder that have not got their own names yet."""
    return [path for path in state_of(folder) if os.path.basename(path) != LOCK and "/." in path]


def check_whole(folder):
    """Every file under its own name is whole: JSON parses, bundles hold their members, MIDI files can be read."""
    from lc_music_vae.checkpoints import finding
    from lc_music_vae.music import examples
    from lc_music_vae.system import files

    for at, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(at, name)
            if name.startswith("."):
                continue
            if name.endswith(".json"):
                assert files.read_json(path)
            elif name.endswith(".tar"):
                assert finding.find(path, "--checkpoint_file").run
            elif name.endswith(".mid"):
                assert list(examples.read(path))
            elif name.endswith(".png"):
                with open(path, "rb") as f:
                    assert f.read()[-8:-4] == b"IEND"


@contextlib.contextmanager
def within(seconds):
    """Fails a test whose block hangs."""

    def give_up(number, frame):
        raise AssertionError("it hangs")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def parent_of(pid):
    """The parent of a process that runs, else None."""
    try:
        with open("/proc/%s/stat" % pid) as f:
            state, parent = f.read().rsplit(")", 1)[1].split()[:2]
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state == "Z" else int(parent)


def workers_of(pid):
    """The processes that this one has started, and those that they have."""
    found = set()
    for child in [int(name) for name in os.listdir("/proc") if name.isdigit() and parent_of(name) == pid]:
        # One that ends meanwhile is none.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open("/proc/%d/cmdline" % child) as f:
            if "processes.serve" in f.read():
                found |= {child} | workers_of(child)
    return found


def an_output(file, **more):
    """An output as the index records it."""
    return dict({"file": file, "title": file[:-4], "latent": None, "nearest": None}, **more)


def a_run(name, outputs, **more):
    """A run as the index records it."""
    recorded = {"mode": "sample", "config": SMALL, "written": "2026-11-22_231500", "seed": 1}
    recorded.update({"temperature": 0.5, "picture": name + ".png", "outputs": outputs})
    return dict(recorded, **more)


class Reader(html.parser.HTMLParser):
    """What a browser makes of the markup: the text of each script, and every attribute."""

    def __init__(self, text):
        super().__init__()
        self.scripts, self.attributes, self._in_script = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.attributes += attrs
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")

    def handle_data(self, data):
        if self._in_script:
            self.scripts[-1] += data

    def handle_endtag(self, tag):
        self._in_script = False


def read_wav(path):
    """Samples from -1 to 1, [samples, channels]."""
    with wave.open(str(path)) as f:
        assert (f.getframerate(), f.getsampwidth()) == (44100, 2)
        data = np.frombuffer(f.readframes(f.getnframes()), "<i2").reshape(-1, f.getnchannels())
    return data / 32767.0


def loudest_hertz(sound, below=22050):
    hertz = np.fft.rfftfreq(len(sound), 1 / 44100.0)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return hertz[np.argmax(spectrum * (hertz < below))]


def onset(sound, after=0.0):
    """Seconds at which it first reaches a twentieth of its peak."""
    start = int(after * 44100)
    return start / 44100.0 + np.argmax(np.abs(sound[start:]).max(1) > 0.05 * np.abs(sound).max()) / 44100.0


def check_two_notes(path, engine, cents=1.0):
    """An A4 and an E5 are where they should be, whatever plays them."""
    from lc_music_vae.showing import audio

    sequence = melody([(1, 3, 69), (4, 5, 76)], qpm=90)
    sequence.total_time = 4.0  # the last note ends at 3.33
    audio.render(sequence, str(path), engine)
    sound = read_wav(path)
    assert len(sound) == 4 * 44100
    assert np.abs(sound).max() == pytest.approx(0.9, abs=1e-3)
    assert not np.abs(sound[:29000]).max() > 0.01
    assert onset(sound) == pytest.approx(60 / 90.0, abs=0.02)
    assert onset(sound, 2.6) == pytest.approx(4 * 60 / 90.0, abs=0.02)
    mono = sound.mean(1)
    for start, end, expected in ((0.8, 1.9, 440.0), (2.7, 3.3, 659.26)):
        note = np.pad(mono[int(start * 44100) : int(end * 44100)], [(0, 44100 * 4)], mode="constant")
        heard = loudest_hertz(note, below=1.5 * expected)  # a piano's second partial may be the louder one
        assert abs(1200 * np.log2(heard / expected)) < cents, (heard, expected)
    return sound


def midi_in(folder):
    """Paths of the MIDI files in a folder, in order."""
    return sorted(os.path.join(str(folder), name) for name in os.listdir(str(folder)) if name.endswith(".mid"))
