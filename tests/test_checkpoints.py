import io
import os
import shutil
import tarfile

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from helpers import SMALL

from benchmarks.random_checkpoints import save_random_checkpoint
from lc_music_vae.checkpoints import bundles, finding
from lc_music_vae.checkpoints.weights import ENCODER_SCOPE, Weights
from lc_music_vae.configs import CONFIG_MAP
from lc_music_vae.errors import InputError
from lc_music_vae.system import cache, files

BIG = "cat-mel_2bar_big"


def find(path):
    return finding.find(str(path), "--pretrained_path")


def unpacked(path):
    with bundles.unbundled(find(path)) as prefix:
        return prefix


def make_tar(path, members, mode="w"):
    """Writes a tar of {name: bytes or a TarInfo}."""
    with tarfile.open(str(path), mode) as tar:
        for name, content in members.items():
            info = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            data = b"" if isinstance(content, tarfile.TarInfo) else content
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return str(path)


def files_of(prefix, inside="model/x.ckpt"):
    folder, stem = os.path.split(prefix)
    found = {}
    for name in os.listdir(folder):
        if name.startswith(stem + "."):
            with open(os.path.join(folder, name), "rb") as f:
                found[inside + name[len(stem) :]] = f.read()
    return found


@pytest.fixture(scope="module")
def forms(small_checkpoints, tmp_path_factory):
    """One checkpoint as tar, gzipped tar, prefix, .index, folder with and without state file, and without slots."""
    folder = tmp_path_factory.mktemp("forms")
    prefix = small_checkpoints[BIG]
    members = files_of(prefix)
    alone = folder / "alone"
    alone.mkdir()
    for name, content in files_of(prefix, "model.ckpt-7").items():
        (alone / name).write_bytes(content)
    stated = folder / "stated"
    shutil.copytree(str(alone), str(stated))
    for name in os.listdir(str(alone)):
        shutil.copy(str(alone / name), str(stated / name.replace("-7.", "-3.")))
    (stated / "checkpoint").write_text('model_checkpoint_path: "/moved/away/model.ckpt-7"\n')
    slim = str(folder / "slim.ckpt")
    with tf.Graph().as_default(), tf.Session() as session:
        reader = tf.train.NewCheckpointReader(prefix)
        names = [n for n in reader.get_variable_to_shape_map() if "Adam" not in n and "power" not in n]
        variables = {n: tf.Variable(reader.get_tensor(n)) for n in names}
        session.run(tf.global_variables_initializer())
        tf.train.Saver(variables).save(session, slim)
    return {
        "prefix": prefix,
        "index": prefix + ".index",
        "tar": make_tar(folder / "a.tar", members),
        "tar.gz": make_tar(folder / "a.tar.gz", members, "w:gz"),
        "folder": str(alone),
        "folder with state": str(stated),
        "without slots": slim,
    }


def test_one_checkpoint_in_every_form_has_one_fingerprint(forms):
    prints = {form: Weights(find(path)).fingerprint("encoder/") for form, path in forms.items()}
    assert len(set(prints.values())) == 1, prints
    shapes = [Weights(find(path)).shapes for path in forms.values()]
    assert all(s == shapes[0] for s in shapes)
    assert not any("Adam" in n or "power" in n or n == "global_step" for n in shapes[0])


def test_fingerprint_depends_on_contents_and_scope(forms, cut_down, tmp_path):
    weights = Weights(find(forms["prefix"]))
    assert weights.fingerprint("encoder/") != weights.fingerprint("decoder/")
    save_random_checkpoint(BIG, str(tmp_path / "other.ckpt"), seed=99, slots=False)
    other = Weights(find(tmp_path / "other.ckpt"))
    assert other.shapes == weights.shapes
    assert other.fingerprint("encoder/") != weights.fingerprint("encoder/")


