"""`songs.npz`: what a trained model keeps of its songs, in the run's folder and in its bundle. Needs no TensorFlow.

A bundle may come from an unknown person. So the file is read by its headers: arrays with other names, types or shapes
than expected, compressed ones, and ones larger than the file are refused before they cost memory.
"""

import io
import os
import struct
import zipfile
from typing import Any, Dict, NamedTuple, Optional

import numpy as np

from lc_music_vae.checkpoints import bundles
from lc_music_vae.checkpoints.checkpoint import SONGS_NPZ, Checkpoint
from lc_music_vae.errors import InputError
from lc_music_vae.system import files

MAX_HASHES = 8_000_000  # 64 MB
MAX_BYTES = 128 << 20
_MAX_DIRECTORY = 4096  # bytes: some 60 for each array
_END = struct.Struct("<4s8xI6x")  # the last record of a zip: its signature, and the size of the list of members


class SongsNpz(NamedTuple):
    """The arrays of `songs.npz`. Those that are None are not known.

    Attributes:
        hashes: Hashes of the training windows, uint64 [n], ascending; see `encoding.song_hashes`.
        windows: Number of the windows that the moments are of, int64 [1]; see `base_model.Moments`.
        mean: Mean of their posterior means, float32 [z_size].
        covariance: Covariance of these, float32 [z_size, z_size].
        variance: Mean of their posterior variances, float32 [z_size].
    """

    hashes: Optional[np.ndarray] = None
    windows: Optional[np.ndarray] = None
    mean: Optional[np.ndarray] = None
    covariance: Optional[np.ndarray] = None
    variance: Optional[np.ndarray] = None


class _Kind(NamedTuple):
    """The type and the number of dimensions of an array, as NumPy writes them."""

    dtype: str
    ndim: int


_KINDS: Dict[str, _Kind] = {
    "hashes": _Kind("<u8", 1),
    "windows": _Kind("<i8", 1),
    "mean": _Kind("<f4", 1),
    "covariance": _Kind("<f4", 2),
    "variance": _Kind("<f4", 1),
}
_MOMENTS = ("windows", "mean", "covariance", "variance")


def write(path: str, songs: SongsNpz) -> None:
    """Writes the arrays that are known. The file is complete or absent, and the same arrays give the same bytes."""
    known = {name: value for name, value in songs._asdict().items() if value is not None}
    arrays = {name: np.asarray(value, _KINDS[name].dtype) for name, value in known.items()}
    with files.replacing(path) as temporary:
        np.savez(temporary, **arrays)


def find(small: Checkpoint) -> Optional[SongsNpz]:
    """Returns what is kept with a small VAE: in its bundle, or in its run's folder. None if it has no such file.

    Raises:
        InputError: The file is damaged.
    """
    name = "%s=%s" % (small.flag, small.path)
    if small.bundle is not None:
        content = bundles.read_member(small, SONGS_NPZ, MAX_BYTES)
        return None if content is None else _parse(content, name)
    folder = os.path.dirname(os.path.abspath(small.prefix))
    if os.path.basename(folder) != "train":  # it is not in a run's folder
        return None
    try:
        with files.opened(os.path.join(os.path.dirname(folder), SONGS_NPZ)) as f:
            content = f.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return None
    except OSError as e:
        raise _damaged(name, e.strerror or e) from e
    return _parse(content, name)


def _parse(content: bytes, name: str) -> SongsNpz:
    try:
        _check_directory(content)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            # Arrays of later versions, which have other names, are left out.
            members = {member.filename: member for member in archive.infolist()}
            known = {key: members[key + ".npy"] for key in _KINDS if key + ".npy" in members}
            songs = SongsNpz(**{key: _read(archive, member, _KINDS[key]) for key, member in known.items()})
        if songs.hashes is not None and not (songs.hashes[1:] > songs.hashes[:-1]).all():
            raise ValueError("its hashes are not in order")
        _check_moments(songs)
        return songs
    # Of damaged files, zipfile and NumPy raise many errors: BadZipFile, ValueError, zlib.error, SyntaxError ...
    except Exception as e:
        raise _damaged(name, (str(e) or type(e).__name__).splitlines()[0]) from e


def _check_moments(songs: SongsNpz) -> None:
    """Raises a `ValueError` unless the moments fit together, or none of them is there."""
    windows, mean, covariance, variance = moments = [getattr(songs, name) for name in _MOMENTS]
    if all(one is None for one in moments):
        return
    if any(one is None for one in moments):
        raise ValueError("some of its moments are not there")
    if len(windows) != 1 or windows[0] < 1 or len(variance) != len(mean) or covariance.shape != 2 * mean.shape:
        raise ValueError("its moments do not fit together")
    if not all((np.abs(one) < 1e6).all() for one in moments[1:]) or (variance < 0).any():  # false for NaN, too
        raise ValueError("its moments are no numbers of latents")


def _check_directory(content: bytes) -> None:
    """Raises a `ValueError` if a zip is too large, or its list of members, which `zipfile` reads as a whole."""
    if len(content) > MAX_BYTES:
        raise ValueError("more than %d MiB" % (MAX_BYTES >> 20))
    end = content[-_END.size :]
    if len(end) < _END.size or b"PK\6\7" in content[-64:]:  # the list of a zip with 64-bit sizes
        raise ValueError("no list of arrays at its end")
    signature, size = _END.unpack(end)
    if signature != b"PK\5\6" or size > _MAX_DIRECTORY:
        raise ValueError("no list of arrays at its end, or a long one")


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, kind: _Kind) -> np.ndarray:
    """Returns an array, whose header must say what is there."""
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError("%s is compressed" % member.filename)
    with archive.open(member) as f:
        version = np.lib.format.read_magic(f)
        if version != (1, 0):  # later ones may have headers of up to 4 GB
            raise ValueError("%s is of another format" % member.filename)
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(f)
        if dtype != np.dtype(kind.dtype) or len(shape) != kind.ndim or by_columns:
            raise ValueError("%s is %.20s of %.40s" % (member.filename, dtype, shape))
        content = f.read()
    return np.frombuffer(content, dtype).reshape(shape)


def _damaged(name: str, why: Any) -> InputError:
    return InputError(
        "%s: its %s is damaged (%.100s); copy or download it again; --copies=allow --freedom=0 does without it"
        % (name, SONGS_NPZ, why)
    )
