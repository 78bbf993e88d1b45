import os

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


def test_musicxml_is_read(tmp_path):
    notes = "".join(
        "<note><pitch><step>%s</step><octave>4</octave></pitch><duration>1</duration><type>quarter</type></note>" % s
        for s in "CDEF"
    )
    attributes = (
        "<attributes><divisions>1</divisions><time><beats>4</beats><beat-type>4</beat-type></time></attributes>"
    )
    path = tmp_path / "song.xml"
    path.write_text(
        '<?xml version="1.0"?><score-partwise><part-list><score-part id="P1"><part-name>M</part-name></score-part>'
        '</part-list><part id="P1"><measure number="1">%s%s</measure></part></score-partwise>' % (attributes, notes)
    )
    (song,) = examples.read(examples.find(str(path))[0])
    assert [n.pitch for n in song.note_sequence.notes] == [60, 62, 64, 65]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.mid", None, "no such file or folder"),
        ("empty.mid", b"", "the file is empty"),
        ("empty.tfrecord", b"", "the file is empty"),
        ("midi.tfrecord", "midi", "looks like MIDI"),
        ("noise.mid", b"x" * 200, "neither MIDI, MusicXML nor a whole TFRecord"),
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
        (record, "not NoteSequences"),
        (xml, "not readable as MusicXML"),
    ):
        with pytest.raises(InputError, match=message) as e:
            list(examples.read(str(path)))
        assert str(e.value).startswith(str(path))
