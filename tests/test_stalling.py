"""Songs that would stall whatever reads them, and files that are none: refused in one line, and the rest is read."""

import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import time

import note_seq
import pytest
from damaged_music import MUSICXML, framed, midi, midi_note, read_all, structured_file, zipped
from helpers import EXAMPLE, REPO, melody, parent_of, tune, wait_until, workers_of, write_midi

import lc_music_vae
from lc_music_vae import data
from lc_music_vae.errors import InputError, printable
from lc_music_vae.music import examples
from lc_music_vae.options import Reading
from lc_music_vae.system import processes

pytestmark = [pytest.mark.faults("songs that stall"), pytest.mark.slow]

ENDLESS = b"X:1\nK:C\n[" + b"C22" * 40
NOTE = "<note><pitch><step>C</step><octave>4</octave></pitch><duration>1</duration><type>quarter</type></note>"
SECONDS = "it takes more than 1 s to read"
GONE = "more than (1 s|200 MB)|an exception set"  # without memory, libraries say one thing or another


def score(n, attributes="", before_the_note=""):
    """MusicXML of so many bars, in each of which something is said that is the same in none of ten beside it."""
    bars = "".join(
        "<measure number='%d'><attributes><divisions>1</divisions>%s</attributes>%s%s</measure>"
        % (i, attributes.format(i % 7 + 1), before_the_note.format("ABCDEFG"[i % 7]), NOTE)
        for i in range(n)
    )
    return MUSICXML[: MUSICXML.index(b"<measure")] + bars.encode() + b"</part></score-partwise>"


def lying_mxl():
    """Its directory says that 64 MB are few bytes."""
    xml = MUSICXML.ljust(64 << 20)
    packed = zipped(xml)
    directory = packed.rindex(b"PK\1\2")
    return packed[:directory] + packed[directory:].replace(struct.pack("<I", len(xml)), struct.pack("<I", 900))


# What each is called, its kind, its bytes, and what is said of it; None where it is read, or refused for what it holds.
STALLING = {
    "a chord of lengths without an end": ("abc", lambda: ENDLESS, SECONDS),
    "a tempo of fractions without an end": ("abc", lambda: b"X:1\nQ:1/111" + b"/111" * 40 + b"\nK:C\nC", SECONDS),
    "twenty thousand colons": (
        "abc",
        lambda: b"X:1\nK:C\n" + b"C16 " * 9999 + b":" * 20000 + b"|",
        GONE,
    ),
    "a million references": ("abc", lambda: b"X:1\n" * 1000000, "a tune of more than 64 kB"),
    "a million tunes": ("abc", lambda: b"X:1\n\n" * 1000000, "1000000 tunes; a tunebook has at most 10000 here"),
    "a header as long as a book": ("abc", lambda: b"N:no\n" * 1000 + b"\nX:1\nK:C\nC\n" * 9, "more than 4 kB before"),
    "metres that change each quarter": (
        "mid",
        lambda: midi(
            b"".join(b"\x81\x5c\xff\x58\4%c\2\x18\x08" % (3 + i % 2) for i in range(19000)) + midi_note(0, 60, 9)
        ),
        None,
    ),
    "a pitch bend for each note": (
        "mid",
        lambda: midi(b"".join(midi_note(1, 30 + i % 90, 9) + b"\0\xe0\1\2" for i in range(49900))),
        None,
    ),
    "four MB of empty time signatures": (
        "tfrecord",
        lambda: note_seq.NoteSequence(time_signatures=[{}]).SerializeToString() * 2000000,
        "2000000 time signatures; a song has at most 50000 here",
    ),
    "a million chords": (
        "xml",
        lambda: score(
            9000, before_the_note="<harmony><root><root-step>{0}</root-step></root><kind>major</kind></harmony>" * 12
        ),
        SECONDS,
    ),
    "as many keys as bars": ("xml", lambda: score(9000, "<key><fifths>{}</fifths></key>"), SECONDS),
    "as many metres as bars": (
        "xml",
        lambda: score(12000, "<time><beats>{}</beats><beat-type>4</beat-type></time>"),
        SECONDS,
    ),
    "a million attributes": (
        "xml",
        lambda: MUSICXML.replace(b"<measure ", b"<measure " + b"".join(b"a%d='' " % i for i in range(1000000)), 1),
        "more than 1000000 elements and attributes",
    ),
    "a directory that lies": ("mxl", lying_mxl, "Bad CRC-32"),
}


