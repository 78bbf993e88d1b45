"""Bundles from strangers: each is refused in one line, writes nothing outside the cache and leaves nothing in it."""

import copy
import gzip
import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tarfile
import time

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from helpers import REPO, SMALL

from lc_music_vae import trained_model
from lc_music_vae.checkpoints import finding
from lc_music_vae.checkpoints import index as checkpoint_index
from lc_music_vae.checkpoints.weights import Weights
from lc_music_vae.configs import CONFIG_MAP
from lc_music_vae.errors import InputError, printable

pytestmark = pytest.mark.faults("hostile and damaged checkpoints")

RUN = os.path.join(REPO, "tests", "goldens", "run_tf1")
WEIGHTS = CONFIG_MAP[SMALL].shipped[1].file  # that the run was trained on
INDEX, DATA = "x.ckpt.index", "x.ckpt.data-00000-of-00001"


@pytest.fixture(scope="module")
def honest():
    """The files of a small VAE's bundle, as {name: bytes}, and what its run.json says."""
    prefix = finding.find(os.path.join(RUN, "train"), "--run_dir").prefix
    members = {}
    for name, suffix in ((INDEX, ".index"), (DATA, ".data-00000-of-00001")):
        with open(prefix + suffix, "rb") as f:
            members[name] = f.read()
    with open(os.path.join(RUN, "run.json")) as f:
        return members, json.load(f)


@pytest.fixture
def refused(script, tmp_path, monkeypatch):
    """Generates from a bundle and returns the one line that refuses it, having looked at what was left where."""
    monkeypatch.setenv("LC_MUSIC_VAE_CACHE", str(tmp_path / "cache"))

    def run(content):
        bundle = tmp_path / "in" / "b.tar"
        bundle.parent.mkdir()
        bundle.write_bytes(content)
        flags = ["--checkpoint_file=%s" % bundle, "--output_dir=%s" % (tmp_path / "out"), "--num_outputs=1", "--seed=1"]
        status, out, error = script("midime_generate", *flags)
        shipped = Weights(finding.shipped(WEIGHTS))  # may be in the cache
        shipped.fingerprint("encoder/")
        left = [os.path.join(folder, name) for folder, _, names in os.walk(str(tmp_path)) for name in names]
        (fingerprint,) = [path for path in left if "fingerprints" in path]
        own = [shipped._prefix + ".index", shipped._prefix + DATA[6:], fingerprint]
        assert sorted(left) == sorted([str(bundle)] + own)
        assert len(os.listdir(str(tmp_path / "cache"))) == 2
        assert (status, out) == (1, "")
        if error.startswith("this was trained on cat-mel_2bar_small_folk, which an earlier version shipped"):
            error = error.split("\n", 1)[1]
        assert error.count("\n") == 1
        assert error.startswith("midime_generate: error: ")
        assert printable(error[:-1]) == error[:-1]
        assert len(error) < 1000
        return error

    return run


def info(name, size=0, **attributes):
    member = tarfile.TarInfo(name)
    member.size = size
    for key, value in attributes.items():
        setattr(member, key, value)
    return member


def pack(members, extra=(), tar_format=tarfile.GNU_FORMAT):
    """A tar of {name: bytes}, then of (TarInfo, bytes), whose sizes need not be true."""
    packed = b"".join(
        member.tobuf(tar_format) + data + bytes(-len(data) % 512)
        for member, data in [(info(name, len(data)), data) for name, data in members.items()] + list(extra)
    )
    return packed + bytes(1024)


def zeros_zipped(head, gigabytes):
    """Gzip of `head` and zeros after it, of which nothing is held but one packed piece."""
    piece = gzip.compress(bytes(1 << 20), 9)
    return gzip.compress(head) + piece * (gigabytes << 10)


