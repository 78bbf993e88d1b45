import os
import zipfile

import pytest
from conftest import EXAMPLE, melody, tune, write_midi

from lc_music_vae import examples
from lc_music_vae.errors import InputError


def write_tfrecord(path, sequences):
    import tensorflow.compat.v1 as tf

    with tf.io.TFRecordWriter(str(path)) as writer:
        for sequence in sequences:
            writer.write(sequence.SerializeToString())
    return str(path)


def test_a_folder_is_searched_recursively_and_in_order(tmp_path):
    (tmp_path / "b" / "deep").mkdir(parents=True)
    paths = [tmp_path / "a.mid", tmp_path / "b" / "deep" / "c.MIDI", tmp_path / "z.mid"]
    for path in paths:
        write_midi(melody(tune(2)), path)
    (tmp_path / "README.md").write_text("not music")
    (tmp_path / "._a.mid").write_bytes(b"what other systems leave behind")
    assert examples.find(str(tmp_path)) == [str(p) for p in paths]
    assert examples.find(str(tmp_path / "*.mid")) == [str(paths[0]), str(paths[2])]


def test_tfrecord_yields_every_song_with_its_number(tmp_path):
    songs = [melody(tune(2, seed)) for seed in range(3)]
    path = write_tfrecord(tmp_path / "songs.tfrecord", songs)
    assert examples.find(path) == [path]
    read = list(examples.read(path))
    assert [s.name for s in read] == [path + "#0", path + "#1", path + "#2"]
    assert [s.note_sequence for s in read] == songs


