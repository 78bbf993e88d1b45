"""The two scripts as a user meets them: the seed's commands, files, and one line for everything that is wrong."""

import contextlib
import json
import os
import pty
import re
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tarfile
import threading
import time

import note_seq
import pytest
from helpers import EXAMPLE, REPO, SMALL, drum_beat, layers, melody, midi_in, run_process, tune, write_midi

from benchmarks.random_checkpoints import save_random_checkpoint
from lc_music_vae.checkpoints import run_dir as run_dir_lib
from lc_music_vae.system import files

NAME = r"%s_%s_\d{4}-\d\d-\d\d_\d{6}-%03d-of-%03d\.mid$"


def sha(folder):
    """Digests of the MIDI files in a folder and then of their picture."""
    names = sorted(set(os.listdir(str(folder))) - {"index.json", "index.html"})
    assert [name[-4:] for name in names] == [".mid"] * (len(names) - 1) + [".png"]
    return [files.sha256(os.path.join(str(folder), name)) for name in names]


def notes_of(path):
    sequence = note_seq.midi_file_to_note_sequence(path)
    return [(round(n.start_time, 3), round(n.end_time, 3), n.pitch) for n in sequence.notes]


@pytest.fixture(scope="module")
def published(small_checkpoints, tmp_path_factory):
    """The published models' checkpoints (cut down) as tar, prefix and folder: {config: {form: path}}."""
    folder = tmp_path_factory.mktemp("published")
    forms = {}
    for name in ("cat-mel_2bar_big", "hierdec-mel_16bar"):
        model = folder / name
        model.mkdir()
        prefix = str(model / (name + ".ckpt"))
        for suffix in (".index", ".data-00000-of-00001"):
            shutil.copy(small_checkpoints[name] + suffix, prefix + suffix)
        with tarfile.open(str(folder / (name + ".tar")), "w") as tar:
            tar.add(str(model), name)
        forms[name] = {"tar": str(folder / (name + ".tar")), "prefix": prefix, "folder": str(model)}
    return forms


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("cat-mel_2bar_big", "tar"),
        pytest.param("cat-mel_2bar_big", "prefix", marks=pytest.mark.every),
        pytest.param("cat-mel_2bar_big", "folder", marks=pytest.mark.every),
        ("hierdec-mel_16bar", "tar"),
    ],
)
def test_the_first_programs_commands_for_both_published_models(name, form, published, cut_down, script, tmp_path):
    """Train on a TFRecord for 10 steps, sample 5, interpolate 5, with MusicVAE's checkpoint in every form."""
    import tensorflow.compat.v1 as tf

    examples_path = str(tmp_path / "notesequences.tfrecord")
    with tf.io.TFRecordWriter(examples_path) as writer:
        writer.write(melody(tune(20)).SerializeToString())
    status, _, error = script(
        "midime_train",
        "--config=lc-" + name,
        "--run_dir=%s/" % (tmp_path / "tmp"),
        "--mode=train",
        "--examples_path=" + examples_path,
        "--eval_num_batches=2",
        "--pretrained_path=" + published[name][form],
        "--num_steps=10",
    )
    assert status == 0, error
    common = [
        "--vae_config=" + name,
        "--config=lc-" + name,
        "--checkpoint_file=%s" % (tmp_path / "tmp" / ("lc-%s.tar" % name)),
        "--vae_checkpoint_file=" + published[name][form],
        "--num_outputs=5",
    ]
    status, _, error = script("midime_generate", *common + ["--mode=sample", "--output_dir=%s" % (tmp_path / "s")])
    assert status == 0, error
    inputs = [
        write_midi(melody(tune(16 if "16" in name else 2, seed)), tmp_path / ("%d.mid" % seed)) for seed in (1, 2)
    ]
    status, _, error = script(
        "midime_generate",
        *common
        + ["--mode=interpolate", "--input_midi_1=" + inputs[0], "--input_midi_2=" + inputs[1]]
        + ["--output_dir=%s" % (tmp_path / "i")],
    )
    assert status == 0, error
    for folder, mode in (("s", "sample"), ("i", "interpolate")):
        written = midi_in(tmp_path / folder)
        assert len(written) == 5
        pictures = [name for name in os.listdir(str(tmp_path / folder)) if name.endswith(".png")]
        assert pictures == [re.sub(r"-000-of-005.mid$", ".png", os.path.basename(written[0]))]
        for i, path in enumerate(written):
            assert re.match(NAME % ("lc-" + name, mode, i, 5), os.path.basename(path))
            note_seq.midi_file_to_note_sequence(path)


@pytest.mark.parametrize("form", ["prefix", "folder", "bundle"])
def test_small_vae_in_every_form(form, trained, script, tmp_path):
    paths = {
        "prefix": os.path.join(trained, "train", "model.ckpt-500"),
        "folder": os.path.join(trained, "train"),
        "bundle": os.path.join(trained, SMALL + ".tar"),
    }
    status, _, error = script(
        "midime_generate", "--checkpoint_file=" + paths[form], "--seed=1", "--output_dir=%s" % (tmp_path / "a")
    )
    assert status == 0, error
    script("midime_generate", "--run_dir=" + trained, "--seed=1", "--output_dir=%s" % (tmp_path / "b"))
    assert sha(tmp_path / "a") == sha(tmp_path / "b")