HUGE = 10 << 30
HOSTILE_TARS = {
    "outside": (lambda m: pack(m, [(info("../../evil", 4), b"evil")]), "'../../evil', which would be written outside"),
    "absolute": (lambda m: pack(m, [(info("/etc/evil", 4), b"evil")]), "which would be written outside"),
    "symbolic link": (
        lambda m: pack(m, [(info("a", type=tarfile.SYMTYPE, linkname="/etc"), b""), (info("a/passwd", 1), b"x")]),
        "is a link or a device",
    ),
    "hard link": (lambda m: pack(m, [(info("a", type=tarfile.LNKTYPE, linkname="/etc/passwd"), b"")]), "is a link"),
    "device": (lambda m: pack(m, [(info("a", type=tarfile.BLKTYPE), b"")]), "is a link or a device"),
    "FIFO": (lambda m: pack(m, [(info("a", type=tarfile.FIFOTYPE), b"")]), "is a link or a device"),
    "sparse": (
        lambda m: pack(m, [(info("a", type=tarfile.GNUTYPE_SPARSE), b"")]),
        "is a link or a device|not a readable",
    ),
    "zeros, zipped": (lambda m: zeros_zipped(info(DATA, HUGE).tobuf(), 0), "unpacks to 10737418240 bytes or more"),
    "zeros before the rest": (lambda m: gzip.compress(info("a", HUGE).tobuf()) + gzip.compress(pack(m)), "unpacks to"),
    "zipped twice": (lambda m: gzip.compress(gzip.compress(pack(m))), r"not a readable .tar bundle"),
    "zeros alone, zipped": (lambda m: zeros_zipped(b"", 1), "holds no checkpoint"),
    "a million members": (
        lambda m: gzip.compress(info("a").tobuf() * 1000000, 1),
        "has more than 1000 members|headers of more than 4 MiB",
    ),
    "as many folders": (lambda m: pack(m, [(info("a", type=tarfile.DIRTYPE), b"")] * 2000), "more than 1000 members"),
    "a long name": (
        lambda m: pack({}, [(info("././@LongLink", 1 << 30, type=tarfile.GNUTYPE_LONGNAME), b"a" * 512)]),
        "headers of more than 4 MiB",
    ),
    "long names of long names": (
        lambda m: pack({}, [(info("././@LongLink", 5, type=tarfile.GNUTYPE_LONGNAME), b"long")] * 5000),
        "not a readable .tar bundle .maximum recursion|headers of more than 4 MiB",
    ),
    "a name too long": (lambda m: info("a" * 3000).tobuf(tarfile.GNU_FORMAT) + pack(m), "has too long a name"),
    "larger than the file": (lambda m: pack({INDEX: m[INDEX]}, [(info(DATA, 9000), b"abc")]), "unexpected end of data"),
    "smaller than nothing": (
        lambda m: pack(m, [(info("a", -4096), b"")]),
        "smaller than nothing",
    ),
    "two checkpoints": (lambda m: pack(dict(m, **{"y.ckpt.index": b""})), "several checkpoints: x.ckpt, y.ckpt"),
    "none": (lambda m: pack({"a.txt": b"hello"}), "holds no checkpoint"),
    "without its data": (lambda m: pack({INDEX: m[INDEX]}), "only 0 of its 1 .data files"),
    "cut off": (lambda m: pack(m)[:-3000], "not a readable .tar bundle"),
    "cut off in gzip": (lambda m: gzip.compress(pack(m))[:-3000], "not a readable .tar bundle"),
    "no gzip after its first bytes": (lambda m: b"\x1f\x8b\x08" + b"abc" * 99, "not a readable .tar bundle"),
    "a line end and an escape": (lambda m: pack(m, [(info("a\n\x1b[31mred", 0), b"")]), r"a\\n\\x1b\[31mred', which"),
    "escapes in two checkpoints": (
        lambda m: pack(dict(m, **{"\u202etxt.index": b""})),
        r"several checkpoints: x.ckpt, \\u202etxt",
    ),
}


@pytest.mark.parametrize("case", HOSTILE_TARS)
def test_what_a_tar_alone_shows(case, honest, refused):
    make, message = HOSTILE_TARS[case]
    started = time.process_time()  # whatever else the machine does
    error = refused(make(honest[0]))
    assert re.search(message, error), error
    assert time.process_time() - started < 5


