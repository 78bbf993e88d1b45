"""Data sets of TensorFlow Datasets, on a miniature of the Groove MIDI Dataset with the layout of the real one."""

import json
import os
import shutil

import note_seq
import numpy as np
import pytest
from helpers import layers, one_line
from magenta.models.music_vae import configs

from lc_music_vae.data import WindowConverter
from lc_music_vae.encoding import songs
from lc_music_vae.music import examples, tfds
from lc_music_vae.music.style import Style

NAME, CONFIG = "groove/2bar-midionly", "groovae_2bar_humanize"
KICK, SNARE, HI_HAT = 36, 38, 42
# Four bars each, in sixteenths: the kicks of a take, and its tempo.
ROCK, FUNK, SLOW, LATIN = ([0, 8, 10], 138), ([0, 3, 6, 10], 104), ([0, 7, 14], 68), ([0, 6, 12, 14], 180)


def take(number):
    """Hits of a take of four bars, as [sixteenth, pitch, velocity]: loud and soft, early and late."""
    kicks, _ = (ROCK, FUNK, SLOW, LATIN)[number]
    rng = np.random.RandomState(number)
    hits = []
    for bar in range(4):
        # Every bar is another one, so that no two windows are alike.
        for drum, steps in ((KICK, {*kicks, bar + 1}), (SNARE, [4, 12]), (HI_HAT, range(0, 16, 2))):
            hits += [[16 * bar + step + rng.uniform(0, 0.4), drum, rng.randint(10, 127)] for step in steps]
    return sorted(hits)


def chunk(number, bar):
    """Hits of two bars of a take, as [second, pitch, velocity]."""
    sixteenth = 15 / (ROCK, FUNK, SLOW, LATIN)[number][1]
    within = [hit for hit in take(number) if 16 * bar <= hit[0] < 16 * bar + 32]
    return [[(at - 16 * bar) * sixteenth, pitch, velocity] for at, pitch, velocity in within]


def midi_of(number, bar, path):
    """The bytes of a MIDI file of two bars of a take."""
    sequence = note_seq.NoteSequence(ticks_per_quarter=480)
    sequence.tempos.add(qpm=(ROCK, FUNK, SLOW, LATIN)[number][1])
    sequence.time_signatures.add(numerator=4, denominator=4)
    for start, pitch, velocity in chunk(number, bar):
        sequence.notes.add(
            pitch=pitch, velocity=velocity, start_time=start, end_time=start + 0.05, is_drum=True, instrument=9
        )
    note_seq.note_sequence_to_midi_file(sequence, path)
    with open(path, "rb") as f:
        return f.read()