def test_checkpoints_of_midime_load_by_name(trained, script, tmp_path):
    """A small VAE without run.json, saved with the rest of a graph around it, as midiMe's SmallMusicVAE is."""
    import tensorflow.compat.v1 as tf

    reader = tf.train.NewCheckpointReader(os.path.join(trained, "train", "model.ckpt-500"))
    prefix = str(tmp_path / "model.ckpt")
    with tf.Graph().as_default(), tf.Session() as session:
        names = [n for n in reader.get_variable_to_shape_map() if n.startswith("latent") and "Adam" not in n]
        variables = {n: tf.Variable(reader.get_tensor(n)) for n in names}
        variables["encoder/mu/bias"] = tf.Variable(tf.zeros([256]))
        session.run(tf.global_variables_initializer())
        tf.train.Saver(variables).save(session, prefix)
    status, _, error = script("midime_generate", "--checkpoint_file=" + prefix, "--output_dir=" + str(tmp_path))
    assert (status, error) == (
        1,
        "midime_generate: error: --config is needed: %s does not say which config it was trained with\n" % prefix,
    )
    common = ["--seed=1", "--copies=allow", "--freedom=0"]  # its songs are not known
    arguments = ["--checkpoint_file=" + prefix, "--config=" + SMALL, "--output_dir=%s" % (tmp_path / "a")]
    assert script("midime_generate", *arguments, *common)[0] == 0
    script("midime_generate", "--run_dir=" + trained, "--output_dir=%s" % (tmp_path / "b"), *common)
    assert sha(tmp_path / "a") == sha(tmp_path / "b")


def test_same_seed_same_bytes_in_every_mode_and_another_seed_others(trained, script, tmp_path):
    modes = {
        "sample": ["--num_outputs=5"],
        "interpolate": ["--num_outputs=5", "--input_midi_1=" + EXAMPLE, "--input_bars_1=1-2"]
        + ["--input_midi_2=" + EXAMPLE, "--input_bars_2=9-10"],
        "reconstruct": ["--input_midi_1=" + EXAMPLE],
    }
    for mode, arguments in modes.items():
        # At the songs' own bars MusicVAE is so sure that at 1 it may draw the same notes with any seed.
        common = ["--run_dir=" + trained, "--mode=" + mode, "--temperature=2", *arguments]
        flags = [*common, "--seed=1", "--output_dir=%s" % (tmp_path / mode / "a")]
        done = run_process("midime_generate.py", *flags)  # in a process of its own, as nothing was done before
        assert done.returncode == 0, done.stderr
        for folder, seed in (("b", 1), ("c", 2)):
            flags = [*common, "--seed=%d" % seed, "--output_dir=%s" % (tmp_path / mode / folder)]
            status, _, error = script("midime_generate", *flags)
            assert status == 0, error
        assert sha(tmp_path / mode / "a") == sha(tmp_path / mode / "b")
        assert sha(tmp_path / mode / "a") != sha(tmp_path / mode / "c")


def test_run_dir_alone_is_enough_and_nothing_is_overwritten(trained, script, tmp_path, monkeypatch):
    run_dir = shutil.copytree(trained, str(tmp_path / "run"))
    monkeypatch.setattr(time, "time", lambda: 1.6e9)
    for count in (1, 2):
        status, _, error = script("midime_generate", "--run_dir=" + run_dir, "--num_outputs=2")
        assert status == 0, error
        assert re.search(r"^--seed=\d+$", error, re.MULTILINE)
        assert len(midi_in(os.path.join(run_dir, "generated"))) == 2 * count
    assert len([name for name in os.listdir(os.path.join(run_dir, "generated")) if name.endswith(".png")]) == 2
    stamps = {re.search(r"\d{6}-", os.path.basename(p)).group() for p in midi_in(os.path.join(run_dir, "generated"))}
    assert len(stamps) == 2


def test_of_a_song_the_bars_most_like_its_others_are_taken_and_all_are_listed(trained, script, tmp_path):
    """A tune A B A C: A is the bars that come again. What is listed are its bars, and each of its files works."""
    a, b, c = tune(2, 0), tune(2, 1), tune(2, 2)
    notes = [(8 * i + start, 8 * i + end, pitch) for i, part in enumerate((b, a, c, a)) for start, end, pitch in part]
    song = write_midi(melody(notes), tmp_path / "song.mid")
    model = ["--run_dir=" + trained, "--mode=interpolate", "--seed=1", "--num_outputs=2", "--temperature=0.01"]
    ends = ["--input_midi_1=" + song, "--input_midi_2=" + EXAMPLE]
    status, _, error = script("midime_generate", *model, *ends, "--output_dir=%s" % (tmp_path / "whole"))
    assert status == 0, error
    assert (
        "bars 3-4 of song.mid stand for it: of its windows they are most like the others; --input_bars_1 takes" in error
    )
    assert re.search(
        r"bars \d+-\d+ of ode_to_joy.mid stand for it: .*--input_bars_2 takes others, --list_bars lists all", error
    )
    assert [one["title"] for one in index_of(tmp_path / "whole")["given"]][0] == "bars 3-4 of song.mid"

    out = "--output_dir=%s" % (tmp_path / "listed")
    flags = ["--run_dir=" + trained, "--mode=similar", "--list_bars", "--input_midi_1=" + song, out]
    status, result, error = script("midime_generate", *flags)
    assert (status, "seed" in error) == (0, False), error
    run = index_of(tmp_path / "listed")
    assert (run["mode"], len(run["outputs"])) == ("bars", 6)  # seven pairs of bars, of which A twice
    files = {one["flag"]: str(tmp_path / "listed" / one["file"]) for one in run["outputs"]}
    assert result.splitlines() == list(files.values())
    assert [one["title"] for one in run["outputs"] if "stand" in one["title"]] == [
        "bars 3-4 of song.mid, which stand for it"
    ]
    for flag, path in files.items():
        first = 2 * (int(re.match(r"--input_bars_1=(\d+)-", flag).group(1)) - 1)
        expected = [n for n in notes_of(song) if first <= n[0] < first + 4]
        assert notes_of(path) == [(round(s - first, 3), round(min(e - first, 4), 3), p) for s, e, p in expected]

    made = {}
    for how, given in (("file", [files["--input_bars_1=5-6"]]), ("bars", [song, "--input_bars_1=5-6"])):
        given[0] = "--input_midi_1=" + given[0]
        out = "--output_dir=%s" % (tmp_path / how)
        status, _, error = script("midime_generate", *model, ends[1], "--input_bars_2=1-2", *given, out)
        assert status == 0, error
        made[how] = sha(tmp_path / how)
    assert made["file"][:-1] == made["bars"][:-1]  # the pictures name the inputs


