"""Which files a model is made of. Names, sizes and run.json alone: what is in the checkpoints does not matter here."""

import copy
import os

import pytest

from lc_music_vae import checkpoints, files, model_files
from lc_music_vae.errors import InputError

CONFIG, BIG, VAE = "lc-cat-mel_2bar_small", "lc-cat-mel_2bar_big", "cat-mel_2bar_small"


def make_checkpoint(prefix):
    os.makedirs(os.path.dirname(prefix), exist_ok=True)
    for suffix in (".index", ".data-00000-of-00001"):
        with open(prefix + suffix, "w") as f:
            f.write(prefix)
    return prefix


@pytest.fixture
def pretrained(tmp_path):
    return make_checkpoint(str(tmp_path / "vae" / "model.ckpt"))


@pytest.fixture
def run(pretrained):
    """What a training records, as far as it is used."""
    stamp = checkpoints.stamp(checkpoints.find(pretrained, "--pretrained_path"))
    return {
        "format": 1,
        "config": CONFIG,
        "pretrained": {"path": pretrained, "stamp": stamp, "fingerprint": "0123456789abcdef" * 4},
        "music": {"qpm": 96.5, "program": 73, "octaves": -1},
        "latent": {"mean": [0.5, -1], "residual": 0.25},
    }


@pytest.fixture
def folder(tmp_path, run):
    path = str(tmp_path / "run")
    prefix = make_checkpoint(os.path.join(path, "train", "model.ckpt-5"))
    with open(os.path.join(path, "train", "checkpoint"), "w") as f:
        f.write('model_checkpoint_path: "model.ckpt-5"\n')
    files.write_json(os.path.join(path, "run.json"), run)
    checkpoints.write_bundle(os.path.join(path, CONFIG + ".tar"), prefix, CONFIG, run)
    return path


def refusal(**flags):
    with pytest.raises(InputError) as e:
        model_files.find(**flags)
    return str(e.value)


def prefix_in(folder):
    return os.path.join(folder, "train", "model.ckpt-5")


def test_a_run_says_all(folder, run, pretrained):
    found = model_files.find(run_path=folder)
    small = checkpoints.Checkpoint(folder, prefix_in(folder), None, dict(run, metre="any"), "--run_dir")
    vae = checkpoints.Checkpoint(pretrained, pretrained, None, None, "--vae_checkpoint_file")
    assert found == (CONFIG, VAE, small, vae, None, 96.5, 73, [0.5, -1], 0.25, -1)


def test_a_prefix_in_its_run_and_a_bundle_say_the_same(folder):
    of_run = model_files.find(run_path=folder)
    for path in (prefix_in(folder), os.path.join(folder, CONFIG + ".tar")):
        found = model_files.find(checkpoint_file=path)
        assert (found.small.path, found.small.flag) == (path, "--checkpoint_file")
        assert found._replace(small=None) == of_run._replace(small=None)
        same = {"config": CONFIG, "vae_config": VAE}
        assert model_files.find(checkpoint_file=path, **same) == found


def test_a_run_that_is_older_says_less(folder, run):
    del run["latent"], run["music"]["octaves"]
    files.write_json(os.path.join(folder, "run.json"), run)
    found = model_files.find(run_path=folder)
    assert (found.latent_mean, found.latent_residual, found.octaves) == (None, None, 0)


def test_without_a_record_the_config_is_asked_for(folder, tmp_path):
    os.remove(os.path.join(folder, "run.json"))
    prefix = prefix_in(folder)
    message = "--config is needed: %s does not say which config it was trained with" % prefix
    assert refusal(checkpoint_file=prefix) == message
    found = model_files.find(checkpoint_file=prefix, config=CONFIG)
    assert found.pretrained == checkpoints.shipped("cat-mel_2bar_small_folk.tar")
    assert found._replace(small=None, pretrained=None) == (CONFIG, VAE, None, None, None, 120, 0, None, None, 0)


