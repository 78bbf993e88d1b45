"""run.json: what it holds is read back as it was; whatever else it says is refused in one line. No TensorFlow."""

import copy
import json
import math
import os
import shutil

import pytest
from helpers import EXAMPLE, REPO, one_line

from lc_music_vae.checkpoints import model_files, run_dir, run_json
from lc_music_vae.errors import InputError
from lc_music_vae.hparams import HParams
from lc_music_vae.music.style import Style
from lc_music_vae.options import ModelSource
from lc_music_vae.training import evaluate as evaluating
from lc_music_vae.training import train as training

GOLDEN = os.path.join(REPO, "tests", "goldens", "run_tf1")  # of 0.1.0
CONFIG = "lc-cat-mel_2bar_small"


@pytest.fixture
def record():
    return run_json.RunJson(
        run_json.Settings(CONFIG, "cat-mel_2bar_small", HParams(grad_clip=1), True, 7, "2", "4/4"),
        run_json.Pretrained("/a/b.tar", [1, 2], "0123456789abcdef" * 4),
        run_json.Examples(["/songs"], 11, ["latents-00000-of-00001.tfrecord"], "f" * 64),
        Style(96.5, 73, -1, "6/8"),
        run_json.Latent([0.5, -1], 0.25),
        500,
        knobs=[run_json.Knob("density", 0.8, 5, 2, 0.9, -0.1, [0.5, -1])],
    )


def test_what_is_written_is_read(record):
    assert run_json.parse(json.loads(json.dumps(record.to_json())), "run.json") == record
    little = record._replace(latent=run_json.Latent(), examples=run_json.Examples(["/songs"], 11))
    assert run_json.parse(json.loads(json.dumps(little.to_json())), "run.json") == little


def test_runs_of_0_1_0_are_read():
    for platform in ("run_tf1", "run_tf2"):
        run = run_dir.at(os.path.join(os.path.dirname(GOLDEN), platform)).read()
        assert (run.settings.config, run.settings.metre, run.settings.hparams.encoded_z_size) == (CONFIG, "any", 4)
        assert run.examples == (["ode_to_joy.mid"], 11, None, None)
        assert run.settings.hparams.decoder_variance == "unit"
        assert (run.music, run.latent, run.step) == ((120, 0, 0, "4/4"), run_json.Latent(), 0)


@pytest.mark.parametrize("value", [{"format": 2}, {}, [], "x", {"format": "1"}, {"format": True}, {"dependencies": {}}])
def test_what_another_version_or_program_wrote_is_refused(value):
    found = value.get("format") if isinstance(value, dict) else None
    said = "run.json: written by another version of lc_music_vae (format %s, not 1), or by another program; give "
    assert one_line(run_json.parse, value, "run.json") == said % found + "another folder or file"


KNOB = {"name": "density", "fit": 0.8, "mean": 5, "scale": 2, "effect": 0.9, "offset": -0.1, "slope": [0.5, -1]}
KNOBS = "a list of knobs: name, fit, mean, scale, effect, offset and slope"

