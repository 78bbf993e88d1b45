import math
import os
import struct
import zipfile

import pytest
from helpers import EXAMPLE, TUNES, melody, one_line, tune, write_midi, write_tfrecord

from lc_music_vae.errors import InputError
from lc_music_vae.music import examples, midi, parsing


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


NAMED = "give a .mid, .xml, .mxl, .abc or .tfrecord file named as what it is"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.mid", None, "no such file or folder; give a music file, a TFRecord or a folder"),
        ("empty.mid", b"", "the file is empty"),
        ("empty.tfrecord", b"", "the file is empty"),
        ("midi.tfrecord", "midi", "the file looks like MIDI; " + NAMED),
        ("noise.mid", b"x" * 200, "the file looks like neither MIDI, MusicXML, ABC nor a whole TFRecord; " + NAMED),
        (
            "short.tfrecord",
            b"\x08\x00\x00",
            "the file looks like neither MIDI, MusicXML, ABC nor a whole TFRecord; " + NAMED,
        ),
    ],
)
def test_unusable_paths_are_found_before_anything_is_loaded(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        with open(EXAMPLE, "rb") as f:
            path.write_bytes(f.read() if content == "midi" else content)
    assert one_line(examples.find, str(path)) == "examples_path=%s: %s" % (path, message)
    assert one_line(examples.find, str(path), "--input_midi_1") == "input_midi_1=%s: %s" % (path, message)


def test_folder_without_music(tmp_path):
    kinds = ".mid .midi .kar .xml .musicxml .mxl .abc .tfrecord .tfrecords"
    message = "examples_path=%s: no music file in this folder; looked for %s" % (tmp_path, kinds)
    assert one_line(examples.find, str(tmp_path)) == message
    names = ["x" + kind.upper() for kind in kinds.split()]
    for name in names:
        (tmp_path / name).write_bytes(b"")
    assert [os.path.basename(path) for path in examples.find(str(tmp_path))] == sorted(names)


def test_midi_under_any_name(tmp_path):
    for name in ("song", "song.bin"):
        path = write_midi(melody(tune(2)), tmp_path / name)
        assert examples.find(path) == [path]
        assert [s.name for s in examples.read(path)] == [path]
    assert [s.kind for s in examples.sources(write_midi(melody(tune(2)), tmp_path / "x.kar"))] == ["MIDI"]


def test_one_song_in_a_tfrecord_and_none(tmp_path):
    path = write_tfrecord(tmp_path / "songs.tfrecords", [melody(tune(2))])
    assert examples.find(path) == [path]
    assert [s.name for s in examples.read(path)] == [path + "#0"]
    (tmp_path / "songs.tfrecords").write_bytes(b"")
    assert one_line(list, examples.read(path)) == path + ": the TFRecord is empty"


def test_a_file_that_has_gone(tmp_path):
    path = str(tmp_path / "song.mid")
    assert one_line(list, examples.read(path)) == path + ": No such file or directory"


@pytest.mark.parametrize(("name", "most"), [("a.mid", 32), ("a.xml", 32), ("a.MXL", 8), ("a.abc", 8)])
def test_the_size_of_a_file(name, most, tmp_path):
    path = str(tmp_path / name)
    with open(path, "wb") as f:
        f.truncate(most << 20)
    assert "split it" not in one_line(list, examples.read(path))
    with open(path, "ab") as f:
        f.write(b"x")
    size = (most << 20) + 1
    message = "%s: of %d bytes; a song has at most %d MiB here; split it" % (path, size, most)
    assert one_line(list, examples.read(path)) == message


def test_the_size_of_what_is_zipped(tmp_path):
    path = str(tmp_path / "a.mxl")
    for size, refused in ((16 << 20, False), ((16 << 20) + 1, True)):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as z:
            z.writestr("a", bytes(16 << 20))
            z.writestr("b", bytes(size))
        message = "%s: not readable as MusicXML (it unpacks to more than 32 MiB)" % path
        assert (one_line(list, examples.read(path)) == message) is refused


def test_the_size_of_a_record(tmp_path, monkeypatch):
    """A TFRecord itself may be of any size."""
    monkeypatch.setattr(examples, "MAX_FILE_BYTES", 10)
    assert examples._MAX_RECORD_BYTES == 4 << 20
    songs = [melody(tune(2)), melody(tune(3))]
    path = write_tfrecord(tmp_path / "songs.tfrecord", songs)
    monkeypatch.setattr(examples, "_MAX_RECORD_BYTES", songs[1].ByteSize())
    assert len(list(examples.read(path))) == 2
    monkeypatch.setattr(examples, "_MAX_RECORD_BYTES", songs[1].ByteSize() - 1)
    read = examples.read(path)
    next(read)
    message = "%s: a record of %d bytes; a song has at most 0 MiB here" % (path, songs[1].ByteSize())
    assert one_line(next, read) == message


def test_the_elements_of_musicxml(tmp_path, monkeypatch):
    assert parsing._MAX_ELEMENTS == 1000000
    monkeypatch.setattr(parsing, "_MAX_ELEMENTS", 3)
    path = tmp_path / "a.xml"
    for content in ("<a><b/><b/></a>", "<a x='1'><b/></a>"):
        path.write_text(content)
        assert parsing.parse(examples.Source(str(path), "MusicXML"))[1] == ""
    for content in ("<a><b/><b/><b/></a>", "<a x='1' y='2'><b/></a>"):
        path.write_text(content)
        message = "%s: not readable as MusicXML (it has more than 3 elements and attributes)" % path
        assert parsing.parse(examples.Source(str(path), "MusicXML")) == (None, message)
    path.write_text('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>')
    message = "%s: not readable as MusicXML (it declares entities, which no MusicXML needs)" % path
    assert one_line(list, examples.read(str(path))) == message


def test_notes_of_this_world(monkeypatch):
    assert parsing.MAX_NOTES == 50000
    monkeypatch.setattr(parsing, "MAX_NOTES", 2)
    song = melody([(0, 1, 60), (1, 2, 60)])
    for value in (0, 127):
        song.notes[1].pitch = song.notes[1].velocity = song.notes[1].program = value
        assert parsing.check_notes(song) is song
    for what, value, message in (
        ("pitch", 128, "note 1 has pitch 128, not 0 to 127"),
        ("velocity", -1, "note 1 has velocity -1, not 0 to 127"),
        ("program", 128, "note 1 has program 128, not 0 to 127"),
        ("start_time", math.nan, "note 1 is from nan to 1.0 seconds"),
        ("end_time", math.inf, "note 1 is from 0.5 to inf seconds"),
    ):
        bad = melody([(0, 1, 60), (1, 2, 60)])
        setattr(bad.notes[1], what, value)
        assert one_line(parsing.check_notes, bad, kind=ValueError) == message
    song.notes.add()
    assert one_line(parsing._used, song, kind=ValueError) == "3 notes; a song has at most 2 here; split it"


def test_what_note_seq_says_is_one_line_and_not_without_end(tmp_path, monkeypatch):
    def fails(content):
        raise KeyError("x" * 300 + "\nmore")

    path = write_midi(melody(tune(2)), tmp_path / "a.mid")
    monkeypatch.setattr(midi, "put_right", fails)
    assert parsing.parse(examples.Source(path, "MIDI")) == (None, "%s: not readable as MIDI ('%s)" % (path, "x" * 199))


@pytest.mark.parametrize(("name", "coded"), [("Grüße", "utf-8"), ("Grüße", "latin-1"), ("旋律", "utf-8")])
def test_names_of_tracks_are_utf_8_or_latin_1(name, coded, tmp_path):
    name_event = name.encode(coded)
    track = b"\0\xff\3%c%s\0\x90\x3c\x40\x60\x80\x3c\0\0\xff\x2f\0" % (len(name_event), name_event)
    header = b"MThd" + struct.pack(">IHHH", 6, 1, 1, 96)
    (tmp_path / "a.mid").write_bytes(header + b"MTrk" + struct.pack(">I", len(track)) + track)
    (song,) = examples.read(str(tmp_path / "a.mid"))
    assert [info.name for info in song.note_sequence.instrument_infos] == [name]


def test_a_record_goes_on_after_its_end(tmp_path):
    import tensorflow.compat.v1 as tf

    path = str(tmp_path / "a.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(melody(tune(2)).SerializeToString() + b"\x0c")  # the end of a group that never began
    assert one_line(list, examples.read(path)) == path + "#0: the record is not a NoteSequence"


def test_a_cut_off_tfrecord_yields_what_is_whole_and_then_says_so(tmp_path):
    path = write_tfrecord(tmp_path / "songs.tfrecord", [melody(tune(2)), melody(tune(9))])
    os.truncate(path, os.path.getsize(path) - 20)
    songs = examples.read(examples.find(path)[0])
    assert next(songs).name.endswith("#0")
    assert one_line(next, songs) == path + ": the TFRecord is cut off or damaged"


def test_a_record_that_its_checksum_says_is_damaged(tmp_path):
    path = write_tfrecord(tmp_path / "songs.tfrecord", [melody(tune(2)), melody(tune(9))])
    with open(path, "rb+") as f:
        f.seek(-20, os.SEEK_END)
        f.write(b"\xff")
    songs = examples.read(path)
    next(songs)
    assert one_line(next, songs) == path + ": the TFRecord is cut off or damaged"


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
    [
        ("6/8", "D|G3 A3|B6|", 2.5),
        ("6/8", "% words | : more\nD % upbeat |\n|G3 A3|B6|", 2.5),
        ("6/8", '"A|m"D|G3 A3|B6|', 2.5),
        ("6/8", "D\nE|G3 A3|B6|", 2),
        ("4/4", "|:G2 A2 B2 c2|d8:|", 0),
        ("3/4", "D2|G6|", 2),
        ("none", "D2|G8|", 0),
    ],
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
    message = "%s: no tune in it; in ABC each starts with a line X:" % path
    assert one_line(list, examples.read(str(path))) == message


def test_a_tune_that_stands_first_is_no_header(tmp_path):
    path = tmp_path / "tune.abc"
    for before in ("", "\n\n", "My tunes:\nas I play them.\n\n"):
        path.write_text(before + "X:3\nK:C\nC8\n\nT:no number\nK:C\nD8\n")
        assert [in_quarters(s.note_sequence) for s in examples.read(str(path))] == [[(0, 4, 60)], [(0, 4, 62)]]
        assert [s.name for s in examples.read(str(path))] == ["%s#3" % path, "%s#1" % path]


def test_the_size_of_a_tune(tmp_path):
    path = tmp_path / "tune.abc"
    for size, refused in ((64 << 10, False), ((64 << 10) + 1, True)):
        path.write_text("X:3\nK:C\n%".ljust(size - 3, "-") + "\nC8")
        message = "%s#3: not readable as ABC (a tune of more than 64 kB)" % path
        if refused:
            assert one_line(list, examples.read(str(path))) == message
        else:
            assert len(list(examples.read(str(path)))) == 1


def test_what_changes_in_a_tune_moves_with_its_upbeat(tmp_path):
    path = tmp_path / "tune.abc"
    path.write_text("X:1\nM:4/4\nL:1/4\nQ:1/4=60\nK:C\nD|G2 A2|\nK:G\nF4|\n")
    (song,) = examples.read(str(path))
    assert in_quarters(song.note_sequence, 60) == [(3, 4, 62), (4, 6, 67), (6, 8, 69), (8, 12, 66)]
    assert [key.time for key in song.note_sequence.key_signatures] == [0, 8]
