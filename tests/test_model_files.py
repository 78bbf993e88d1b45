"""Which files a model is made of. Names, sizes and run.json alone: what is in the checkpoints does not matter here."""

import os

import pytest
from helpers import WEIGHTS

from lc_music_vae.checkpoints import bundles, finding, model_files, run_json
from lc_music_vae.checkpoints.checkpoint import Checkpoint, stamp
from lc_music_vae.configs import CONFIG_MAP
from lc_music_vae.errors import InputError
from lc_music_vae.hparams import HParams
from lc_music_vae.music.style import Style
from lc_music_vae.options import ModelSource
from lc_music_vae.system import files

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
    """What a training records."""
    files = stamp(finding.find(pretrained, "--pretrained_path"))
    record = run_json.RunJson(
        run_json.Settings(CONFIG, VAE, HParams(), False, 0, "auto", "any"),
        run_json.Pretrained(pretrained, files, "0123456789abcdef" * 4),
        run_json.Examples(["song.mid"], 11),
        Style(96.5, 73, -1, "6/8"),
        run_json.Latent([0.5, -1], 0.25),
        5,
    )
    return record.to_json()


@pytest.fixture
def folder(tmp_path, run):
    path = str(tmp_path / "run")
    prefix = make_checkpoint(os.path.join(path, "train", "model.ckpt-5"))
    with open(os.path.join(path, "train", "checkpoint"), "w") as f:
        f.write('model_checkpoint_path: "model.ckpt-5"\n')
    files.write_json(os.path.join(path, "run.json"), run)
    bundles.write(os.path.join(path, CONFIG + ".tar"), prefix, name=CONFIG, run=run)
    return path


def find(**source):
    return model_files.find(ModelSource(**source))


def refusal(**source):
    with pytest.raises(InputError) as e:
        find(**source)
    return str(e.value)


def prefix_in(folder):
    return os.path.join(folder, "train", "model.ckpt-5")


def test_a_run_says_all(folder, run, pretrained):
    found = find(run_dir=folder)
    small = Checkpoint(folder, prefix_in(folder), None, None, "--run_dir")
    vae = Checkpoint(pretrained, pretrained, None, None, "--vae_checkpoint_file")
    style, latent, knobs = (96.5, 73, -1, "6/8"), run_json.Latent([0.5, -1], 0.25), None
    assert found == (CONFIG, VAE, small, vae, None, style, latent, knobs, folder)


def test_a_prefix_in_its_run_and_a_bundle_say_the_same(folder):
    of_run = find(run_dir=folder)
    for path in (prefix_in(folder), os.path.join(folder, CONFIG + ".tar")):
        found = find(checkpoint_file=path)
        assert (found.small.path, found.small.flag) == (path, "--checkpoint_file")
        assert found._replace(small=None) == of_run._replace(small=None, run_path=None)
        same = {"config": CONFIG, "vae_config": VAE}
        assert find(checkpoint_file=path, **same) == found


def test_a_run_that_is_older_says_less(folder, run):
    del run["latent"], run["music"]["octaves"], run["music"]["time_signature"]
    files.write_json(os.path.join(folder, "run.json"), run)
    found = find(run_dir=folder)
    assert (found.latent, found.style) == (run_json.Latent(), Style(96.5, 73))


def test_without_a_record_the_config_is_asked_for(folder, tmp_path):
    os.remove(os.path.join(folder, "run.json"))
    prefix = prefix_in(folder)
    message = "config is needed: %s does not say which config it was trained with" % prefix
    assert refusal(checkpoint_file=prefix) == message
    found = find(checkpoint_file=prefix, config=CONFIG)
    assert found.pretrained == finding.shipped(WEIGHTS)
    assert found._replace(small=None, pretrained=None) == (
        CONFIG,
        VAE,
        None,
        None,
        None,
        Style(),
        run_json.Latent(),
        None,
        None,
    )


def test_contradictions_and_what_is_not_there(folder, tmp_path):
    bundle = os.path.join(folder, CONFIG + ".tar")
    either = "give either run_dir or checkpoint_file: the folder of a training, or a small VAE's file"
    assert refusal() == refusal(run_dir=folder, checkpoint_file=bundle) == either
    contradicts = "config=%s contradicts %s, which was trained with config=%s"
    assert refusal(run_dir=folder, config=BIG) == contradicts % (BIG, os.path.join(folder, "run.json"), CONFIG)
    assert refusal(checkpoint_file=bundle, config=BIG) == contradicts % (BIG, bundle, CONFIG)
    other = "vae_config=x contradicts config=%s, whose MusicVAE is %s" % (CONFIG, VAE)
    assert refusal(run_dir=folder, vae_config="x") == other
    nothing = "run_dir=%s holds no trained model; train one there with midime_train"
    assert refusal(run_dir=str(tmp_path)) == nothing % tmp_path
    for suffix in (".index", ".data-00000-of-00001"):
        os.rename(prefix_in(folder) + suffix, str(tmp_path / ("x.ckpt" + suffix)))
    assert refusal(run_dir=folder).startswith("run_dir=%s: train/model.ckpt-5, which training reached, is" % folder)
    make_checkpoint(prefix_in(folder))
    with open(os.path.join(folder, "run.json"), "w") as f:
        f.write("[" * 100000)
    advice = "not readable as JSON; restore it or give the bundle in its folder"
    assert refusal(checkpoint_file=prefix_in(folder)) == "%s: %s" % (os.path.join(folder, "run.json"), advice)