@pytest.mark.parametrize("case", STALLING)
def test_a_song_that_stalls_is_refused_and_the_next_is_read(case, tmp_path, monkeypatch):
    suffix, make, message = STALLING[case]
    path, content = str(tmp_path / ("a." + suffix)), make()
    if suffix == "tfrecord":
        framed(path, content)
    else:
        with open(path, "wb") as f:
            f.write(content)
    write_midi(melody(tune(4)), tmp_path / "b.mid")
    assert list(examples.read(EXAMPLE))  # the process that reads has started
    if message in (SECONDS, GONE):  # what it would stop at, but later
        for name, value in (("_SECONDS", 1), ("_SECONDS_A_MB", 0), ("_MEGABYTES", 200), ("_MEGABYTES_A_MB", 0)):
            monkeypatch.setattr(examples, name, value)
    began, heard, said = time.monotonic(), [], []
    for found in examples.find(str(tmp_path)):
        for source in examples.sources(found):
            try:
                heard.append(examples.load(source).name)
            except InputError as e:
                said.append(str(e))
    assert time.monotonic() - began < 30  # 2 s where nothing else runs
    assert heard[-1].endswith("b.mid")
    if message:
        assert len(said) == 1
        assert re.search(message, said[0]), said
        assert said[0].startswith(path)
        assert printable(said[0]) == said[0]


@pytest.mark.parametrize("kind", ["mid", "abc", "xml", "mxl", "tfrecord"])
def test_a_few_things_far_too_often(kind, tmp_path, monkeypatch):
    """More and larger ones: `make soak`."""
    for name, value in (("_SECONDS", 1), ("_SECONDS_A_MB", 0)):
        monkeypatch.setattr(examples, name, value)
    rng = random.Random(kind)  # noqa: S311 - the same structures each time
    converter = data.WindowConverter("cat-mel_2bar_small", Reading("all"))
    for _ in range(4):
        path = structured_file(kind, str(tmp_path), rng, 3000)
        assert read_all(path, converter).seconds < 5
        os.remove(path)


def test_limits_grow_with_the_song_and_are_said():
    def limits(size):
        return examples._limits(examples.Source("a record", "NoteSequence", bytes(size)))

    assert limits(1) == (5, 500)
    assert limits((4 << 20) - 1) == (8, 524)
    worker = processes.Worker()
    for function, item, message in (
        (eval, "len(bytes(300 << 20))", "it takes more than 100 MB to read"),
        (eval, "all(True for _ in iter(int, 1))", "it takes more than 1 s to read"),
        (os._exit, 3, "the process that read it ended with status 3"),
    ):
        with pytest.raises(processes.EndedError) as e:
            worker.compute(function, item, processes.Limits(1, 100))
        assert str(e.value) == message
        assert worker.compute(eval, "2 + 2", processes.Limits(1, 100)) == 4
    assert worker.compute(eval, "len(bytes(300 << 20))") == 300 << 20  # limits are of one computation
    worker.close()


def test_a_process_without_work_ends_and_comes_back_when_there_is_some():
    worker = processes.Worker(idle=0.3)
    worker.start()
    children = workers_of(os.getpid())
    time.sleep(0.5)
    wait_until(lambda: workers_of(os.getpid()) < children)
    first = worker.compute(eval, "__import__('os').getpid()")
    wait_until(lambda: parent_of(first) is None)
    assert worker.compute(eval, "__import__('os').getpid()") != first
    worker.close()
    with pytest.raises(processes.EndedError, match="not needed"):
        worker.start()


