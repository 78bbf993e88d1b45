"""What names mean which checkpoint, and what a bundle may hold: by names and tar headers alone."""

import contextlib
import gzip
import json
import os
import shutil
import socket
import tarfile
import tempfile
import time

import pytest
from helpers import WEIGHTS

from lc_music_vae.checkpoints import bundles, finding
from lc_music_vae.checkpoints.checkpoint import stamp
from lc_music_vae.errors import InputError
from lc_music_vae.system import cache, files

FLAG = "--pretrained_path"
INDEX, SHARD = "m.ckpt.index", "m.ckpt.data-00000-of-00001"


def find(path):
    return finding.find(str(path), FLAG)


def refusal(path):
    """Returns what is said of `path` after its name."""
    with pytest.raises(InputError) as e:
        find(path)
    start = "%s=%s: " % (FLAG[2:], path)
    assert str(e.value).startswith(start)
    return str(e.value)[len(start) :]


def write(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"")


def test_the_cache_is_where_the_environment_says(monkeypatch):
    monkeypatch.setenv("LC_MUSIC_VAE_CACHE", "/a")
    monkeypatch.setenv("XDG_CACHE_HOME", "/b")
    monkeypatch.setenv("HOME", "/c")
    assert cache.cache_dir() == "/a"
    monkeypatch.delenv("LC_MUSIC_VAE_CACHE")
    assert cache.cache_dir() == "/b/lc_music_vae"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache.cache_dir() == "/c/.cache/lc_music_vae"


def test_what_ships_is_named_by_the_flag_for_it():
    found = finding.shipped(WEIGHTS)
    assert found.bundle == found.path == os.path.join(finding.SHIPPED, WEIGHTS)
    assert (found.flag, found.prefix) == ("--pretrained_path", "cat-mel_2bar_small.ckpt")


def test_a_prefix_is_found_by_any_of_its_files(tmp_path, monkeypatch):
    write(tmp_path, "m.ckpt.index", "m.ckpt.data-00000-of-00002", "m.ckpt.data-00001-of-00002")
    prefix = str(tmp_path / "m.ckpt")
    for name in ("m.ckpt", "m.ckpt.index", "m.ckpt.data-00000-of-00002", "m.ckpt.data-00001-of-00002"):
        path = str(tmp_path / name)
        assert find(path) == (path, prefix, None, None, FLAG)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find("~/m.ckpt") == ("~/m.ckpt", prefix, None, None, FLAG)
    monkeypatch.chdir(str(tmp_path))
    assert find("m.ckpt") == ("m.ckpt", "m.ckpt", None, None, FLAG)
    advice = "no checkpoint there; give a .tar bundle, a prefix (what stands before .index) or a folder"
    assert refusal("none") == refusal("m") == advice


def test_a_checkpoint_has_all_its_files(tmp_path):
    write(tmp_path, "m.ckpt.index", "m.ckpt.data-00000-of-00003", "m.ckpt.data-00002-of-00003", "n.data-00001-of-00003")
    lacks = "m.ckpt.index is there but only %d of its %d .data files; copy or download it again"
    assert refusal(tmp_path / "m.ckpt") == refusal(tmp_path) == lacks % (2, 3)
    for name in ("m.ckpt.data-00000-of-00003", "m.ckpt.data-00002-of-00003"):
        os.remove(str(tmp_path / name))
    assert refusal(tmp_path / "m.ckpt") == lacks % (0, 1)


def test_a_folder_means_the_checkpoint_that_it_names_or_its_only_one(tmp_path):
    write(tmp_path, "a.index", "a.data-00000-of-00001")
    assert find(tmp_path) == (str(tmp_path), str(tmp_path / "a"), None, None, FLAG)
    write(tmp_path, "b.index", "b.data-00000-of-00001")
    several = "several checkpoints: a, b; give the prefix of the one to use"
    assert refusal(tmp_path) == several
    for state, expected in (
        (b'model_checkpoint_path: "a"\n', "a"),
        (b'model_checkpoint_path: "/where/it/was/b"\nall_model_checkpoint_paths: "a"\n', "b"),
        (b'\xff: "b"\nmodel_checkpoint_path: "a"\n', "a"),
        (b'model_checkpoint_path: "c"\n', None),
        (b'all_model_checkpoint_paths: "a"\n', None),
        (b"", None),
    ):
        (tmp_path / "checkpoint").write_bytes(state)
        if expected:
            assert find(tmp_path).prefix == str(tmp_path / expected)
        else:
            assert refusal(tmp_path) == several
    for name in ("a.index", "b.index"):
        os.remove(str(tmp_path / name))
    assert refusal(tmp_path) == "no checkpoint (*.index) in this folder; give the prefix of the one to use"