def test_a_bundle_is_unpacked_once_and_again_when_it_changes(forms, tmp_path):
    bundle = shutil.copy(forms["tar"], str(tmp_path / "b.tar"))
    prefix = unpacked(bundle)
    before = os.stat(prefix + ".index").st_mtime_ns
    assert prefix.startswith(cache.cache_dir())
    assert unpacked(bundle) == prefix
    assert os.stat(prefix + ".index").st_mtime_ns == before
    assert sorted(os.listdir(os.path.dirname(prefix))) == ["x.ckpt.data-00000-of-00001", "x.ckpt.index"]
    os.utime(bundle, ns=(1, 1))
    again = unpacked(bundle)
    assert again != prefix
    assert not os.path.exists(prefix + ".index")  # the older copy is gone
    assert Weights(find(bundle)).shapes


@pytest.mark.parametrize("form", ["tar", "tar.gz"])
def test_of_a_bundle_the_trained_variables_alone_take_room(forms, form, tmp_path):
    path = shutil.copy(forms[form], str(tmp_path))
    copy, original = Weights(find(path)), Weights(find(forms["prefix"]))
    for name in original.shapes:
        np.testing.assert_array_equal(copy.get(name), original.get(name))
    sizes = []
    for weights in (copy, original):
        stat = os.stat(weights._prefix + ".data-00000-of-00001")
        sizes.append((stat.st_size, 512 * stat.st_blocks))
    assert sizes[0][0] == sizes[1][0]
    trained = sum(4 * np.prod(shape) for shape in original.shapes.values())
    # Blocks of 4 kB are shared with what is beside a variable.
    assert trained <= sizes[0][1] < trained + 8192 * len(original.shapes)
    assert sizes[0][1] < sizes[1][1]