def test_contradictions_and_what_is_not_there(folder, tmp_path):
    bundle = os.path.join(folder, CONFIG + ".tar")
    either = "give either --run_dir or --checkpoint_file: the folder of a training, or a small VAE's file"
    assert refusal() == refusal(run_path=folder, checkpoint_file=bundle) == either
    contradicts = "--config=%s contradicts %s, which was trained with --config=%s"
    assert refusal(run_path=folder, config=BIG) == contradicts % (BIG, os.path.join(folder, "run.json"), CONFIG)
    assert refusal(checkpoint_file=bundle, config=BIG) == contradicts % (BIG, bundle, CONFIG)
    other = "--vae_config=x contradicts --config=%s, whose MusicVAE is %s" % (CONFIG, VAE)
    assert refusal(run_path=folder, vae_config="x") == other
    nothing = "--run_dir=%s holds no trained model; train one there with midime_train"
    assert refusal(run_path=str(tmp_path)) == nothing % tmp_path
    os.remove(os.path.join(folder, "train", "checkpoint"))
    assert refusal(run_path=folder) == nothing % folder
    with open(os.path.join(folder, "run.json"), "w") as f:
        f.write("[" * 100000)
    advice = "not readable as JSON; restore it, or give the bundle in its folder"
    assert refusal(checkpoint_file=prefix_in(folder)) == "%s: %s" % (os.path.join(folder, "run.json"), advice)


def test_the_fingerprint_counts_where_the_files_are_others(folder, run, pretrained, tmp_path):
    """The same path, unchanged, is known to be right."""
    expected = run["pretrained"]["fingerprint"]
    link = str(tmp_path / "link")
    os.symlink(os.path.dirname(pretrained), link)
    same = os.path.join(link, "model.ckpt")
    assert model_files.find(run_path=folder, vae_checkpoint_file=same).fingerprint is None
    elsewhere = make_checkpoint(str(tmp_path / "copy" / "model.ckpt"))
    found = model_files.find(run_path=folder, vae_checkpoint_file=elsewhere)
    assert (found.pretrained.path, found.fingerprint) == (elsewhere, expected)
    with open(pretrained + ".index", "a") as f:
        f.write("more")
    assert model_files.find(run_path=folder).fingerprint == expected


def test_where_the_checkpoint_that_was_used_is_gone(folder, run, pretrained):
    for suffix in (".index", ".data-00000-of-00001"):
        os.remove(pretrained + suffix)
    found = model_files.find(run_path=folder)
    assert found.pretrained.path.endswith("cat-mel_2bar_small_folk.tar")
    assert found.fingerprint == run["pretrained"]["fingerprint"]  # whether that is the one is still to be seen
    run["config"] = BIG
    files.write_json(os.path.join(folder, "run.json"), run)
    url = "https://storage.googleapis.com/magentadata/models/music_vae/checkpoints/cat-mel_2bar_big.tar"
    message = "--vae_checkpoint_file is needed: the MusicVAE checkpoint for --config=%s%s; "
    message += "--vae_checkpoint_file=cat-mel_2bar_big downloads it (%s)" % url
    assert refusal(run_path=folder) == message % (BIG, " (the one it was trained on, %s, is gone)" % pretrained)
    os.remove(os.path.join(folder, "run.json"))
    assert refusal(checkpoint_file=prefix_in(folder), config=BIG) == message % (BIG, "")


def test_where_none_is_published(folder, monkeypatch):
    entry = model_files.CONFIG_MAP[BIG]
    monkeypatch.setitem(model_files.CONFIG_MAP, BIG, entry._replace(checkpoint_url=None))
    os.remove(os.path.join(folder, "run.json"))
    assert refusal(checkpoint_file=prefix_in(folder), config=BIG).endswith("--config=%s; none is published" % BIG)