RIGHT = [
    (("knobs",), []),
    (("knobs",), [KNOB, dict(KNOB, name="register")]),
    (("config",), "lc-of-my-own"),
    (("metre",), None),
    (("pretrained", "path"), "x" * 4095),
    (("pretrained", "stamp"), []),
    (("hparams", "learning_rate"), 1),
    (("hparams", "max_beta"), None),
    (("examples", "windows"), 10**7),
    (("examples", "shards"), ["latents+001-00000-of-00002.tfrecord"]),
    (("examples", "shards"), None),
    (("music", "qpm"), 1e-9),
    (("music", "qpm"), 999999999),
    (("music", "program"), 127),
    (("music", "octaves"), -10),
    (("music", "octaves"), None),
    (("music", "time_signature"), "9/8"),
    (("music", "time_signature"), None),
    (("latent", "mean"), []),
    (("latent", "mean"), None),
    (("latent", "residual"), 0),
    (("latent",), None),
    (("step",), None),
]
# What people, editors and bad disks do to it.
EDITS = [
    (("knobs",), [KNOB, KNOB], KNOBS),
    (("knobs",), KNOB, KNOBS),
    (("knobs",), ["density"], KNOBS),
    (("knobs",), [dict(KNOB, name="../x")], KNOBS),
    (("knobs",), [dict(KNOB, effect=0.0)], KNOBS),
    (("knobs",), [dict(KNOB, offset="0")], KNOBS),
    (("knobs",), [dict(KNOB, slope=[1e9])], KNOBS),
    (("knobs",), [dict(KNOB, slope=[math.nan])], KNOBS),
    (("knobs",), [dict(KNOB, slope=3)], KNOBS),
    (("knobs",), [dict(KNOB, more=1)], KNOBS),
    (("knobs",), [{"name": "density"}], KNOBS),
    (("config",), "x" * 100, "a config's name"),
    (("config",), None, "a config's name"),
    (("config",), ["lc-cat-mel_2bar_small"], "a config's name"),
    (("music_vae",), 5, "a MusicVAE config's name"),
    (("music_vae",), "cat-mel_2bar_big", "cat-mel_2bar_small as its config"),
    (("augment",), "false", "true or false"),
    (("seed",), -1, "a whole number from 0 to 4294967295"),
    (("seed",), 2**32, "a whole number from 0 to 4294967295"),
    (("seed",), 1.5, "a whole number from 0 to 4294967295"),
    (("melody_track",), 2, "a track's name or number"),
    (("metre",), "3/4", '"any" or "4/4"'),
    (("pretrained", "path"), "x" * 4096, "a path"),
    (("pretrained", "path"), "a\0b", "a path"),
    (("pretrained", "stamp"), None, "a list of numbers and texts"),
    (("pretrained", "stamp"), [1.5], "a list of numbers and texts"),
    (("pretrained", "fingerprint"), "F" * 64, "a SHA-256 in hexadecimal"),
    (("pretrained", "fingerprint"), "f" * 65, "a SHA-256 in hexadecimal"),
    (("examples", "path"), "songs", "a list of paths"),
    (("examples", "path"), [3], "a list of paths"),
    (("examples", "windows"), 0, "a whole number, 1 or more"),
    (("examples", "windows"), None, "a whole number, 1 or more"),
    (("examples", "windows"), "11", "a whole number, 1 or more"),
    (("examples", "shards"), ["../../songs.tfrecord"], "a list of names of files in latents/"),
    (("examples", "shards"), "latents-00000-of-00001.tfrecord", "a list of names of files in latents/"),
    (("examples", "contents"), "f", "a SHA-256 in hexadecimal"),
    (("hparams", "encoded_z_size"), 0, "above 0 and at most 1024"),
    (("hparams", "encoded_z_size"), 4.0, "above 0 and at most 1024"),
    (("hparams", "encoded_z_size"), True, "above 0 and at most 1024"),
    (("hparams", "latent_encoder_layers"), [], "one or more sizes above 0: at most 16, up to 8192"),
    (("hparams", "latent_encoder_layers"), 64, "one or more sizes above 0: at most 16, up to 8192"),
    (("hparams", "latent_decoder_layers"), ["64"], "one or more sizes above 0: at most 16, up to 8192"),
    (("hparams", "learning_rate"), "0.001", "above 0 and at most 10"),
    (("hparams", "max_beta"), math.nan, "0 or more and at most 1000000"),
    (("hparams", "batch_size"), -1, "0 or more and at most 100000"),
    (("music", "qpm"), 0, "a number above 0"),
    (("music", "qpm"), 1e9, "a number above 0"),
    (("music", "qpm"), True, "a number above 0"),
    (("music", "program"), 128, "a whole number from 0 to 127"),
    (("music", "program"), 5.0, "a whole number from 0 to 127"),
    (("music", "octaves"), 11, "a whole number from -10 to 10"),
    (("music", "time_signature"), 6, 'a time signature, such as "6/8"'),
    (("music", "time_signature"), "2/4", 'a time signature, such as "6/8"'),  # its bars are written as 4/4
    (("music", "time_signature"), "9/7", 'a time signature, such as "6/8"'),
    (("music", "time_signature"), "6/8 ", 'a time signature, such as "6/8"'),
    (("latent", "mean"), [0, "1"], "a list of numbers"),
    (("latent", "mean"), [-1e9], "a list of numbers"),
    (("latent", "residual"), -1e-9, "0 or more"),
    (("step",), -1, "a whole number, 0 or more"),
    (("step",), "500", "a whole number, 0 or more"),
]
PARTS = [("hparams", []), ("pretrained", None), ("examples", None), ("music", 5), ("latent", []), ("latent", 5)]