@pytest.mark.parametrize("name", ["midime_train", "midime_generate"])
def test_help_and_wrong_flags_need_no_tensorflow(name):
    """They answer at once; measured 0.06 s, of which a half second is far off. What counts is what is not imported."""
    done = run_process(name + ".py", "--help")
    assert done.returncode == 0
    assert "--run_dir" in done.stdout
    for arguments in (["--modus=sample"], ["--mode=nonsense"], ["--num_outputs=x"], ["extra"], []):
        done = run_process("-X", "importtime", name + ".py", *arguments)
        assert done.returncode == 1
        lines = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
        assert len(lines) == 1
        assert lines[0].startswith(name + ": error: ")
        assert not re.search(r"\| +(tensorflow|magenta|note_seq|numpy)\b", done.stderr)


def tiny_training(tmp_path, name="run"):
    import lc_music_vae

    song = write_midi(melody(tune(4)), tmp_path / "song.mid")
    hparams = layers(8)
    lc_music_vae.train(SMALL, song, str(tmp_path / name), num_steps=1, hparams=hparams)
    return str(tmp_path / name)


TRAIN_ERRORS = [
    ([], "--run_dir is needed"),
    (["--run_dir={new}"], "--examples_path is needed"),
    (["--run_dir={new}", "--examples_path={song}", "--pretrained_path={song}"], "--config is needed"),
    (["--run_dir={new}", "--config=" + SMALL], "--examples_path is needed"),
    (["--run_dir={new}", "--config=lc-cat-mel_2bar_smal", "--examples_path={song}"], "did you mean " + SMALL),
    (
        ["--run_dir={new}", "--config=" + SMALL, "--examples_path={none}"],
        "--examples_path={none}: no such file or folder",
    ),
    (
        ["--run_dir={new}", "--config=lc-cat-mel_2bar_big", "--examples_path={song}"],
        "--pretrained_path=cat-mel_2bar_big downloads it (https://",
    ),
    (["{train}", "--pretrained_path={none}"], "--pretrained_path={none}: no checkpoint there"),
    (["{train}", "--pretrained_path={text}"], "--pretrained_path={text}: not a readable .tar bundle"),
    (["{train}", "--num_steps=-1"], "--num_steps=-1 must be from 0 to 1000000000"),
    (["{train}", "--num_steps=5", "--fidelity=free"], "--fidelity=free: --num_steps=5 says where training ends"),
    (["{train}", "--fidelity=near"], "should be one of <free|balanced|close>"),
    (["{train}", "--holdout=1"], "--holdout=1.0 must be from 0 to 0.9"),
    (["{train}", "--num_data_threads=0"], "--num_data_threads=0 must be from 1 to 256"),
    (["{train}", "--checkpoints_to_keep=0"], "--checkpoints_to_keep=0 must be from 1 to 1000000000"),
    (["{train}", "--seed=-1"], "--seed=-1 must be from 0 to 4294967295"),
    (["{train}", "--seed=4294967296"], "--seed=4294967296 must be from 0 to 4294967295"),
    (["{train}", "--num_steps=1e3"], "--num_steps=1e3"),
    (["{train}", "--hparam=max_beta=1"], "Unknown command line flag 'hparam'. Did you mean: hparams ?"),
    (["{train}", "--hparams=encoded_z_size=1000000000"], "must be above 0 and at most 1024"),
    (["{train}", "--hparams=max_betta=1"], "did you mean max_beta?"),
    (["{train}", "--mode=test"], "should be one of <train|eval|encode>"),
    (["--run_dir={text}/x", "--config=" + SMALL, "--examples_path={song}"], "--run_dir={text}/x cannot be made"),
    (["--run_dir={new}", "--mode=eval"], "--run_dir={new}: no such folder; give the one that the run is in now"),
    (["--run_dir={run}", "--mode=eval", "--eval_num_batches=0"], "--eval_num_batches=0 must be from 1 to 1000000000"),
    (["--run_dir={run}", "--mode=eval", "--examples_path={none}"], "no such file or folder"),
    (["--run_dir={run}", "--mode=eval", "--num_steps=7"], "--num_steps=7: mode eval does not take it; leave it out"),
    (["--run_dir={run}", "--mode=eval", "--metre=any"], "--metre=any: mode eval does not take it"),
    (["--run_dir={run}", "--mode=eval", "--add_songs"], "--add_songs=True: mode eval does not take it"),
    (["--run_dir={run}", "--config=" + SMALL, "--examples_path={song}", "--seed=3"], "--seed=3 contradicts"),
]