def test_a_damaged_bundle_costs_nothing_but_its_own_copy(forms, tmp_path, monkeypatch):
    """Its members are named like folders of the user's."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "song.mid").write_text("mine")
    for inside in ("model/x.ckpt", "./x.ckpt"):
        members = files_of(forms["prefix"], inside)
        members[inside + ".index"] = b"no index"
        bundle = make_tar(tmp_path / "damaged.tar", members)
        with pytest.raises(InputError, match="the checkpoint is damaged"):
            Weights(find(bundle))
        assert sorted(os.listdir(".")) == ["damaged.tar", "model"]
        assert os.listdir("model") == ["song.mid"]


def test_data_is_copied_to_the_file_that_the_index_names_and_no_other(forms, tmp_path):
    members = files_of(forms["prefix"])
    others = ["model/x.ckpt.data-%05d-of-%05d" % (i, n) for n in (2, 3) for i in range(n)]
    bundle = make_tar(tmp_path / "many.tar", dict(dict.fromkeys(others, b""), **members))
    weights = Weights(find(bundle))
    assert weights.fingerprint("") == Weights(find(forms["prefix"])).fingerprint("")
    folder = os.path.dirname(weights._prefix)
    assert all(os.path.getsize(os.path.join(folder, os.path.basename(name))) == 0 for name in others)


def test_a_member_that_is_there_twice_is_refused_where_the_data_does_not_fit(forms, tmp_path):
    bundle = str(tmp_path / "twice.tar")
    with tarfile.open(bundle, "w") as tar:
        members = files_of(forms["prefix"])
        for name, content in [("model/x.ckpt.data-00000-of-00001", b"short")] + sorted(members.items()):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    with pytest.raises(InputError, match="is past the end of the data"):
        Weights(find(bundle))


def test_a_fingerprint_is_kept_until_the_checkpoint_changes(cut_down, tmp_path, monkeypatch):
    monkeypatch.setenv("LC_MUSIC_VAE_CACHE", str(tmp_path / "cache"))
    prefix = str(tmp_path / "x.ckpt")

    def fingerprint(seed=None):
        if seed is not None:
            save_random_checkpoint(BIG, prefix, seed=seed, slots=False)
        weights = Weights(find(prefix))
        reads = []
        get = weights.get
        monkeypatch.setattr(weights, "get", lambda name: reads.append(name) or get(name))
        return weights.fingerprint("encoder/"), bool(reads)

    first, read = fingerprint(seed=1)
    assert read
    assert fingerprint() == (first, False)
    second, read = fingerprint(seed=2)
    assert read
    assert second != first
    (kept,) = (tmp_path / "cache" / "fingerprints").iterdir()
    for damaged in ("", "{", "[1]", "{}", '{"stamp": [1, 2], "sha256": "0"}'):
        kept.write_text(damaged)
        assert fingerprint() == (second, True)


@pytest.mark.parametrize("name", ["../evil.index", "/evil.index", "a/../../evil.index", "..\\evil.index"])
def test_members_outside_the_folder_are_refused(forms, tmp_path, name):
    with tarfile.open(forms["tar"]) as tar:
        members = {m.name: tar.extractfile(m).read() for m in tar}
    path = make_tar(tmp_path / "evil.tar", dict(members, **{name: b"evil"}))
    with pytest.raises(InputError, match="outside the folder"):
        find(path)
    assert os.listdir(str(tmp_path)) == ["evil.tar"]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(tmp_path, kind):
    info = tarfile.TarInfo("model.ckpt.index")
    info.type, info.linkname = kind, "/etc/passwd"
    with pytest.raises(InputError, match="is a link or a device"):
        find(make_tar(tmp_path / "evil.tar", {info.name: info}))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"notes.txt": b"hello"}, "holds no checkpoint"),
        ({"a.ckpt.index": b"", "b.ckpt.index": b""}, "several checkpoints: a.ckpt, b.ckpt"),
        ({"a.ckpt.index": b""}, "only 0 of its 1 .data files"),
        ({"a.ckpt.index": b"", "a.ckpt.data-00000-of-00002": b""}, "only 1 of its 2 .data files"),
        ({"a.ckpt.index": b"", "a.ckpt.data-00000-of-00001": b"", "run.json": b"{"}, "its run.json is damaged"),
    ],
)
def test_bundles_that_hold_no_usable_checkpoint(tmp_path, members, message):
    path = make_tar(tmp_path / "x.tar", members)
    with pytest.raises(InputError, match=message) as e:
        find(path)
    assert "pretrained_path=" + path in str(e.value)


def test_paths_that_hold_no_checkpoint(forms, tmp_path):
    for path, message in (
        (tmp_path / "none.ckpt", "no checkpoint there"),
        (tmp_path, "no checkpoint .* in this folder"),
        (__file__, "not a readable .tar bundle"),
    ):
        with pytest.raises(InputError, match=message):
            find(path)
    stated = shutil.copytree(forms["folder with state"], str(tmp_path / "two"))
    os.remove(os.path.join(stated, "checkpoint"))
    with pytest.raises(InputError, match="several checkpoints: model.ckpt-3, model.ckpt-7"):
        find(stated)


def test_missing_and_misshapen_variables_are_named(forms):
    weights = Weights(find(forms["tar"]))
    weights.check({"encoder/mu/bias": (12,)}, BIG)
    with pytest.raises(InputError, match=r"encoder/mu/bias with shape \[12\], not \[512\], which %s needs" % BIG):
        weights.check({"encoder/mu/bias": (512,)}, BIG)
    with pytest.raises(InputError, match="a.tar has no variable encoder/nu/bias, which %s needs" % BIG):
        weights.check({"encoder/nu/bias": (512,)}, BIG)


def test_damaged_data_is_one_line(forms, tmp_path):
    for suffix in (".index", ".data-00000-of-00001"):
        shutil.copy(forms["without slots"] + suffix, str(tmp_path / ("x.ckpt" + suffix)))
    folder = str(tmp_path)
    data = os.path.join(folder, "x.ckpt.data-00000-of-00001")
    with open(data, "r+b") as f:
        f.seek(os.path.getsize(data) // 2)
        f.write(bytes(64))
    with pytest.raises(InputError, match="the checkpoint is damaged") as e:
        Weights(find(folder)).fingerprint("")
    assert "\n" not in str(e.value)
    with open(os.path.join(folder, "x.ckpt.index"), "wb") as f:
        f.write(b"no index")
    with pytest.raises(InputError, match="the checkpoint is damaged"):
        Weights(find(folder))


def test_written_bundle_is_found_with_its_run_and_is_the_same_every_time(forms, tmp_path):
    paths = [str(tmp_path / "one.tar"), str(tmp_path / "two.tar")]
    for path in paths:
        bundles.write(path, forms["prefix"], name="lc.ckpt", run={"config": "lc", "seed": 3})
    found = find(paths[0])
    assert (found.prefix, found.run) == ("lc.ckpt", {"config": "lc", "seed": 3})
    assert Weights(found).shapes == Weights(find(forms["prefix"])).shapes
    assert files.sha256(paths[0]) == files.sha256(paths[1])
    assert sorted(os.listdir(str(tmp_path))) == ["one.tar", "two.tar"]


@pytest.mark.parametrize(
    ("config", "one"),
    [(c, one) for c in CONFIG_MAP for one in CONFIG_MAP[c].shipped],
    ids=lambda p: getattr(p, "name", ""),
)
def test_what_ships_is_whole_and_small_with_the_fingerprint_that_runs_record(config, one):
    found = finding.shipped(one.file)
    weights = Weights(found)
    assert weights.fingerprint(ENCODER_SCOPE) == one.encoder
    assert weights.shapes["encoder/mu/kernel"] == (1024, 256)
    classes = {SMALL: 90, "lc-cat-drums_2bar_small": 512}[config]
    assert weights.shapes["decoder/output_projection/kernel"] == (256, classes)
    assert sum(np.prod(s) for s in weights.shapes.values()) == pytest.approx(4.5e6, rel=0.04)
    assert os.path.getsize(found.path) < 20e6


def test_a_cache_that_cannot_be_written_is_named(forms, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LC_MUSIC_VAE_CACHE", str(tmp_path / "file"))
    found = find(forms["tar"])
    with pytest.raises(InputError) as e:
        Weights(found)
    where = "%s=%s: cannot unpack into %s" % (found.flag[2:], found.path, tmp_path / "file")
    assert str(e.value) == where + " (Not a directory); set LC_MUSIC_VAE_CACHE to a folder with room"


def test_another_process_may_have_been_faster(forms, tmp_path, monkeypatch):
    monkeypatch.setenv("LC_MUSIC_VAE_CACHE", str(tmp_path / "cache"))
    rename = os.rename

    def late(scratch, version):
        shutil.copytree(scratch, version)
        rename(scratch, version)

    monkeypatch.setattr(os, "rename", late)
    found = find(forms["tar"])
    prefix = unpacked(forms["tar"])
    assert sorted(os.listdir(os.path.dirname(os.path.dirname(prefix)))) == [os.path.basename(os.path.dirname(prefix))]
    assert Weights(found).shapes


def test_so_many_bytes_are_copied_or_none():
    content = bytes(range(256)) * 10000
    for start, size in ((0, len(content)), (5, 3), (100, (1 << 20) + 1), (7, 0)):
        target = io.BytesIO()
        bundles._copy(io.BytesIO(content), target, start, size)
        assert target.getvalue() == content[start : start + size]
    with pytest.raises(EOFError, match="^it is cut off$"):
        bundles._copy(io.BytesIO(content), io.BytesIO(), 10, len(content))


def test_the_first_variable_that_does_not_fit_is_named(forms):
    weights = Weights(find(forms["prefix"]))
    names = sorted(weights.shapes)
    for i in (0, len(names) - 1):
        wanted = dict(weights.shapes)
        wanted[names[i]] = (1, 2, 3)
        with pytest.raises(InputError) as e:
            weights.check(wanted, "cat-x")
        has = "has %s with shape %s, not [1, 2, 3]" % (names[i], list(weights.shapes[names[i]]))
        assert str(e.value).endswith("=%s %s, which cat-x needs; give a checkpoint of cat-x" % (forms["prefix"], has))
    weights.check(weights.shapes, "cat-x")