def edited(value, names, new):
    """A copy with one value another; None takes it away."""
    value = copy.deepcopy(value)
    inner = value[names[0]] if len(names) == 2 else value
    inner[names[-1]] = new
    if new is None:
        del inner[names[-1]]
    return value


@pytest.mark.parametrize(("names", "value"), RIGHT)
def test_what_it_may_say(names, value, record):
    run_json.parse(edited(record.to_json(), names, value), "run.json")


@pytest.mark.faults("run.json edited")
@pytest.mark.parametrize(("names", "value", "expected"), EDITS)
def test_what_it_may_not_say(names, value, expected, record):
    said = "run.json: its run.json says %s=%.60r, not %s; it is damaged, or no model of this toolkit: restore it, or "
    error = one_line(run_json.parse, edited(record.to_json(), names, value), "run.json")
    assert error == str(InputError(said % (".".join(names), value, expected) + "train again"))


@pytest.mark.faults("run.json edited")
@pytest.mark.parametrize(("name", "value"), PARTS)
def test_a_part_that_is_none(name, value, record):
    error = one_line(run_json.parse, dict(record.to_json(), **{name: value}), "a.tar")
    assert error.startswith("a.tar: its run.json says %s." % name)
    assert "=%r, not" % (value,) in error


DAMAGES = [b"", b"{", b'{"format": 1', b"\xff\xfe\x00", b"\0" * 500, b"[" * 100000, b"null", b"1", b'{"format": 1}']


@pytest.mark.faults("run.json edited")
@pytest.mark.parametrize("content", DAMAGES, ids=lambda content: repr(content[:12]))
@pytest.mark.parametrize("command", ["train", "evaluate", "generate", "prefix"])
def test_every_command_refuses_one_that_is_damaged_in_one_line(content, command, tmp_path):
    """Before anything else is done: nothing is written."""
    run = shutil.copytree(GOLDEN, str(tmp_path / "run"))
    path = os.path.join(run, "run.json")
    with open(path, "wb") as f:
        f.write(content)
    calls = {
        "train": lambda: training.train(CONFIG, EXAMPLE, run, num_steps=20),
        "evaluate": lambda: evaluating.evaluate(run),
        "generate": lambda: model_files.find(ModelSource(run_dir=run)),
        "prefix": lambda: model_files.find(ModelSource(checkpoint_file=os.path.join(run, "train", "model.ckpt-10"))),
    }
    before = sorted(os.listdir(run))
    error = one_line(calls[command])
    assert path in error
    assert sorted(os.listdir(run)) == before


@pytest.mark.faults("run.json edited")
def test_one_that_is_no_file_is_waited_for_by_nobody(tmp_path):
    os.mkfifo(str(tmp_path / "run.json"))
    advice = "cannot be read (not a plain file); restore it or train into another run_dir"
    assert one_line(run_dir.at(str(tmp_path)).read) == "%s: %s" % (tmp_path / "run.json", advice)
    os.remove(str(tmp_path / "run.json"))
    (tmp_path / "run.json").mkdir()
    assert "cannot be read" in one_line(run_dir.at(str(tmp_path)).read)