@pytest.mark.faults("wrong flags and arguments")
@pytest.mark.parametrize(("arguments", "message"), TRAIN_ERRORS, ids=[m[:40] for _, m in TRAIN_ERRORS])
def test_training_errors_are_one_line(arguments, message, script, places):
    check_error(script, "midime_train", arguments, message, places)


GENERATE_ERRORS = [
    ([], "give either --run_dir or --checkpoint_file"),
    (["--run_dir={run}", "--checkpoint_file={run}/%s.tar" % SMALL], "give either --run_dir or --checkpoint_file"),
    (["--run_dir={new}"], "--run_dir={new}: no such folder; give the one that the run is in now"),
    (["--checkpoint_file={none}"], "--checkpoint_file={none}: no checkpoint there"),
    (["--checkpoint_file={run}/%s.tar" % SMALL], "--output_dir is needed with --checkpoint_file"),
    (["{out}", "--mode=dance"], "should be one of <sample|interpolate|reconstruct|similar|walk|compose|continue|play>"),
    (["{out}", "--num_outputs=0"], "--num_outputs=0 must be from 1 to 10000"),
    (["{out}", "--mode=interpolate", "--num_outputs=1"], "--num_outputs=1 must be 2 or more in mode interpolate"),
    (["{out}", "--max_batch_size=0"], "--max_batch_size=0 must be from 1 to 10000"),
    (["{out}", "--temperature=0"], "--temperature=0.0 must be a number above 0"),
    (["{out}", "--num_outputs=1000000000"], "--num_outputs=1000000000 must be from 1 to 10000"),
    (["{out}", "--num_outputs=2.5"], "--num_outputs=2.5"),
    (["{out}", "--num_output=2"], "Unknown command line flag 'num_output'. Did you mean: num_outputs ?"),
    (["{out}", "--max_batch_size=1000000000"], "--max_batch_size=1000000000 must be from 1 to 10000"),
    (["{out}", "--temperature=-1"], "--temperature=-1.0 must be a number above 0"),
    (["{out}", "--temperature=inf"], "--temperature=inf must be a number above 0"),
    (["{out}", "--temperature=1e-50"], "--temperature=1e-50 must be a number above 0"),
    (["{out}", "--seed=4294967296"], "--seed=4294967296 must be from 0 to 4294967295"),
    (["{out}", "--qpm=nan"], "--qpm=nan must be from 10 to 1000"),
    (["{out}", "--qpm=1001"], "--qpm=1001.0 must be from 10 to 1000"),
    (["{out}", "--temperature=nan"], "--temperature=nan must be a number above 0"),
    (["{out}", "--mode=walk", "--num_outputs=1"], "--num_outputs=1 must be 2 or more in mode walk"),
    (["{out}", "--mode=similar", "--similarity=1.5"], "--similarity=1.5 must be from 0 to 1"),
    (["{out}", "--mode=similar", "--similarity=nan"], "--similarity=nan must be from 0 to 1"),
    (["{out}", "--mode=similar"], "--input_midi_1 is needed in mode similar: a music file, or --latent"),
    (["{out}", "--latent=1,x"], "--latent=1,x: expected numbers with commas between, such as 0.3,-1,0,2"),
    (["{out}", "--latent=1,inf,0,0"], "--latent=1,inf,0,0: expected numbers"),
    (["{out}", "--latent=1,2,3,1e39"], "--latent=1,2,3,1e39: its numbers must be from -1000 to 1000"),
    (["{out}", "--latent=1,2,3"], "--latent=1,2,3: this model's latent has 4 numbers"),
    (["{out}", "--latent_2=1,2,3,4"], "--latent_2=1,2,3,4: mode sample does not take it"),
    (["{out}", "--mode=reconstruct", "--latent=1,2,3,4"], "--latent=1,2,3,4: mode reconstruct does not take it"),
    (["{ends}", "--latent=1,2,3,4"], "give either --input_midi_1 or --latent"),
    (["{out}", "--seed=-3"], "--seed=-3 must be from 0"),
    (["{out}", "--qpm=0"], "--qpm=0.0 must be from 10 to 1000"),
    (["{out}", "--program=128"], "--program=128 must be from 0 to 127"),
    (["{out}", "--mode=reconstruct", "--qpm=90"], "--qpm=90.0: mode reconstruct does not take it; leave it out"),
    (["{out}", "--config=lc-cat-mel_2bar_big"], "--config=lc-cat-mel_2bar_big contradicts"),
    (["{out}", "--vae_config=cat-mel_2bar_big"], "--vae_config=cat-mel_2bar_big contradicts --config=" + SMALL),
    (["{out}", "--vae_checkpoint_file={none}"], "--vae_checkpoint_file={none}: no checkpoint there"),
    (["{out}", "--vae_checkpoint_file={other}"], "--vae_checkpoint_file={other} holds other weights"),
    (["{out}", "--mode=interpolate"], "--input_midi_1 is needed in mode interpolate"),
    (["{out}", "--mode=interpolate", "--input_midi_1={song}"], "--input_midi_2 is needed in mode interpolate"),
    (["{out}", "--mode=reconstruct", "--input_midi_1={none}"], "--input_midi_1={none}: no such file or folder"),
    (["{out}", "--mode=reconstruct", "--input_midi_1={text}"], "--input_midi_1={text}: the file looks like neither"),
    (["{out}", "--mode=reconstruct", "--input_midi_1={drums}"], "the song has no notes that config"),
    (
        ["{out}", "--mode=reconstruct", "--input_midi_1={waltz}", "--metre=4/4"],
        "left out by --metre=4/4: 3/4 from bar 1; --metre=any reads it",
    ),
    (
        ["{out}", "--mode=interpolate", "--input_midi_1={waltz}", "--input_midi_2={song}", "--metre=4/4"],
        "--input_midi_1={waltz} holds no notes that cat-mel_2bar_small reads; left out by --metre=4/4: 3/4",
    ),
    (["{ends}", "--metre=3/4"], "should be one of <any|4/4>"),
    (["{ends}", "--input_bars_1=five"], "--input_bars_1=five: expected first and last bar, such as 5-6"),
    (["{ends}", "--input_bars_1=1-3"], "--input_bars_1=1-3: one window is bars 1-2 there"),
    (["{ends}", "--input_bars_1=9-10"], "--input_bars_1=9-10: {song} has 4 bars"),
    (["--run_dir={run}", "--output_dir={text}/x"], "--output_dir={text}/x cannot be made"),
]