@pytest.mark.slow
@pytest.mark.parametrize("case", ["zeros, zipped", "zeros alone, zipped", "a million members"])
def test_it_costs_little_more_than_help(case, honest, tmp_path):
    """Within 2 s and 200 MB over --help: TensorFlow is not imported, nothing is unpacked."""
    bundle = tmp_path / "b.tar.gz"
    bundle.write_bytes(HOSTILE_TARS[case][0](honest[0]))
    measured = []
    for flags in (["--help"], ["--checkpoint_file=%s" % bundle]):
        code = (
            "import resource, sys, midime_generate\n"
            "try:\n    midime_generate.main(['x'] + sys.argv[1:])\n"
            "finally:\n    used = resource.getrusage(resource.RUSAGE_SELF)\n"
            "    print('s', used.ru_utime + used.ru_stime, 'MB', used.ru_maxrss >> 10, file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", code] + flags, cwd=REPO, stderr=subprocess.PIPE, text=True)
        assert done.returncode == (1 if len(measured) else 0), done.stderr
        used = re.search(r"s ([\d.]+) MB (\d+)$", done.stderr)
        measured.append((float(used.group(1)), int(used.group(2))))
    (help_s, help_mb), (seconds, megabytes) = measured
    assert seconds < help_s + 2
    assert megabytes < help_mb + 200


def changed(run, names, value):
    """A run.json with one value another; or, for None, without it."""
    run = copy.deepcopy(run)
    inner = run
    for name in names[:-1]:
        inner = inner.setdefault(name, {})
    inner[names[-1]] = value
    if value is None:
        del inner[names[-1]]
    return json.dumps(run).encode()


RUN_JSONS = {
    "no JSON": (b"{", "its run.json is damaged"),
    "no text": (b"\xff\xfe\x00", "its run.json is damaged"),
    "a list": (b"[]", "written by another version"),
    "deep": (b"[" * 100000 + b"]" * 100000, "its run.json is damaged"),
    "huge": (b" " * (5 << 20), "has a run.json of 5242880 bytes"),
    "a long number": (b'{"format": 1, "config": ' + b"9" * 100000 + b"}", "its run.json (is damaged|says config)"),
}
WRONG_VALUES = [
    (("config",), 7),
    (("config",), ["lc-cat-mel_2bar_small"]),
    (("config",), "\x1b[2J"),
    (("config",), None),
    (("format",), "1"),
    (("pretrained",), []),
    (("pretrained",), None),
    (("pretrained", "path"), 3),
    (("pretrained", "path"), "a\0b"),
    (("pretrained", "path"), "\ud800"),
    (("pretrained", "stamp"), "now"),
    (("pretrained", "fingerprint"), ["a"]),
    (("pretrained", "fingerprint"), "short"),
    (("music",), None),
    (("music",), []),
    (("music", "qpm"), "120"),
    (("music", "qpm"), 0),
    (("music", "qpm"), float("nan")),
    (("music", "qpm"), 10**400),
    (("music", "program"), 128),
    (("music", "program"), 1.5),
    (("music", "program"), True),
    (("music", "octaves"), {}),
    (("music", "octaves"), 10**6),
    (("latent",), 5),
    (("latent", "mean"), "0,0,0,0"),
    (("latent", "mean"), [0, None, 0, 0]),
    (("latent", "mean"), [float("inf")] * 4),
    (("latent", "residual"), -1),
    (("hparams",), {"encoded_z_size": 1000000, "latent_encoder_layers": "many"}),
]


@pytest.mark.parametrize("case", RUN_JSONS)
def test_a_run_json_that_is_none(case, honest, refused):
    text, message = RUN_JSONS[case]
    assert re.search(message, refused(pack(dict(honest[0], **{"run.json": text}))))