@pytest.mark.parametrize("compressed", [False, True], ids=["xml", "mxl"])
def test_musicxml_is_read(compressed, tmp_path):
    notes = "".join(
        "<note><pitch><step>%s</step><octave>4</octave></pitch><duration>1</duration><type>quarter</type></note>" % s
        for s in "CDEF"
    )
    attributes = (
        "<attributes><divisions>1</divisions><time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
    )
    score = (
        '<?xml version="1.0"?><score-partwise><part-list><score-part id="P1"><part-name>M</part-name></score-part>'
        '</part-list><part id="P1"><measure number="1">%s%s</measure></part></score-partwise>' % (attributes, notes)
    )
    path = tmp_path / ("song.mxl" if compressed else "song.xml")
    if compressed:
        with zipfile.ZipFile(str(path), "w") as z:
            rootfile = '<rootfile full-path="a/song.xml" media-type="application/vnd.recordare.musicxml+xml"/>'
            z.writestr("META-INF/container.xml", "<container><rootfiles>%s</rootfiles></container>" % rootfile)
            z.writestr("a/song.xml", score)
    else:
        path.write_text(score)
    (song,) = examples.read(examples.find(str(path))[0])
    assert in_quarters(song.note_sequence) == [(0, 1, 60), (1, 2, 62), (2, 3, 64), (3, 4, 65)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.mid", None, "no such file or folder"),
        ("empty.mid", b"", "the file is empty"),
        ("empty.tfrecord", b"", "the file is empty"),
        ("midi.tfrecord", "midi", "looks like MIDI"),
        ("noise.mid", b"x" * 200, "neither MIDI, MusicXML, ABC nor a whole TFRecord"),
        ("short.tfrecord", b"\x08\x00\x00", "neither MIDI"),
    ],
)
def test_unusable_paths_are_found_before_anything_is_loaded(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        with open(EXAMPLE, "rb") as f:
            path.write_bytes(f.read() if content == "midi" else content)
    with pytest.raises(InputError, match=message) as e:
        examples.find(str(path))
    assert str(path) in str(e.value)
    assert "\n" not in str(e.value)


def test_folder_without_music(tmp_path):
    with pytest.raises(InputError, match="no music file in this folder"):
        examples.find(str(tmp_path))


def test_a_cut_off_tfrecord_yields_what_is_whole_and_then_says_so(tmp_path):
    path = write_tfrecord(tmp_path / "songs.tfrecord", [melody(tune(2)), melody(tune(9))])
    os.truncate(path, os.path.getsize(path) - 20)
    songs = examples.read(examples.find(path)[0])
    assert next(songs).name.endswith("#0")
    with pytest.raises(InputError, match="cut off or damaged"):
        next(songs)


def test_damaged_files_are_named(tmp_path):
    midi, record, xml = tmp_path / "bad.mid", tmp_path / "bad.tfrecord", tmp_path / "bad.xml"
    with open(EXAMPLE, "rb") as f:
        midi.write_bytes(f.read()[:60])
    import tensorflow.compat.v1 as tf

    with tf.io.TFRecordWriter(str(record)) as writer:
        writer.write(b"\xff\xff this is no NoteSequence")
    xml.write_text("<score-partwise>")
    for path, message in (
        (midi, "not readable as MIDI"),
        (record, "the record is not a NoteSequence"),
        (xml, "not readable as MusicXML"),
    ):
        with pytest.raises(InputError, match=message) as e:
            list(examples.read(str(path)))
        assert str(e.value).startswith(str(path))


TUNES = """M:4/4
L:1/4
Z:what stands before the first X: is of all tunes

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


def in_quarters(sequence, qpm=120):
    return [(round(n.start_time * qpm / 60, 6), round(n.end_time * qpm / 60, 6), n.pitch) for n in sequence.notes]


def test_abc_tunes_are_read_as_they_are_played(tmp_path):
    path = tmp_path / "tunes.abc"
    path.write_text(TUNES)
    plain, repeated, triplet = examples.sources(examples.find(str(path))[0])
    assert [s.name for s in (plain, repeated, triplet)] == ["%s#%d" % (path, number) for number in (1, 7, 8)]
    scale = examples.load(plain).note_sequence
    assert in_quarters(scale) == [(i, i + 1, pitch) for i, pitch in enumerate([60, 62, 64, 65, 67, 69, 71, 72])]
    # The upbeat ends the first bar; F is sharp in G.
    sequence = examples.load(repeated).note_sequence
    bars = [(0, 1, 67), (1, 2, 69), (2, 3, 71), (3, 4, 72), (4, 6, 74), (6, 7, 66), (7, 8, 67)]
    expected = [(3, 4, 62)] + [(at + a, at + b, pitch) for at in (4, 12) for a, b, pitch in bars] + [(20, 24, 79)]
    assert in_quarters(sequence, 60) == expected
    assert sequence.total_time == 24
    assert (sequence.tempos[0].time, sequence.tempos[0].qpm) == (0, 60)
    with pytest.raises(InputError, match=r"tunes\.abc#8: not readable as ABC \(Tuplets are not supported\.\)"):
        examples.load(triplet)


@pytest.mark.parametrize(
    ("metre", "music", "upbeat"),
    [("6/8", "D|G3 A3|B6|", 2.5), ("4/4", "|:G2 A2 B2 c2|d8:|", 0), ("3/4", "D2|G6|", 2), ("none", "D2|G8|", 0)],
)
def test_the_bars_of_abc_start_after_the_upbeat(metre, music, upbeat, tmp_path):
    path = tmp_path / "tune.abc"
    path.write_text("X:1\nM:%s\nL:1/8\nQ:1/4=90\nK:C\n%s\n" % (metre, music))
    (song,) = examples.read(str(path))
    assert in_quarters(song.note_sequence, 90)[0][0] == upbeat


def test_abc_of_any_encoding_and_without_a_tune(tmp_path):
    path = tmp_path / "tune.abc"
    path.write_bytes("\ufeffX:1\r\nT:Gr\u00fc\u00df\r\nK:C\r\nC8\r\n".encode())
    assert next(examples.read(str(path))).note_sequence.sequence_metadata.title == "Gr\u00fc\u00df"
    path.write_bytes("X:1\nT:Gr\u00fc\u00df\nK:C\nC8\n".encode("latin-1"))
    assert next(examples.read(str(path))).note_sequence.sequence_metadata.title == "Gr\u00fc\u00df"
    path.write_text("Dear friends,\n\nhere are no tunes.\n")
    with pytest.raises(InputError, match="no tune in it"):
        list(examples.read(str(path)))