def member(name, size=0, kind=tarfile.REGTYPE, content=None, form=tarfile.GNU_FORMAT):
    """A member as it stands in a tar; its content may be something else than its header says."""
    info = tarfile.TarInfo(name)
    info.size, info.type = len(content) if content is not None else size, kind
    content = content or b""
    return info.tobuf(form) + content + bytes(-len(content) % 512)


WHOLE = member(INDEX) + member(SHARD)


@pytest.fixture
def bundle(tmp_path):
    def written(*members, zipped=False, end=bytes(1024)):
        content = b"".join(members) + end
        path = tmp_path / "b.tar"
        path.write_bytes(gzip.compress(content) if zipped else content)
        return path

    return written


def test_a_bundle_is_found_with_what_training_recorded(bundle):
    for zipped in (False, True):
        path = bundle(member("model/", kind=tarfile.DIRTYPE), member("model/x.txt"), WHOLE, zipped=zipped)
        assert find(path) == (str(path), "m.ckpt", str(path), None, FLAG)
        path = bundle(member("model/" + INDEX), member("model/" + SHARD), zipped=zipped)
        assert find(path).prefix == "model/m.ckpt"
        path = bundle(WHOLE, member("run.json", content=b'{"a": 1}'), zipped=zipped)
        assert find(path).run == {"a": 1}


def test_a_bundle_holds_one_whole_checkpoint(bundle):
    advice = "; unpack it and give the prefix of the one to use"
    assert refusal(bundle(member("a.txt"))) == "the bundle holds no checkpoint (*.index)" + advice
    names = ["%s.index" % name for name in "abcdefg"]
    several = "the bundle holds several checkpoints: a, b, c, d, e" + advice
    assert refusal(bundle(*map(member, reversed(names)))) == several
    lacks = "m.ckpt.index is there but only 0 of its 1 .data files; copy or download it again"
    assert refusal(bundle(member(INDEX))) == lacks


OUTSIDE = "would be written outside the folder it is unpacked to"
NO_FILE = "is a link or a device, not a file"
NO_NAME = "has too long a name, or one that is not text"


@pytest.mark.parametrize(
    ("one", "shown", "why"),
    [
        (member("../a"), "../a", OUTSIDE),
        (member("a/../../b"), "a/../../b", OUTSIDE),
        (member("a\\..\\b"), "a\\..\\b", OUTSIDE),
        (member("/a"), "/a", OUTSIDE),
        (member("a", kind=tarfile.SYMTYPE), "a", NO_FILE),
        (member("a", kind=tarfile.LNKTYPE), "a", NO_FILE),
        (member("a", kind=tarfile.CHRTYPE), "a", NO_FILE),
        (member("a", kind=tarfile.BLKTYPE), "a", NO_FILE),
        (member("a", kind=tarfile.FIFOTYPE), "a", NO_FILE),
        (member("a\nb"), "a\nb", NO_NAME),
        (member("a\u2028b"), "a\u2028b", NO_NAME),
        (member("a\x9bb"), "a\x9bb", NO_NAME),
        (member("n" * 1001), "n" * 80, NO_NAME),
        (member("a", size=-512), "a", "is smaller than nothing"),
    ],
)
@pytest.mark.parametrize("zipped", [False, True])
def test_members_that_no_honest_bundle_has(one, shown, why, zipped, bundle):
    expected = "the bundle has a member %r, which %s; do not use it" % (shown, why)
    assert refusal(bundle(WHOLE, one, zipped=zipped)) == refusal(bundle(one, zipped=zipped)) == expected