def test_what_is_left_of_a_run_is_named_with_the_flag_that_helps(folder, tmp_path):
    gone = str(tmp_path / "gone")
    said = "run_dir=%s: no such folder; give the one that the run is in now, or train one there with midime_train"
    assert refusal(run_dir=gone) == said % gone
    picture = str(tmp_path / "training.png")
    open(picture, "w").close()
    assert refusal(run_dir=picture) == "run_dir=%s is no folder; a model's file is given as checkpoint_file" % picture
    bundle = os.path.join(folder, CONFIG + ".tar")
    assert refusal(checkpoint_file=folder).endswith(
        "no checkpoint (*.index) in this folder; give its bundle, checkpoint_file=" + bundle
    )
    assert model_files.find(ModelSource(checkpoint_file=bundle)).config == CONFIG
    os.remove(os.path.join(folder, "run.json"))
    said = "run_dir=%s has no run.json: it is gone, or no training made this folder; midime_generate "
    assert refusal(run_dir=folder) == said % folder + "checkpoint_file=%s needs nothing else" % bundle


def test_the_fingerprint_counts_where_the_files_are_others(folder, run, pretrained, tmp_path):
    """The same path, unchanged, is known to be right."""
    expected = run["pretrained"]["fingerprint"]
    link = str(tmp_path / "link")
    os.symlink(os.path.dirname(pretrained), link)
    same = os.path.join(link, "model.ckpt")
    assert find(run_dir=folder, vae_checkpoint_file=same).fingerprint is None
    elsewhere = make_checkpoint(str(tmp_path / "copy" / "model.ckpt"))
    found = find(run_dir=folder, vae_checkpoint_file=elsewhere)
    assert (found.pretrained.path, found.fingerprint) == (elsewhere, expected)
    with open(pretrained + ".index", "a") as f:
        f.write("more")
    assert find(run_dir=folder).fingerprint == expected


def test_where_the_checkpoint_that_was_used_is_gone(folder, run, pretrained):
    for suffix in (".index", ".data-00000-of-00001"):
        os.remove(pretrained + suffix)
    found = find(run_dir=folder)
    assert found.pretrained.path.endswith(WEIGHTS)
    assert found.fingerprint == run["pretrained"]["fingerprint"]  # whether that is the one is still to be seen
    run.update(config=BIG, music_vae="cat-mel_2bar_big")
    files.write_json(os.path.join(folder, "run.json"), run)
    url = "https://storage.googleapis.com/magentadata/models/music_vae/checkpoints/cat-mel_2bar_big.tar"
    message = "vae_checkpoint_file is needed: the MusicVAE checkpoint for config=%s%s; "
    message += "vae_checkpoint_file=cat-mel_2bar_big downloads it (%s)" % url
    assert refusal(run_dir=folder) == message % (BIG, " (the one it was trained on, %s, is gone)" % pretrained)
    os.remove(os.path.join(folder, "run.json"))
    assert refusal(checkpoint_file=prefix_in(folder), config=BIG) == message % (BIG, "")


@pytest.mark.parametrize("is_there", [True, False], ids=["the file it used", "another installation"])
def test_a_run_over_weights_that_shipped_before_goes_on_with_them_and_says_so(
    folder, run, pretrained, is_there, caplog
):
    caplog.set_level("INFO")
    newest, *older = CONFIG_MAP[CONFIG].shipped
    assert older
    for one in older:
        run["pretrained"]["fingerprint"] = one.encoder
        run["pretrained"]["path"] = pretrained if is_there else "/gone/" + one.file
        files.write_json(os.path.join(folder, "run.json"), run)
        caplog.clear()
        found = find(run_dir=folder)
        assert found.pretrained.path == (pretrained if is_there else os.path.join(finding.SHIPPED, one.file))
        assert one.name in caplog.text
        assert "for %s, train anew in another --run_dir" % newest.name in caplog.text
    run["pretrained"]["fingerprint"] = newest.encoder
    files.write_json(os.path.join(folder, "run.json"), run)
    caplog.clear()
    assert find(run_dir=folder).pretrained.path == (pretrained if is_there else os.path.join(finding.SHIPPED, WEIGHTS))
    assert "earlier" not in caplog.text