@pytest.mark.faults("wrong flags and arguments")
@pytest.mark.parametrize(("arguments", "message"), GENERATE_ERRORS, ids=[m[:40] for _, m in GENERATE_ERRORS])
def test_generating_errors_are_one_line(arguments, message, script, places):
    check_error(script, "midime_generate", arguments, message, places)
    assert not os.path.exists(places["made"]) or not os.listdir(places["made"])


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Paths that the wrong commands name."""
    folder = tmp_path_factory.mktemp("places")
    run = tiny_training(folder)
    (folder / "text.txt").write_text("just text, and enough of it to be no record")
    save_random_checkpoint("cat-mel_2bar_small", str(folder / "other.ckpt"), 1, slots=False)
    song = str(folder / "song.mid")
    out = "--run_dir=%s --output_dir=%s" % (run, folder / "made")
    return {
        "run": run,
        "new": str(folder / "new"),
        "song": song,
        "none": str(folder / "none"),
        "text": str(folder / "text.txt"),
        "other": str(folder / "other.ckpt"),
        "drums": write_midi(drum_beat(4), folder / "drums.mid"),
        "waltz": write_midi(melody(tune(2), time_signature=(3, 4)), folder / "waltz.mid"),
        "made": str(folder / "made"),
        "train": "--run_dir=%s --config=%s --examples_path=%s" % (folder / "new", SMALL, song),
        "out": out,
        "ends": "%s --mode=interpolate --input_midi_1=%s --input_midi_2=%s" % (out, song, song),
    }


def check_error(script, name, arguments, message, places):
    filled = [part for a in arguments for part in a.format(**places).split(" ")]
    status, out, error = script(name, *filled)
    assert status == 1
    assert out == ""
    last = error.splitlines()[-1]
    assert last.startswith(name + ": error: ")
    assert message.format(**places) in last
    assert "Traceback" not in error
    others = [line for line in error.splitlines()[:-1] if not re.match(r"--seed=\d+$", line)]
    assert others == []


def test_debug_shows_the_traceback(script, tmp_path):
    status, _, error = script("midime_generate", "--run_dir=%s" % tmp_path, "--log=DEBUG")
    assert status == 1
    assert "Traceback" in error
    assert error.splitlines()[-1].startswith("midime_generate: error: ")


@pytest.mark.slow
def test_at_info_only_our_own_lines_reach_the_screen_and_the_last_one_is_a_command(tmp_path):
    run_dir = tmp_path / "Anna's run"
    done = run_process(
        "midime_train.py",
        "--config=" + SMALL,
        "--examples_path=" + EXAMPLE,
        "--run_dir=%s" % run_dir,
        "--num_steps=10",
    )
    assert done.returncode == 0
    assert done.stdout == "%s\n" % (run_dir / (SMALL + ".tar"))
    numbers = r"loss [\d.]+, reconstruction [\d.]+, KL [\d.]+ nats"
    patterns = [
        r"11 distinct windows from 1 song$",
        r"  .*ode_to_joy\.mid: track 0 \(the only track\)$",
        r"training from step 0 to 10, 11 windows a step$",
        *[r"step %d of 10: %s$" % (step, numbers) for step in range(1, 11)],
        r"knobs that its samples follow: .*$",
        r"trained to step 10 on 11 distinct windows from 1 song: %s$" % numbers,
        r"  its curves and a map of its latent: .*run/training\.png$",
        r"  a page that plays the model: .*run/play\.html$",
        r"  the model to keep or share:$",
        r"to hear it: .*midime_generate\.py .*$",
    ]
    lines = done.stderr.splitlines()
    assert len(lines) == len(patterns), done.stderr
    assert all(re.match(*pair) for pair in zip(patterns, lines)), done.stderr
    last_step, summary = (re.search(numbers, line).group() for line in (lines[-7], lines[-5]))
    assert summary == last_step
    command = shlex.split(lines[-1][len("to hear it: ") :])
    assert subprocess.run(command, cwd=REPO, stderr=subprocess.PIPE).returncode == 0
    assert len(midi_in(run_dir / "generated")) == 8
    done = run_process("midime_train.py", "--mode=eval", "--run_dir=%s" % run_dir)
    seen = r"pictures of samples and reconstructions, and the latents: tensorboard --logdir=.*\n$"
    flattered = r"these bars are [\d.]+ nats a window likelier .*, which is flattery: it was trained on them; .*\n$"
    assert re.match(r"step 10 on 11 windows: %s a window\n" % numbers + flattered, done.stdout)
    assert re.match(r"11 .*\n.*\n" + seen, done.stderr)


@pytest.fixture
def on_a_terminal(script, monkeypatch):
    """Runs a script with stderr on a terminal: (exit status, what the terminal was sent)."""

    def run(*arguments):
        here, there = pty.openpty()
        sent = []

        def read():
            with contextlib.suppress(OSError):  # the other end is closed
                while True:
                    sent.append(os.read(here, 1 << 16))

        reader = threading.Thread(target=read)
        reader.start()
        with os.fdopen(there, "w") as terminal, monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", terminal)
            status, _, _ = script(*arguments)
        reader.join(10)
        os.close(here)
        return status, b"".join(sent).decode()

    return run


@pytest.mark.parametrize("level", ["INFO", "WARN"])
def test_on_a_terminal_bars_stand_for_the_lines_of_steps(level, on_a_terminal, tmp_path):
    arguments = ["--config=" + SMALL, "--examples_path=" + EXAMPLE, "--num_steps=100", "--log=" + level]
    status, sent = on_a_terminal("midime_train", "--run_dir=%s" % tmp_path, *arguments)
    assert status == 0
    status, sampled = on_a_terminal("midime_generate", "--run_dir=%s" % tmp_path, "--log=" + level)
    assert status == 0
    if level == "WARN":
        assert sent + sampled == ""
        return
    assert re.search(r"reading: 100%.* 1/1 .*11 windows", sent)
    shown = re.findall(r"training: .*?(\d+)/100 .*?loss ([\d.]+), reconstruction ([\d.]+), KL ([\d.]+) nats", sent)
    steps = [int(step) for step, _, _, _ in shown]
    assert len(steps) > 2
    assert steps == sorted(set(steps))
    # beta is 1. What the loss has beside these parts keeps variances from collapsing.
    assert all(-0.02 < float(loss) - float(parts) - float(kl) < 5 for _, loss, parts, kl in shown)
    assert not re.search(r"step \d+ of", sent)
    assert re.search(r"decoding: +0%.* 0/8 ", sampled)  # one batch: too fast for a second look
    # Lines of the log begin where the bar was cleared away, or on lines of their own.
    for line in (r"11 distinct windows from 1 song", r"training from step 0 to 100, .*", r"trained to step 100 on .*"):
        assert re.search(r"(^|[\r\n])%s\r\n" % line, sent)


def test_a_hundred_bad_files_are_told_of_in_a_screenful(script, tmp_path):
    songs = tmp_path / "songs"
    songs.mkdir()
    write_midi(melody(tune(4)), songs / "good.mid")
    for i in range(100):
        (songs / ("bad%02d.mid" % i)).write_bytes(b"MThd" + bytes([i]))
    status, _, error = script(
        "midime_train",
        "--config=" + SMALL,
        "--examples_path=%s" % songs,
        "--run_dir=%s" % (tmp_path / "run"),
        "--num_steps=1",
    )
    assert status == 0
    lines = error.splitlines()
    said = lines.index("100 of 101 songs gave no window; all are in %s:" % (tmp_path / "run" / "examples.tsv"))
    assert lines[said + 1].startswith("  %s: not readable as MIDI (" % (songs / "bad00.mid"))
    assert len(lines) <= 24
    rows = (tmp_path / "run" / "examples.tsv").read_text().splitlines()
    assert len(rows) == 1 + 101
    assert sum("not readable as MIDI" in row for row in rows) == 100


@pytest.mark.slow
def test_interrupt_is_one_line_and_130(tmp_path):
    script = os.path.join(REPO, "midime_train.py")
    arguments = ["--config=" + SMALL, "--examples_path=" + EXAMPLE, "--run_dir=%s" % tmp_path, "--num_steps=1000000"]
    process = subprocess.Popen([sys.executable, script] + arguments, stderr=subprocess.PIPE, universal_newlines=True)
    for line in process.stderr:
        if line.startswith("training from"):
            break
    while not (tmp_path / "train" / "checkpoint").exists():
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    error = process.stderr.read()
    assert process.wait() == 130
    assert time.monotonic() - began < 2
    step = run_dir_lib.at(str(tmp_path)).latest()[1]
    assert error.splitlines()[-1] == (
        "midime_train: stopped at step %d of 1000000; the same command goes on from there" % step
    )


def test_demo_commands_stay_below_1200_megabytes(trained, tmp_path):
    """Peak memory of the heaviest process this test session started so far; the demo's bound is 1.2 GB."""
    run_process("midime_train.py", "--config=" + SMALL, "--examples_path=" + EXAMPLE, "--run_dir=%s" % (tmp_path / "r"))
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss < 1.2e6