@pytest.mark.parametrize(("names", "value"), WRONG_VALUES)
def test_a_run_json_with_a_wrong_value(names, value, honest, refused):
    members, run = honest
    error = refused(pack(dict(members, **{"run.json": changed(run, names, value)})))
    assert names[0] in error
    if names != ("format",) and value != "\x1b[2J":
        assert "run.json says " + names[0] in error


def test_what_is_unknown_in_a_run_json_may_be_anything(honest, script, tmp_path):
    """As later versions may write it."""
    members, run = honest
    text = json.dumps(dict(run, music=dict(run["music"], colour="blue"), hparams=dict(run["hparams"], x=[]))).encode()
    (tmp_path / "b.tar").write_bytes(pack(dict(members, **{"run.json": text})))
    flags = ["--checkpoint_file=%s" % (tmp_path / "b.tar"), "--output_dir=%s" % tmp_path, "--num_outputs=1"]
    status, _, error = script("midime_generate", *flags)
    assert status == 0, error


def test_a_latent_of_other_dimensions(honest, tmp_path):
    members, run = honest
    text = changed(run, ("latent", "mean"), [0.0] * 5)
    (tmp_path / "b.tar").write_bytes(pack(dict(members, **{"run.json": text})))
    with pytest.raises(InputError, match="latent.mean of 5 dimensions, but its small latent has 4"):
        trained_model.TrainedModel(str(tmp_path / "b.tar"))


def with_run(honest, **changes):
    members, run = honest
    return pack(dict(members, **{"run.json": json.dumps(run).encode()}, **changes))


def flipped(content, at):
    return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]


def test_a_flipped_byte_in_the_data_names_the_tensor(honest, refused):
    reader = tf.train.NewCheckpointReader(finding.find(os.path.join(RUN, "train"), "--run_dir").prefix)
    at = honest[0][DATA].index(reader.get_tensor("latent_decoder/mu/kernel").tobytes())
    error = refused(with_run(honest, **{DATA: flipped(honest[0][DATA], at + 99)}))
    assert re.search(r"the checkpoint is damaged in latent_decoder/mu/kernel \(.*[Cc]hecksum", error), error


def test_each_flipped_byte_of_the_index_is_refused_or_harmless(honest, tmp_path):
    (tmp_path / DATA).write_bytes(honest[0][DATA])
    good = honest[0][INDEX]
    shapes = None
    said, harmless = set(), 0
    for at in [None] + list(range(0, len(good), 7)):
        (tmp_path / INDEX).write_bytes(good if at is None else flipped(good, at))
        try:
            found = Weights(finding.find(str(tmp_path / INDEX), "--checkpoint_file")).shapes
        except InputError as e:
            said.add(re.search("; (.*)", str(e)).group(1))
            continue
        shapes = shapes or found
        assert found == shapes
        harmless += 1
    assert said == {"copy or download it again"}
    assert harmless < len(good) // 7 // 4  # padding, and a table of its own that nothing reads


def test_data_that_is_shorter_than_the_index_says(honest, refused):
    assert "is past the end of the data" in refused(with_run(honest, **{DATA: honest[0][DATA][:100]}))