def test_a_process_that_cannot_start_is_no_fault_of_the_songs(monkeypatch):
    """Else all songs would be kept as unreadable."""
    worker = processes.Worker(["no_such_module"])
    with pytest.raises(OSError, match=r"a process to read songs in cannot be started \(it ended with status 1\)"):
        worker.compute(eval, "1")
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(OSError, match=r"cannot be started \(No such file or directory"):
        worker.compute(eval, "1")
    monkeypatch.undo()
    worker = processes.Worker()
    with pytest.raises(ModuleNotFoundError):  # what the function needs is asked for there, and said here
        worker.compute(eval, "__import__('no_such_module')")
    worker.close()


def test_an_answer_that_nobody_waited_for_is_not_taken_for_another():
    worker = processes.Worker()
    worker.start()
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(KeyboardInterrupt):
            worker.compute(eval, "__import__('time').sleep(60) or 1")
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
    assert worker.compute(eval, "2") == 2
    worker.close()


def test_a_fork_has_a_reading_process_of_its_own(tmp_path):
    code = """
import os, sys
from lc_music_vae.music import examples
list(examples.read(sys.argv[1]))
child = os.fork()
found = [len(song.note_sequence.notes) for _ in range(50) for song in examples.read(sys.argv[1 if child else 2])]
assert found == [18 if child else 4] * 50, found
if child:
    assert os.waitpid(child, 0)[1] == 0
os._exit(0)
"""
    other = write_midi(melody([(i, i + 1, 60) for i in range(4)]), tmp_path / "other.mid")
    plain = os.path.join(REPO, "tests", "oddities", "plain.mid")
    subprocess.run([sys.executable, "-c", code, plain, other], check=True, timeout=60, cwd=REPO)  # noqa: S603


def busy(pid):
    """Whether a process has used half a second of the processor, more than reading takes to begin."""
    with open("/proc/%d/stat" % pid) as f:
        return int(f.read().rsplit(")", 1)[1].split()[11]) > os.sysconf("SC_CLK_TCK") / 2


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_signal_in_the_middle_of_an_endless_song_ends_the_command(number, tmp_path):
    songs = tmp_path / "songs"
    songs.mkdir()
    for i in range(9):
        (songs / ("%d.abc" % i)).write_bytes(ENDLESS)
    arguments = ["--config=lc-cat-mel_2bar_small", "--examples_path=%s" % songs, "--run_dir=%s" % (tmp_path / "run")]
    script = [sys.executable, os.path.join(REPO, "midime_train.py")] + arguments
    process = subprocess.Popen(script, stderr=subprocess.PIPE, universal_newlines=True, start_new_session=True)
    wait_until(lambda: any(map(busy, workers_of(process.pid))))
    time.sleep(0.5)
    workers = workers_of(process.pid)
    began = time.monotonic()
    process.send_signal(number)
    error = process.communicate(timeout=20)[1]
    assert time.monotonic() - began < 2
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    if number != signal.SIGKILL:
        assert error.splitlines()[-1].startswith(
            "midime_train: stopped while songs were read; the same command goes on"
        )
    wait_until(lambda: not any(map(parent_of, workers)), 2)