def test_audio_is_the_same_again_and_listed(trained, script, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    sounds = []
    for name in ("a", "b"):
        out = tmp_path / name
        arguments = ["--run_dir=" + trained, "--num_outputs=2", "--seed=1", "--audio", "--output_dir=%s" % out]
        status, _, error = script("midime_generate", *arguments)
        assert status == 0, error
        assert error.startswith("--audio: by note-seq's plain synthesiser; for real instruments install FluidSynth")
        assert error.endswith("to look at and listen to: %s\n" % (out / "index.html"))
        names = [output["audio"] for output in index_of(out)["outputs"]]
        assert names == [os.path.basename(path)[:-4] + ".wav" for path in midi_in(out)]
        sounds.append([files.sha256(str(out / name)) for name in names])
        assert all(name in (out / "index.html").read_text(encoding="utf-8") for name in names)
    assert sounds[0] == sounds[1]
    assert len(set(sounds[0])) == 2


@pytest.mark.slow
def test_a_soundfont_that_is_not_there_is_said_before_tensorflow_is_loaded(places, tmp_path):
    environment = dict(os.environ, LC_MUSIC_VAE_SOUNDFONT=places["none"])
    arguments = ["midime_generate.py", "--run_dir=" + places["run"], "--audio", "--output_dir=%s" % (tmp_path / "made")]
    done = run_process("-X", "importtime", *arguments, env=environment)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("import time:")]
    assert (done.returncode, lines) == (
        1,
        [
            "midime_generate: error: $LC_MUSIC_VAE_SOUNDFONT=%s: no soundfont there; name a .sf2 file, or unset it"
            % places["none"]
        ],
    )
    assert not re.search(r"\| +(tensorflow|magenta|note_seq|numpy|pretty_midi)\b", done.stderr)
    assert not (tmp_path / "made").exists()