def test_names_may_be_so_long(bundle):
    assert find(bundle(member("n" * 1000), WHOLE)).prefix == "m.ckpt"
    assert find(bundle(member("a..b"), member("..."), WHOLE)).prefix == "m.ckpt"


def test_a_bundle_has_so_many_members(bundle):
    few = [member("%d.txt" % i) for i in range(999)]
    assert find(bundle(WHOLE, *few[:998])).prefix == "m.ckpt"
    assert refusal(bundle(WHOLE, *few)) == "the bundle has more than 1000 members; do not use it"


def test_a_bundle_unpacks_to_so_much(bundle):
    """A MiB, or a hundred times its size. What its headers say counts, whatever there is."""
    large = [member("a", content=bytes(size)) for size in (1 << 20, (1 << 20) + 1)]
    assert find(bundle(WHOLE, large[0], zipped=True)).prefix == "m.ckpt"
    says = "the bundle says that it unpacks to %d bytes or more, which are too many for its size; do not use it"
    assert refusal(bundle(WHOLE, large[1], zipped=True)) == says % ((1 << 20) + 1)
    assert refusal(bundle(WHOLE, large[0], member("b", content=b"x"), zipped=True)) == says % ((1 << 20) + 1)
    noise = member("noise", content=os.urandom(1 << 17))
    size = os.path.getsize(str(bundle(WHOLE, noise, zipped=True)))
    assert find(bundle(WHOLE, noise, member("a", content=bytes(98 * size)), zipped=True)).prefix == "m.ckpt"
    assert "unpacks to" in refusal(bundle(WHOLE, noise, member("a", content=bytes(125 * size)), zipped=True))
    assert bundles.MAX_BYTES == 16 << 30


def test_headers_are_read_up_to_so_much(bundle):
    """Names of any length are read whole before anything is known of them."""
    said = "the bundle has headers of more than 4 MiB; do not use it"
    names = [member("././@LongLink", content=b"n" * size, kind=tarfile.GNUTYPE_LONGNAME) for size in (5 << 20, 3 << 20)]
    assert refusal(bundle(names[0], member("a"), WHOLE)) == said
    assert refusal(bundle(names[1], names[1], member("a"), WHOLE)) == said
    assert NO_NAME in refusal(bundle(names[1], member("a"), WHOLE))


def test_what_training_recorded_is_readable_and_small(bundle):
    text = json.dumps({"a": "b" * ((4 << 20) - 9)}).encode()
    assert len(text) == 4 << 20
    assert find(bundle(WHOLE, member("run.json", content=text))).run["a"][:2] == "bb"
    large = "the bundle has a run.json of %d bytes; do not use it" % ((4 << 20) + 1)
    assert refusal(bundle(WHOLE, member("run.json", content=text + b" "))) == large
    for content in (b"{", b"\xff", b"[" * 100000):
        assert refusal(bundle(WHOLE, member("run.json", content=content))) == unreadable("its run.json is damaged")


def unreadable(why):
    return (
        "not a readable .tar bundle (%s); copy or download it again, or give a checkpoint's prefix: what stands before "
        ".index" % why
    )


def test_damaged_bundles(bundle, tmp_path):
    for content, why in (
        (b"", "empty file"),
        (b"no tar", "truncated header"),
        (b"x" * 2000, "invalid header"),
        (b"\x1f\x8b", ".*"),
        (gzip.compress(WHOLE + bytes(1024))[:-20], ".*"),
        (b"\x1f\x8bnot gzip at all" * 9, ".*"),
    ):
        path = tmp_path / "b.tar"
        path.write_bytes(content)
        said = refusal(path)
        start, end = unreadable("|").split("|")
        assert said.startswith(start)
        assert said.endswith(end)
        if why != ".*":
            assert said == unreadable(why)


def test_members_are_read_where_they_are_and_headers_no_further(bundle, monkeypatch):
    """A tar with gigabytes of data is looked through by its headers."""
    seen = []
    read = bundles._Headers.read

    def counted(self, size):
        seen.append(size)
        return read(self, size)

    monkeypatch.setattr(bundles._Headers, "read", counted)
    find(bundle(member(INDEX, content=bytes(300000)), member(SHARD, content=bytes(900000))))
    assert sum(seen) <= 512 * 5