def test_a_published_name_is_downloaded_unless_something_is_called_so(folder, tmp_path, monkeypatch):
    from lc_music_vae import downloads

    asked = []

    def fetch(*arguments):
        asked.append(arguments)
        return make_checkpoint(str(tmp_path / "came" / "model.ckpt"))

    monkeypatch.setattr(downloads, "fetch", fetch)
    monkeypatch.setenv("LC_MUSIC_VAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(str(tmp_path))
    name = "cat-mel_2bar_big"
    found = model_files.find(run_path=folder, vae_checkpoint_file=name)
    assert found.pretrained.prefix == str(tmp_path / "came" / "model.ckpt")
    url = "https://storage.googleapis.com/magentadata/models/music_vae/checkpoints/%s.tar" % name
    assert asked == [(url, str(tmp_path / "cache" / "downloads"), "--vae_checkpoint_file", None)]
    for there in (str(tmp_path / name), str(tmp_path / name / "model.ckpt")):
        make_checkpoint(there)
        assert model_files.find(run_path=folder, vae_checkpoint_file=name).pretrained.path == name
        for suffix in (".index", ".data-00000-of-00001"):
            os.remove(there + suffix)
    assert "no checkpoint (*.index) in this folder" in refusal(run_path=folder, vae_checkpoint_file=name)
    assert len(asked) == 1


RIGHT = [
    (("config",), CONFIG),
    (("pretrained", "path"), "x" * 4095),
    (("pretrained", "stamp"), []),
    (("pretrained", "fingerprint"), "f" * 64),
    (("music", "qpm"), 1e-9),
    (("music", "qpm"), 999999999),
    (("music", "program"), 0),
    (("music", "program"), 127),
    (("music", "octaves"), -10),
    (("music", "octaves"), 10),
    (("music", "octaves"), None),
    (("latent", "mean"), []),
    (("latent", "mean"), [1e8, -1e8]),
    (("latent", "mean"), None),
    (("latent", "residual"), 0),
    (("latent",), None),
]
WRONG = [
    (("config",), "x" * 100, "a config's name"),
    (("config",), None, "a config's name"),
    (("pretrained", "path"), "x" * 4096, "a path"),
    (("pretrained", "path"), "a\0b", "a path"),
    (("pretrained", "path"), 5, "a path"),
    (("pretrained", "stamp"), None, "a list"),
    (("pretrained", "fingerprint"), "f" * 65, "a SHA-256 in hexadecimal"),
    (("pretrained", "fingerprint"), "F" * 64, "a SHA-256 in hexadecimal"),
    (("music", "qpm"), 0, "a number above 0"),
    (("music", "qpm"), 1e9, "a number above 0"),
    (("music", "qpm"), True, "a number above 0"),
    (("music", "program"), 128, "a whole number from 0 to 127"),
    (("music", "program"), -1, "a whole number from 0 to 127"),
    (("music", "program"), 5.0, "a whole number from 0 to 127"),
    (("music", "octaves"), 11, "a whole number from -10 to 10"),
    (("music", "octaves"), -11, "a whole number from -10 to 10"),
    (("latent", "mean"), [0, "1"], "a list of numbers"),
    (("latent", "mean"), [-1e9], "a list of numbers"),
    (("latent", "residual"), -1e-9, "0 or more"),
    (("latent", "residual"), "1", "0 or more"),
]


def with_value(run, names, value):
    changed = copy.deepcopy(run)
    inner = changed[names[0]] if len(names) == 2 else changed
    inner[names[-1]] = value
    return changed


@pytest.mark.parametrize(("names", "value"), RIGHT)
def test_what_is_used_of_a_run_json_may_be(names, value, run):
    model_files._check_recorded(with_value(run, names, value), "run.json")


@pytest.mark.parametrize(("names", "value", "expected"), WRONG)
def test_what_is_used_of_a_run_json_may_not_be(names, value, expected, run):
    with pytest.raises(InputError) as e:
        model_files._check_recorded(with_value(run, names, value), "run.json")
    said = "run.json: its run.json says %s=%.60r, not %s; it is damaged, or no model of this toolkit"
    assert str(e.value) == said % (".".join(names), value, expected)


@pytest.mark.parametrize("value", [5, [], "x"])
def test_a_part_of_a_run_json_that_is_none(value, run):
    with pytest.raises(InputError) as e:
        model_files._check_recorded(dict(run, latent=value), "a.tar")
    assert str(e.value).startswith("a.tar: its run.json says latent.mean=%r, not a list of numbers" % (value,))