def record(number, bar, folder):
    """A record as TensorFlow Datasets writes it: ids grow from chunk to chunk."""
    import tensorflow.compat.v1 as tf

    def texts(value):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    def ints(value):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    counted = "".join(":%03d" % i for i in range(bar + 1))
    feature = {
        "bpm": ints((ROCK, FUNK, SLOW, LATIN)[number][1]),
        "drummer": ints(0),
        "id": texts(b"drummer1/session1/%d%s" % (number, counted.encode())),
        "midi": texts(midi_of(number, bar, os.path.join(folder, "take.mid"))),
        "style/primary": ints(16),
        "style/secondary": texts(b""),
        "time_signature": ints(1),
        "type": ints(0),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString()


def write_split(folder, split, files):
    """Writes a split to one file for each list of (take, bar); returns what dataset_info.json says of it."""
    import tensorflow.compat.v1 as tf

    for i, chunks in enumerate(files):
        path = "%s/groove-%s.tfrecord-%05d-of-%05d" % (folder, split, i, len(files))
        with tf.io.TFRecordWriter(path) as writer:
            for number, bar in chunks:
                writer.write(record(number, bar, folder))
    os.remove(os.path.join(folder, "take.mid"))
    return {"name": split, "numBytes": "1", "shardLengths": [str(len(chunks)) for chunks in files]}


TRAIN = [[(0, 0), (1, 2), (0, 1)], [(1, 0), (0, 2), (1, 1)]]
VALIDATION = [[(2, 0), (2, 2)]]


@pytest.fixture(scope="module")
def groove_midi_dataset(tmp_path_factory):
    """A data_dir with groove/2bar-midionly in it. Versions 3 and 4 of TensorFlow Datasets read it."""
    root = str(tmp_path_factory.mktemp("tensorflow_datasets"))
    folder = os.path.join(root, NAME, "2.0.1")
    os.makedirs(folder)
    splits = {"train": TRAIN, "validation": VALIDATION, "test": [[(3, 0)]]}
    info = {"name": "groove", "version": "2.0.1"}
    info["splits"] = [write_split(folder, split, files) for split, files in splits.items()]
    with open(os.path.join(folder, "dataset_info.json"), "w") as f:
        json.dump(info, f)
    return root


@pytest.fixture(autouse=True)
def data_dir(groove_midi_dataset, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", groove_midi_dataset)
    return groove_midi_dataset


@pytest.fixture
def changeable(data_dir, tmp_path, monkeypatch):
    """Folder of a copy of the data set, which takes its place."""
    shutil.copytree(data_dir, str(tmp_path / "data"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "data"))
    return str(tmp_path / "data" / NAME / "2.0.1")


def songs_of(split):
    return [song for path in examples.find(tfds.find(NAME, split)) for song in examples.read(path)]


def played(sequence):
    return sorted([n.start_time, n.pitch, n.velocity] for n in sequence.notes)


def test_each_midi_file_of_the_split_is_a_song_with_its_id_as_its_name():
    assert [song.name.split("#")[1] for song in songs_of("train")] == [
        "drummer1-session1-%d:%03d" % (number, bar) for chunks in TRAIN for number, bar in chunks
    ]
    assert {song.name.split("#")[0][-len("-00001-of-00002") :] for song in songs_of("train")} == {
        "-00000-of-00002",
        "-00001-of-00002",
    }
    assert [song.name.split("#")[1] for song in songs_of("validation")] == [
        "drummer1-session1-2:000",
        "drummer1-session1-2:002",
    ]


def test_loudness_timing_and_tempo_of_each_take_come_through():
    """From the record through the encoder's and the decoder's form to a file again, within half a tick of MIDI."""
    converter = WindowConverter(CONFIG)
    for song, (number, bar) in zip(songs_of("train"), [place for chunks in TRAIN for place in chunks]):
        qpm = (ROCK, FUNK, SLOW, LATIN)[number][1]
        score = converter.score(song)
        (window,) = converter.windows(score)
        assert score.tempo_map.main_qpm(score.bars[-1]) == pytest.approx(qpm, abs=0.01)
        (again,) = converter.to_note_sequences([window.outputs], Style(qpm=qpm))
        expected = chunk(number, bar)
        np.testing.assert_allclose(played(again), sorted(expected), atol=60 / qpm / 480)
        assert len({velocity for _, _, velocity in expected}) > 15


def test_what_is_read_is_what_magenta_reads(data_dir):
    """The reference is TensorFlow Datasets on the same files, and magenta's converter on what it finds there."""
    import tensorflow_datasets

    split = tensorflow_datasets.load(NAME, split="train", data_dir=data_dir, download=False)
    magentas = configs.CONFIG_MAP[CONFIG].data_converter
    expected = []
    for example in tensorflow_datasets.as_numpy(split):
        tensors = magentas.to_tensors(note_seq.midi_to_note_sequence(example["midi"]))
        expected += zip(tensors.inputs, tensors.outputs)
    converter = WindowConverter(CONFIG)
    windows = [window for song in songs_of("train") for window in converter.windows(converter.score(song))]
    assert len(windows) == len(expected) == 6
    for window in windows:
        near = [
            np.abs(window.inputs[0] - inputs).max() + np.abs(window.outputs - outputs).max()
            for inputs, outputs in expected
        ]
        assert sum(distance < 1e-3 for distance in near) == 1


def run_train(script, run, *arguments):
    return script("midime_train", "--run_dir=" + run, "--hparams=" + layers(8), *arguments)


def test_trains_on_its_train_split_evaluates_on_its_validation_split_and_knows_when_it_has_changed(
    script, cut_down, tmp_path, changeable
):
    run = str(tmp_path / "run")
    flags = ["--config=lc-" + CONFIG, "--pretrained_path=" + cut_down[CONFIG], "--num_steps=20"]
    status, out, err = run_train(script, run, "--tfds_name=" + NAME, *flags)
    assert (status, out) == (0, os.path.join(run, "lc-%s.tar\n" % CONFIG)), err
    assert "--tfds_name=%s: --examples_path=%s" % (NAME, os.path.join(changeable, "groove-train.tfrecord-*\n")) in err
    assert "6 distinct windows from 6 songs" in err
    with open(os.path.join(run, "examples.tsv")) as f:
        assert f.read().count("#drummer1-session1-0:") == 3

    status, out, err = script("midime_train", "--mode=eval", "--run_dir=" + run, "--tfds_name=" + NAME)
    assert status == 0, err
    assert "step 20 on 2 windows" in out
    assert "flattery" not in out  # it is not evaluated on what it was trained on
    with open(os.path.join(run, "eval", "examples.tsv")) as f:
        assert f.read().count("#drummer1-session1-2:") == 2

    newer = os.path.join(os.path.dirname(changeable), "2.0.10")
    shutil.copytree(changeable, newer)  # a newer version with the same records is the same songs
    status, _, err = run_train(script, run, "--tfds_name=" + NAME, *flags)
    assert (status, "2.0.10" in err, "is trained to step 20 already" in err) == (0, True, True)
    write_split(newer, "train", [[(0, 0)], [(3, 1)]])
    status, _, err = run_train(script, run, "--tfds_name=" + NAME, *flags)
    assert status == 1
    assert "other songs than %s was trained on" % run in err
    assert "changed: groove-train.tfrecord-00000-of-00002, groove-train.tfrecord-00001-of-00002" in err
    assert run_train(script, run, "--tfds_name=%s:2.0.1" % NAME, *flags)[0] == 0


def test_a_data_set_that_is_not_there_is_not_downloaded_but_its_command_is_said(
    script, data_dir, tmp_path, monkeypatch
):
    for name in ("groove/4bar-midionly", "grove/2bar-midionly", "groove", NAME + ":1.0.0"):
        status, out, err = run_train(script, str(tmp_path / "run"), "--config=lc-" + CONFIG, "--tfds_name=" + name)
        assert (status, out, err.count("\n")) == (1, "", 1)
        assert err.startswith("midime_train: error: --tfds_name=%s: not in %s, which has %s; " % (name, data_dir, NAME))
        assert "import tensorflow_datasets as tfds; tfds.load('%s', try_gcs=True)" % name in err
        assert not (tmp_path / "run").exists()
    monkeypatch.delenv("TFDS_DATA_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert one_line(tfds.find, NAME, "train").startswith(
        "tfds_name=%s: not in %s; set TFDS_DATA_DIR to" % (NAME, tmp_path / "tensorflow_datasets")
    )


def test_only_one_of_the_songs_and_the_data_set_is_taken(script, tmp_path):
    for mode in ("train", "eval", "encode"):
        arguments = ["--mode=" + mode, "--tfds_name=" + NAME, "--examples_path=songs/"]
        status, _, err = script("midime_train", "--run_dir=%s" % tmp_path, *arguments)
        expected = "--tfds_name=%s: --examples_path=songs/ is given, too; leave one of them out" % NAME
        assert (status, err) == (1, "midime_train: error: %s\n" % expected)


@pytest.mark.parametrize("name", ["../groove", "/groove/2bar", "groove/..", "groove/2bar-midionly/", "", "Groove MIDI"])
def test_what_is_no_name_of_a_data_set_leads_nowhere(name):
    assert "must be a data set as TensorFlow Datasets names it" in one_line(tfds.find, name, "train")


def test_the_newest_version_is_taken_or_the_one_that_is_named(changeable):
    versions = os.path.dirname(changeable)
    for newer in ("2.0.9", "2.0.10"):
        shutil.copytree(changeable, os.path.join(versions, newer))
    os.makedirs(os.path.join(versions, "3.0.0.incomplete7ACGV9"))  # of a download that was stopped
    assert tfds.find(NAME, "train") == os.path.join(versions, "2.0.10", "groove-train.tfrecord-*")
    assert tfds.find(NAME + ":2.0.1", "train") == os.path.join(changeable, "groove-train.tfrecord-*")


def test_a_split_that_is_not_there_and_one_that_is_not_whole(changeable):
    assert one_line(tfds.find, NAME, "dev").endswith(
        "no split called dev in %s; its splits are test, train, validation" % changeable
    )
    os.remove(os.path.join(changeable, "groove-train.tfrecord-00001-of-00002"))
    assert "1 of 2 files of its split train are in %s; " % changeable in one_line(tfds.find, NAME, "train")
    assert tfds.find(NAME, "validation")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("cat-mel_2bar_small", "no notes that this config reads; --config=lc-cat-drums_2bar_small reads its drums"),
        ("groovae_4bar", "too short: 2 of 4 bars; --config=lc-groovae_2bar"),
    ],
)
def test_a_data_set_that_the_config_cannot_read_is_refused_before_all_of_it_is_read(
    config, said, script, cut_down, tmp_path, monkeypatch
):
    monkeypatch.setattr(songs, "_TRIED", 2)
    monkeypatch.setattr(songs, "reading", None)
    flags = [] if config == "cat-mel_2bar_small" else ["--pretrained_path=" + cut_down[config]]
    status, _, err = run_train(script, str(tmp_path / "run"), "--config=lc-" + config, "--tfds_name=" + NAME, *flags)
    assert status == 1
    assert "none of its first 2 songs gives %s a window; the first: drummer1-session1-0:000: %s" % (config, said) in err