def test_what_fails_while_a_bundle_is_open_says_so_itself(bundle):
    path = str(bundle(WHOLE))
    for error in (OSError(28, "No space left on device"), InputError("--run_dir is full")):
        with pytest.raises(type(error)) as e, bundles._opened(path, path, FLAG):
            raise error
        assert e.value is error


def test_a_bundle_that_may_not_be_read(bundle, monkeypatch):
    path = bundle(WHOLE)

    def denied(*arguments, **kwargs):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(bundles, "_opened", denied)
    assert refusal(path) == "Permission denied"


def test_bundles_are_the_same_whoever_packs_them(tmp_path):
    write(tmp_path, "m.ckpt-5.index", "m.ckpt-5.data-00000-of-00001", "m.ckpt-50.index", "other")
    path = str(tmp_path / "b.tar")
    bundles.write(path, str(tmp_path / "m.ckpt-5"), name="lc-x", run={"b": 1, "a": 2})
    with tarfile.open(path) as tar:
        members = tar.getmembers()
        recorded = tar.extractfile("run.json").read()
    assert [m.name for m in members] == ["lc-x.data-00000-of-00001", "lc-x.index", "run.json"]
    assert {(m.uid, m.gid, m.mtime, m.uname, m.gname, m.mode) for m in members} == {(0, 0, 0, "", "", 0o644)}
    assert recorded == b'{\n  "a": 2,\n  "b": 1\n}'


def test_a_stamp_is_of_each_file(tmp_path):
    write(tmp_path, "m(1).index", "m(1).data-00000-of-00001", "n.data-00000-of-00001")
    found = find(tmp_path / "m(1)")
    before = stamp(found)
    names = ("m(1).index", "m(1).data-00000-of-00001")
    assert before == [value for name in names for value in files.identity(str(tmp_path / name))]
    for name in names:
        (tmp_path / name).write_bytes(b"more" * (1 + len(name)))
        after = stamp(found)
        assert after != before
        before = after


def make_fifo(path):
    os.mkfifo(path)


def make_socket(path):
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listening:
        listening.bind(path)


def make_sparse(path):
    with open(path, "wb") as f:
        f.truncate(100 << 30)


NO_PLAIN_FILES = {
    "a pipe": make_fifo,
    "a socket": make_socket,
    "a device": lambda path: os.symlink("/dev/zero", path),
    "a link to nothing": lambda path: os.symlink("nothing", path),
    "a link to itself": lambda path: os.symlink(os.path.basename(path), path),
    "a folder": os.mkdir,
    "100 GB of nothing": make_sparse,
}


@pytest.mark.faults("hostile and damaged checkpoints")
@pytest.mark.parametrize("kind", NO_PLAIN_FILES)
def test_what_is_no_plain_file_is_one_line_at_once(kind, monkeypatch, script, record_property):
    make, tried = NO_PLAIN_FILES[kind], 0
    started = time.time()
    with tempfile.TemporaryDirectory() as folder:  # pytest's own is too long for a socket
        monkeypatch.chdir(folder)
        make("x")
        for flag in ("--checkpoint_file=x", "--run_dir=.", "--vae_checkpoint_file=x"):
            status, _, error = script("midime_generate", flag, "--output_dir=out")
            assert (status, error.count("\n")) == (1, 1), error
            tried += 1
        for name in ("checkpoint", INDEX, SHARD, "../run.json"):
            os.makedirs("run/train")
            for good in (INDEX, SHARD):
                open(os.path.join("run", "train", good), "w").close()
            bad = os.path.normpath(os.path.join("run", "train", name))
            if os.path.exists(bad):
                os.remove(bad)
            make(bad)
            if kind != "100 GB of nothing" or name == "../run.json":
                status, _, error = script("midime_generate", "--checkpoint_file=run/train", "--output_dir=out")
                assert (status, error.count("\n")) == (1, 1), error
                assert os.path.basename(name) in error or (name, kind) == ("../run.json", "a link to nothing"), error
                tried += 1
            shutil.rmtree("run")
    assert time.time() - started < 10
    record_property("tried", tried)