def index_of(folder):
    with open(os.path.join(str(folder), "index.json")) as f:
        (run,) = json.load(f)["runs"]
    return run


def test_walk_moves_each_knob_on_its_own_and_its_latents_lead_back_to_its_notes(trained, script, tmp_path):
    arguments = ["--run_dir=" + trained, "--seed=1", "--temperature=0.001"]
    walk = ["--mode=walk", "--dimensions=all", "--num_outputs=3", "--output_dir=%s" % (tmp_path / "walk")]
    status, _, error = script("midime_generate", *arguments + walk)
    assert status == 0, error
    written = index_of(tmp_path / "walk")["outputs"]
    latent = files.read_json(os.path.join(trained, "run.json"))["latent"]
    mean, low, high = (latent[name] for name in ("mean", "low", "high"))
    ends = [(low[i], (low[i] + high[i]) / 2, high[i]) for i in range(4)]
    order = [int(re.match(r"knob (\d): ", output["title"]).group(1)) - 1 for output in written[::3]]
    assert order == [0, 1, 2, 3]
    titles = ["knob %d: %.2f" % (i + 1, value) for i in order for value in ends[i]]
    assert [output["title"] for output in written] == titles
    for row, output in enumerate(written):
        expected = list(mean)
        expected[order[row // 3]] = ends[order[row // 3]][row % 3]
        assert output["latent"] == pytest.approx(expected, abs=1e-4)
    assert len(midi_in(tmp_path / "walk")) == 12
    assert len({tuple(notes_of(path)) for path in midi_in(tmp_path / "walk")}) >= 6  # the knobs do something
    latent = "--latent=" + ",".join(map(str, written[5]["latent"]))
    status, _, error = script("midime_generate", *arguments + [latent, "--output_dir=%s" % (tmp_path / "one")])
    assert status == 0, error
    (again,) = midi_in(tmp_path / "one")
    assert notes_of(again) == notes_of(midi_in(tmp_path / "walk")[5])


def test_variations_stay_as_near_to_the_bars_as_asked(trained, script, tmp_path):
    common = ["--run_dir=" + trained, "--mode=similar", "--seed=1", "--num_outputs=16"]
    common += ["--input_midi_1=" + EXAMPLE, "--input_bars_1=9-10", "--temperature=0.1"]
    sets = {}
    for similarity in ("1", "0.3", "0"):
        out = tmp_path / similarity
        status, _, error = script("midime_generate", *common + ["--similarity=" + similarity, "--output_dir=%s" % out])
        assert status == 0, error
        run = index_of(out)
        assert (run["similarity"], run["inputs"]) == (float(similarity), ["ode_to_joy.mid"])
        sets[similarity] = [{(start, pitch) for start, _, pitch in notes_of(path)} for path in midi_in(out)]
    heard = sets["1"][0]  # the bars as the model hears them
    alike = {s: sum(2 * len(heard & n) / (len(heard) + len(n)) for n in found) / 16 for s, found in sets.items()}
    assert alike["0"] + 0.1 < alike["0.3"] < alike["1"] - 0.05
    assert len({tuple(output["latent"]) for output in index_of(tmp_path / "1")["outputs"]}) == 1


def test_interpolation_between_two_points_found_before(trained, script, tmp_path):
    ends = ["--latent=0.5,1,-1,0.2", "--latent_2=-0.5,0.3,1,2"]
    common = ["--run_dir=" + trained, "--seed=1", "--temperature=0.001"]
    out = ["--mode=interpolate", "--num_outputs=4", "--output_dir=%s" % (tmp_path / "way")]
    status, _, error = script("midime_generate", *common + ends + out)
    assert status == 0, error
    for i, latent in ((0, ends[0]), (3, ends[1].replace("_2", ""))):
        status, _, _ = script("midime_generate", *common + [latent, "--output_dir=%s" % (tmp_path / str(i))])
        assert status == 0
        assert notes_of(midi_in(tmp_path / str(i))[0]) == notes_of(midi_in(tmp_path / "way")[i])


def test_an_input_far_from_the_songs_is_warned_of_and_one_of_their_own_is_not(trained, script, tmp_path):
    wild = [(i / 4, (i + 1) / 4, 30 + 37 * i % 70) for i in range(32)]
    other = write_midi(melody(wild), tmp_path / "wild.mid")
    common = ["--run_dir=" + trained, "--mode=interpolate", "--num_outputs=2", "--output_dir=%s" % (tmp_path / "out")]
    common += ["--input_midi_2=" + EXAMPLE, "--input_bars_2=9-10"]
    status, _, error = script("midime_generate", *common + ["--input_midi_1=" + other])
    assert status == 0, error
    (warning,) = [line for line in error.splitlines() if "far from" in line]
    match = re.match(r"--input_midi_1=(.*) lies far from the songs that were trained on \(([\d.]+) times", warning)
    assert match.group(1) == other
    assert float(match.group(2)) > 2
    status, _, error = script("midime_generate", *common + ["--input_midi_1=" + EXAMPLE, "--input_bars_1=1-2"])
    assert (status, "far from" in error) == (0, False)


def test_copies_are_named(trained, script, tmp_path):
    """A model that was trained long enough copies its song; here the song's own bars, well kept, are found again."""
    run_dir = shutil.copytree(trained, str(tmp_path / "run"))
    status, result, error = script(
        "midime_generate", "--run_dir=" + run_dir, "--num_outputs=64", "--seed=1", "--copies=allow"
    )
    assert status == 0, error
    run = index_of(os.path.join(run_dir, "generated"))
    assert run["copies"] == "allow"
    # What was made is on stdout, for other programs: the first latents, and every file.
    lines = result.splitlines()
    assert [line[:14] for line in lines[:16]] == ["%03d: --latent=" % i for i in range(16)]
    assert lines[16:] == [os.path.join(run_dir, "generated", output["file"]) for output in run["outputs"]]
    copies = [output for output in run["outputs"] if output["nearest"]["copy"]]
    said = re.findall(r"^(\d+) is a copy, note for note: bars (\d+)-(\d+) of ode_to_joy\.mid$", error, re.MULTILINE)
    assert [(c["title"], str(c["nearest"]["bars"][0]), str(c["nearest"]["bars"][1])) for c in copies] == said
    for copy in copies:
        first = 2 * (copy["nearest"]["bars"][0] - 1)
        song = {(round(a - first, 3), pitch) for a, _, pitch in notes_of(EXAMPLE) if first <= a < first + 4}
        path = os.path.join(run_dir, "generated", copy["file"])
        assert {(start, pitch) for start, _, pitch in notes_of(path)} == song
    assert "... and 48 more, all in index.json" in error


def test_samples_that_are_copies_are_drawn_again_and_that_is_said(trained, script, tmp_path):
    flags = ["--run_dir=" + trained, "--num_outputs=64", "--seed=1", "--output_dir=%s" % (tmp_path / "new")]
    status, _, error = script("midime_generate", *flags)
    assert status == 0, error
    run = index_of(tmp_path / "new")
    assert run["copies"] == "redraw"
    assert all(output["nearest"] is None or output["nearest"]["similarity"] < 0.9 for output in run["outputs"])
    assert re.search(r"^drawn again: \d+ near-copies of the songs \(0\.9 alike or more\)", error, re.MULTILINE)
    flags = ["--run_dir=" + trained, "--latent=0,0,0,0", "--num_outputs=9", "--output_dir=%s" % (tmp_path / "point")]
    status, _, error = script("midime_generate", *flags)
    assert (status, "drawn again" in error) == (0, False)
    assert index_of(tmp_path / "point")["copies"] == "allow"


def test_a_damaged_record_of_the_songs_is_said_before_anything_is_loaded(trained, script, tmp_path):
    run_dir = shutil.copytree(trained, str(tmp_path / "run"))
    with open(os.path.join(run_dir, "songs.npz"), "r+b") as f:
        f.truncate(100)
    common = ["--checkpoint_file=%s/train" % run_dir, "--num_outputs=1", "--output_dir=%s" % (tmp_path / "out")]
    status, _, error = script("midime_generate", *common)
    assert (status, error.count("\n")) == (1, 1)
    assert error.startswith("midime_generate: error: --checkpoint_file=%s/train: its songs.npz is damaged (" % run_dir)
    status, _, error = script("midime_generate", "--copies=allow", "--freedom=0", *common)
    assert status == 0, error


def test_without_the_run_nearness_is_not_known_and_that_is_said(trained, script, tmp_path):
    bundle = os.path.join(trained, SMALL + ".tar")
    status, _, error = script("midime_generate", "--checkpoint_file=" + bundle, "--output_dir=%s" % tmp_path)
    assert status == 0
    assert "how near these are to the songs that were trained on is known with --run_dir only" in error
    assert all(output["nearest"] is None for output in index_of(tmp_path)["outputs"])
