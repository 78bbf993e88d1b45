"""songs.npz: what comes back, and what a stranger may have written in its place."""

import io
import os
import shutil
import tarfile
import zipfile

import numpy as np
import pytest
from helpers import one_line

from lc_music_vae.checkpoints import bundles, finding, songs_npz
from lc_music_vae.checkpoints.songs_npz import SongsNpz

HASHES = np.array([3, 5, 2**64 - 1], np.uint64)


def a_run(folder):
    """A folder as training leaves one, with a checkpoint that has no tensors."""
    (folder / "train").mkdir()
    for suffix in (".index", ".data-00000-of-00001"):
        (folder / "train" / ("model.ckpt-7" + suffix)).write_bytes(b"")
    return finding.find(str(folder / "train" / "model.ckpt-7"), "--checkpoint_file")


def bundled(folder, *others):
    bundle = str(folder / "lc.tar")
    prefix = str(folder / "train" / "model.ckpt-7")
    bundles.write(bundle, prefix, name="lc.ckpt", run={}, others=[str(other) for other in others])
    return finding.find(bundle, "--checkpoint_file")


def npz(save=np.savez, **arrays):
    content = io.BytesIO()
    save(content, **arrays)
    return content.getvalue()


def zipped(name, content):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def npy(header, data=b""):
    header = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def test_it_comes_back_from_the_folder_and_from_the_bundle(tmp_path):
    small = a_run(tmp_path)
    assert songs_npz.find(small) is None
    assert songs_npz.find(bundled(tmp_path)) is None
    path = tmp_path / "songs.npz"
    songs_npz.write(str(path), SongsNpz(HASHES))
    for found in (small, bundled(tmp_path, path)):
        np.testing.assert_array_equal(songs_npz.find(found).hashes, HASHES)
    before = path.read_bytes()
    songs_npz.write(str(path), SongsNpz(HASHES))
    assert path.read_bytes() == before  # whenever it is written
    songs_npz.write(str(path), SongsNpz())
    assert songs_npz.find(small) == SongsNpz(None)


def test_arrays_of_later_versions_are_passed_over(tmp_path):
    small = a_run(tmp_path)
    (tmp_path / "songs.npz").write_bytes(npz(hashes=HASHES, other=np.ones([3, 3])))
    np.testing.assert_array_equal(songs_npz.find(small).hashes, HASHES)


GOOD = npz(hashes=HASHES)
DAMAGED = {
    "nothing": b"",
    "no zip": b"not a zip" * 20,
    "cut off": GOOD[:-30],
    "a byte changed": GOOD[:170] + b"\xff" + GOOD[171:],
    "other numbers": npz(hashes=np.array([1.5])),
    "other shape": npz(hashes=np.ones([2, 2], np.uint64)),
    "a number alone": npz(hashes=np.uint64(3)),
    "not in order": npz(hashes=HASHES[::-1]),
    "twice the same": npz(hashes=HASHES[[0, 0]]),
    "an object": npz(hashes=np.array([{"a": 1}], object)),
    "compressed": npz(np.savez_compressed, hashes=np.arange(1 << 17, dtype=np.uint64)),
    "a shape that is not there": zipped(
        "hashes.npy", npy("{'descr': '<u8', 'fortran_order': False, 'shape': (1000000000000,), }")
    ),
    "no header": zipped("hashes.npy", b"\x93NUMPY\x01\x00"),
    "a header that calls": zipped("hashes.npy", npy("{'descr': exit(), 'fortran_order': False, 'shape': (1,), }")),
    "a deep header": zipped("hashes.npy", npy("(" * 60000)),
    "a later format": zipped("hashes.npy", b"\x93NUMPY\x02\x00" + (1 << 31).to_bytes(4, "little")),
    "many members": b"".join([GOOD[:-22], GOOD[-22:-10], (1 << 20).to_bytes(4, "little"), GOOD[-6:]]),
    "64-bit sizes": GOOD[:-22] + b"PK\6\7" + bytes(16) + GOOD[-22:],
}


@pytest.mark.faults("records of songs that are a stranger's")
@pytest.mark.parametrize("kind", DAMAGED)
def test_what_is_damaged_is_one_line(kind, tmp_path):
    small = a_run(tmp_path)
    path = tmp_path / "songs.npz"
    path.write_bytes(DAMAGED[kind])
    for found in (small, bundled(tmp_path, path)):
        error = one_line(songs_npz.find, found)
        assert error.startswith("checkpoint_file=%s: its songs.npz is damaged (" % found.path)
        assert error.endswith("; copy or download it again; copies=allow freedom=0 does without it")


@pytest.mark.faults("records of songs that are a stranger's")
def test_too_large_a_one_is_not_read(tmp_path, monkeypatch):
    small = a_run(tmp_path)
    path = tmp_path / "songs.npz"
    path.write_bytes(GOOD)
    bundle = bundled(tmp_path, path)
    monkeypatch.setattr(songs_npz, "MAX_BYTES", len(GOOD) - 1)
    assert "is damaged (more than 0 MiB)" in one_line(songs_npz.find, small)
    assert "has a songs.npz of %d bytes; do not use it" % len(GOOD) in one_line(songs_npz.find, bundle)


@pytest.mark.faults("records of songs that are a stranger's")
def test_a_folder_in_its_place_and_a_bundle_that_is_cut_off(tmp_path):
    small = a_run(tmp_path)
    path = tmp_path / "songs.npz"
    path.mkdir()
    assert "its songs.npz is damaged (" in one_line(songs_npz.find, small)
    path.rmdir()
    songs_npz.write(str(path), SongsNpz(HASHES))
    bundle = bundled(tmp_path, path)
    with tarfile.open(bundle.bundle) as tar:
        member = tar.getmember("songs.npz")
        assert (member.uid, member.mtime, member.mode) == (0, 0, 0o644)
        end = member.offset_data + 100
    os.truncate(bundle.bundle, end)
    assert "not a readable .tar bundle" in one_line(songs_npz.find, bundle)
    shutil.rmtree(str(tmp_path / "train"))