def test_what_is_no_file_in_a_folder_is_left_out_and_said(tmp_path, monkeypatch, caplog):
    songs = tmp_path / "songs"
    (songs / "closed").mkdir(parents=True)
    song = write_midi(melody(tune(4)), songs / "good.mid")
    os.rename(write_midi(melody(tune(5)), songs / "latin.mid"), os.fsencode(str(songs)) + b"/gr\xfc\xdfe.mid")
    (songs / "upper.MXL").write_bytes(zipped(MUSICXML))
    (songs / "dangling.mid").symlink_to("nowhere")
    (songs / "loop.mid").symlink_to("loop.mid")
    (songs / "zero.mid").symlink_to("/dev/zero")
    (songs / "zeros.tfrecord").symlink_to("/dev/zero")
    os.mkfifo(str(songs / "pipe.mid"))
    os.mkfifo(str(songs / "pipe.tfrecord"))
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(songs)  # a socket's address is short
        listening.bind("socket.mid")
    for name in ("sparse.mid", "sparse.abc", "sparse.tfrecord", "sparse.mxl"):
        with open(str(songs / name), "wb") as f:
            f.truncate(100 << 30)
    (songs / "secret.mid").write_bytes(b"")
    real = os.open

    def guarded(path, *rest, **more):
        if str(path).endswith(("secret.mid", "closed")):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *rest, **more)

    monkeypatch.setattr(os, "open", guarded)  # root may open everything
    began = time.process_time()
    lc_music_vae.train("lc-cat-mel_2bar_small", str(songs), str(tmp_path / "run"), num_steps=1)
    assert time.process_time() - began < 30
    table = (tmp_path / "run" / "examples.tsv").read_text(encoding="utf-8").splitlines()[1:]
    rows = {os.path.basename(path): (int(slices), reason) for path, slices, _, reason in (r.split("\t") for r in table)}
    assert song in "".join(table)
    assert {name for name, (slices, _) in rows.items() if slices} == {"good.mid", r"gr\udcfc\udcdfe.mid", "upper.MXL"}
    expected = {
        "dangling.mid": "No such file or directory",
        "loop.mid": "Too many levels of symbolic links",
        "zero.mid": "not a plain file",
        "zeros.tfrecord": "not a plain file",
        "pipe.mid": "not a plain file",
        "pipe.tfrecord": "not a plain file",
        "socket.mid": "No such device or address",
        "sparse.mid": "of 107374182400 bytes; a song has at most 32 MiB here; split it",
        "sparse.abc": "of 107374182400 bytes; a song has at most 8 MiB here; split it",
        "sparse.mxl": "of 107374182400 bytes; a song has at most 8 MiB here; split it",
        "sparse.tfrecord": "the TFRecord is cut off or damaged",
        "secret.mid": "Permission denied",
    }
    assert {name: reason for name, (slices, reason) in rows.items() if not slices} == {
        name: "%s: %s" % (songs / name, said) for name, said in expected.items()
    }


@pytest.mark.parametrize(
    ("name", "said"), [("pipe.mid", "not a plain file"), ("gone.mid", "No such file or directory")]
)
def test_what_is_named_and_no_file_is_refused_at_once(name, said, tmp_path):
    os.mkfifo(str(tmp_path / "pipe.mid"))
    (tmp_path / "gone.mid").symlink_to("nowhere")
    path = str(tmp_path / name)
    with pytest.raises(InputError) as e:
        examples.find(path)
    assert str(e.value) == "examples_path=%s: %s" % (path, said)
    assert examples.find(str(tmp_path / "*.mid")) == [str(tmp_path / name) for name in ("gone.mid", "pipe.mid")]


def test_a_folder_that_cannot_be_looked_into_is_named(tmp_path, monkeypatch):
    (tmp_path / "closed").mkdir()
    song = write_midi(melody(tune(4)), tmp_path / "song.mid")
    real = os.scandir

    def guarded(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", guarded)  # root may look everywhere
    assert examples.find(str(tmp_path)) == [str(tmp_path / "closed"), song]


@pytest.mark.parametrize(
    ("said", "believed"), [("1/4=3", 10), ("1/4=99999999", 1000), ("1/4=10", 10), ("1/4=1000", 1000), ("1/4=96", 96)]
)
def test_a_tempo_that_nothing_could_play_is_not_believed_but_its_beats_are(said, believed, tmp_path):
    path = tmp_path / "tune.abc"
    path.write_text("X:1\nM:4/4\nL:1/4\nQ:%s\nK:C\nCDEF|G4|\n" % said)
    (song,) = examples.read(str(path))
    assert [tempo.qpm for tempo in song.note_sequence.tempos] == [believed]
    starts = [round(note.start_time * believed / 60, 4) for note in song.note_sequence.notes]
    assert starts == [0, 1, 2, 3, 4]
    assert song.note_sequence.total_time == pytest.approx(8 * 60 / believed)