def test_what_ships_has_a_name_unless_something_is_called_so(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for one in CONFIG_MAP[CONFIG].shipped:
        path = os.path.join(finding.SHIPPED, one.file)
        assert find(run_dir=folder, vae_checkpoint_file=one.name).pretrained.path == path
    make_checkpoint(str(tmp_path / one.name / "model.ckpt"))
    assert find(run_dir=folder, vae_checkpoint_file=one.name).pretrained.path == one.name
    with pytest.raises(InputError, match="no checkpoint there"):
        model_files.find_pretrained("--pretrained_path", WEIGHTS[: -len(".tar")], config=BIG, run=None)


def test_where_none_is_published(folder, monkeypatch):
    entry = CONFIG_MAP[BIG]
    monkeypatch.setitem(CONFIG_MAP, BIG, entry._replace(checkpoints=()))
    os.remove(os.path.join(folder, "run.json"))
    assert refusal(checkpoint_file=prefix_in(folder), config=BIG).endswith("config=%s; none is published" % BIG)


def test_a_published_name_of_another_config_is_not_downloaded(folder, monkeypatch):
    from lc_music_vae.checkpoints import downloads

    monkeypatch.setattr(downloads, "fetch", None)
    assert refusal(run_dir=folder, vae_checkpoint_file="cat-drums_2bar_small.hikl") == (
        "vae_checkpoint_file=cat-drums_2bar_small.hikl is not the MusicVAE of config=%s, but of "
        "config=lc-cat-drums_2bar_small; give one or the other" % CONFIG
    )


def test_where_several_are_published_all_are_named(folder, run):
    """They are needed by what was trained on one of them; what was not takes the one that ships."""
    drums = "lc-cat-drums_2bar_small"
    run.update(config=drums, music_vae="cat-drums_2bar_small")
    run["pretrained"]["path"] = "/gone/cat-drums_2bar_small.hikl.tar"
    files.write_json(os.path.join(folder, "run.json"), run)
    assert refusal(run_dir=folder).endswith(
        "(the one it was trained on, /gone/cat-drums_2bar_small.hikl.tar, is gone); "
        "vae_checkpoint_file=cat-drums_2bar_small.lokl downloads it (%(at)s.lokl.tar) or "
        "vae_checkpoint_file=cat-drums_2bar_small.hikl downloads it (%(at)s.hikl.tar)"
        % {"at": "https://storage.googleapis.com/magentadata/models/music_vae/checkpoints/cat-drums_2bar_small"}
    )
    (shipped,) = CONFIG_MAP[drums].shipped
    run["pretrained"]["fingerprint"] = shipped.encoder
    files.write_json(os.path.join(folder, "run.json"), run)
    assert find(run_dir=folder).pretrained == finding.shipped(shipped.file)
    os.remove(os.path.join(folder, "run.json"))
    assert find(checkpoint_file=prefix_in(folder), config=drums).pretrained == finding.shipped(shipped.file)


def test_a_published_name_is_downloaded_unless_something_is_called_so(folder, tmp_path, monkeypatch):
    from lc_music_vae.checkpoints import downloads

    asked = []

    def fetch(*arguments, sha256):
        asked.append((*arguments, sha256))
        return make_checkpoint(str(tmp_path / "came" / "model.ckpt"))

    monkeypatch.setattr(downloads, "fetch", fetch)
    monkeypatch.setenv("LC_MUSIC_VAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(str(tmp_path))
    name = "cat-mel_2bar_big"
    entry = CONFIG_MAP[CONFIG]._replace(checkpoints=CONFIG_MAP[BIG].checkpoints)
    monkeypatch.setitem(CONFIG_MAP, CONFIG, entry)
    found = find(run_dir=folder, vae_checkpoint_file=name)
    assert found.pretrained.prefix == str(tmp_path / "came" / "model.ckpt")
    url = "https://storage.googleapis.com/magentadata/models/music_vae/checkpoints/%s.tar" % name
    assert asked == [(url, str(tmp_path / "cache" / "downloads"), "--vae_checkpoint_file", None)]
    for there in (str(tmp_path / name), str(tmp_path / name / "model.ckpt")):
        make_checkpoint(there)
        assert find(run_dir=folder, vae_checkpoint_file=name).pretrained.path == name
        for suffix in (".index", ".data-00000-of-00001"):
            os.remove(there + suffix)
    assert "no checkpoint (*.index) in this folder" in refusal(run_dir=folder, vae_checkpoint_file=name)
    assert len(asked) == 1