def masked_crc(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def with_shape(prefix, folder, shape_bytes):
    """Copies a checkpoint of one variable of shape [1] * 12, which it gives another shape and the right checksum."""
    with open(prefix + ".index", "rb") as f:
        index = f.read()
    at = index.index(b"\x12\x02\x08\x01" * 12)
    index = index[:at] + shape_bytes + index[at + len(shape_bytes) :]
    _, size, after = checkpoint_index._handle(index, len(index) - 48)
    meta_start, _, _ = checkpoint_index._handle(index, len(index) - 48)
    end = meta_start - 5  # the one block of data ends before its type and checksum, and the metadata follow
    assert size
    assert after
    index = index[: end + 1] + struct.pack("<I", masked_crc(index[: end + 1])) + index[meta_start:]
    (folder / INDEX).write_bytes(index)
    shutil.copy(prefix + ".data-00000-of-00001", str(folder / DATA))
    return str(folder / INDEX)


@pytest.mark.parametrize(
    "shape_bytes",
    [
        b"\x12\x0a\x08" + b"\xff" * 8 + b"\x7f",  # 2^63 - 1, where TensorFlow runs out of memory
        (b"\x12\x0a\x08" + b"\xff" * 8 + b"\x7f") * 2,  # the product overflows: TensorFlow aborts the process
        b"\x12\x0e\x08" + b"\xff" * 9 + b"\x01\x12\x01a",  # -1: it aborts, too
    ],
)
def test_shapes_that_tensorflow_would_die_of(shape_bytes, tmp_path):
    prefix = str(tmp_path / "good")
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("v", [1] * 12)
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, prefix, write_meta_graph=False, write_state=False)
    same = finding.find(with_shape(prefix, tmp_path, b"\x12\x02\x08\x01"), "--checkpoint_file")
    assert Weights(same).get("v").shape == (1,) * 12
    found = finding.find(with_shape(prefix, tmp_path, shape_bytes), "--checkpoint_file")
    with pytest.raises(InputError, match="damaged .v of shape .* is larger than the data"):
        Weights(found)


def test_tensors_that_lie_over_one_another_are_not_copied(tmp_path):
    prefix = str(tmp_path / "x.ckpt")
    with tf.Graph().as_default(), tf.Session() as session:
        for name in "ab":
            tf.get_variable(name, [10])
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, prefix, write_meta_graph=False, write_state=False)
    shard = ".data-00000-of-00001"
    expected = [("a", "float32", (10,), shard, 0, 40), ("b", "float32", (10,), shard, 40, 40)]
    assert checkpoint_index.places(prefix) == expected
    index = (tmp_path / INDEX).read_bytes()
    assert index.count(b"\x20\x28\x28\x28") == 1  # offset 40, size 40
    (tmp_path / INDEX).write_bytes(index.replace(b"\x20\x28\x28\x28", b"\x20\x00\x28\x50"))
    with pytest.raises(ValueError, match="its tensors overlap"):
        checkpoint_index.places(prefix)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_no_numbers(value, honest, refused, tmp_path):
    folder = tmp_path / "weights"
    folder.mkdir()
    for name, content in honest[0].items():
        (folder / name).write_bytes(content)
    reader = tf.train.NewCheckpointReader(str(folder / "x.ckpt"))
    weights = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    weights["latent_decoder/mu/bias"][7] = value
    with tf.Graph().as_default(), tf.Session() as session:
        variables = {name: tf.Variable(w) for name, w in weights.items()}
        session.run(tf.global_variables_initializer())
        tf.train.Saver(variables).save(session, str(folder / "y.ckpt"), write_meta_graph=False, write_state=False)
    changes = {name: (folder / name.replace("x.", "y.")).read_bytes() for name in (INDEX, DATA)}
    shutil.rmtree(str(folder))
    error = refused(with_run(honest, **changes))
    assert "latent_decoder/mu/bias has values that are NaN or infinite" in error


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16, tf.float64, tf.int32])
def test_weights_of_another_type_are_named(dtype, tmp_path):
    prefix = str(tmp_path / "x.ckpt")
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable("encoder/a", [2])
        tf.get_variable("encoder/b", initializer=tf.cast([1, 2], dtype))
        tf.get_variable("elsewhere", initializer=tf.cast([1, 2], dtype))
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, prefix, write_meta_graph=False, write_state=False)
    weights = Weights(finding.find(prefix, "--pretrained_path"))
    assert weights.get("encoder/a").dtype == np.float32
    expected = "pretrained_path=%s has encoder/b as %s, not float32; give a checkpoint of float32"
    for use in (
        lambda: weights.get("encoder/b"),
        lambda: weights.fingerprint("encoder/"),
        lambda: weights.check({"encoder/b": (2,)}, "x"),
    ):
        with pytest.raises(InputError) as e:
            use()
        assert str(e.value) == expected % (prefix, dtype.name)
    weights.check({"encoder/a": (2,)}, "x")