def test_records_without_a_midi_file_are_said(changeable):
    """As in a data set of another kind, and in a damaged one."""
    import tensorflow.compat.v1 as tf

    path = os.path.join(changeable, "groove-train.tfrecord-00000-of-00002")
    labels = tf.train.Feature(int64_list=tf.train.Int64List(value=[7]))
    other = tf.train.Example(features=tf.train.Features(feature={"label": labels, "midi": labels}))
    with tf.io.TFRecordWriter(path) as writer:
        for content in (other.SerializeToString(), b"\xff\xff", record(0, 0, changeable)):
            writer.write(content)
    no_midi, damaged, whole = examples.sources(path)
    assert one_line(examples.load, no_midi) == path + "#0: no MIDI file in the record; its features are label, midi"
    assert one_line(examples.load, damaged) == path + "#1: no tf.train.Example"
    assert len(examples.load(whole).note_sequence.notes) == len(chunk(0, 0))


def test_shards_of_note_sequences_are_what_they_were(tmp_path, data_dir):
    """Magenta's pipelines name their files like this, too; only dataset_info.json makes a data set of them."""
    import tensorflow.compat.v1 as tf

    song = songs_of("validation")[0].note_sequence
    path = str(tmp_path / "mine-train.tfrecord-00000-of-00001")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(song.SerializeToString())
    (again,) = examples.read(path)
    assert again.name == path + "#0"
    assert played(again.note_sequence) == played(song)
