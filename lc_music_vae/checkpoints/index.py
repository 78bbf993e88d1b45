"""Compares a checkpoint's `.index` with its `.data-*` files before TensorFlow reads it.

TensorFlow ends the whole process, without an exception, if a shape is negative or too large to count. The file is a
table in LevelDB's format: blocks of sorted keys, and a footer that says where the index of the blocks is. TensorFlow
checks the checksums. This module only reads the file and trusts no number in it.
"""

import os
import struct
from typing import Iterator, List, NamedTuple, Sequence, Tuple

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
# The largest published one has about 15 kB: an entry of 60 bytes for each variable and each of Adam's slots.
_MAX_BYTES = 1 << 20
_MAX_SHARDS = 1000
_MAX_KEY = 1024
_DTYPES = {"half": "float16", "float": "float32", "double": "float64"}  # keys are the names in TensorFlow's files
_SUFFIX = ".data-%05d-of-%05d"


class Place(NamedTuple):
    """The place of a tensor: the end of the name of its file, such as `.data-00000-of-00001`; its first byte and size.

    `dtype` is its name in lower case, such as `float32`.
    """

    name: str
    dtype: str
    shape: Tuple[int, ...]
    suffix: str
    start: int
    size: int


def places(prefix: str) -> List[Place]:
    """Returns the shape of each tensor of a checkpoint, and its place.

    Raises:
        ValueError: A tensor has an impossible shape or is not within the checkpoint's data, or tensors overlap.
    """
    from google.protobuf import message
    from tensorflow.core.framework import types_pb2
    from tensorflow.core.protobuf import tensor_bundle_pb2

    dtypes = {number: name[len("DT_") :].lower() for name, number in types_pb2.DataType.items()}

    def parsed(kind, value: bytes):
        try:
            return kind.FromString(value)
        except message.DecodeError:
            raise ValueError("its index is damaged") from None

    if os.path.getsize(prefix + ".index") > _MAX_BYTES:
        raise ValueError("its index is larger than %d kB" % (_MAX_BYTES >> 10))
    with open(prefix + ".index", "rb") as f:
        entries = _entries(f.read())
    key, header = next(entries, (b"none", b""))
    if key:
        raise ValueError("its index has no header")
    sizes = _shard_sizes(prefix, parsed(tensor_bundle_pb2.BundleHeaderProto, header).num_shards)
    found = []
    for key, value in entries:
        entry = parsed(tensor_bundle_pb2.BundleEntryProto, value)
        name, shape = key.decode("utf-8", "replace"), tuple(dim.size for dim in entry.shape.dim)
        if not _is_possible(shape, sum(sizes)):
            raise ValueError("%s of shape %s is larger than the data" % (name, list(shape)))
        inside = 0 <= entry.shard_id < len(sizes) and min(entry.offset, entry.size) >= 0
        if not inside or entry.offset + entry.size > sizes[entry.shard_id]:
            raise ValueError("%s is past the end of the data" % name)
        dtype = dtypes.get(entry.dtype, "dtype %d" % entry.dtype)
        suffix = _SUFFIX % (entry.shard_id, len(sizes))
        found.append(Place(name, _DTYPES.get(dtype, dtype), shape, suffix, entry.offset, entry.size))
    if sum(place.size for place in found) > sum(sizes):  # copied one by one, overlapping tensors could take any size
        raise ValueError("its tensors overlap")
    return found


def _shard_sizes(prefix: str, shards: int) -> List[int]:
    if not 0 < shards <= _MAX_SHARDS:
        raise ValueError("its index names %d data files" % shards)
    paths = [prefix + _SUFFIX % (i, shards) for i in range(shards)]
    missing = [path for path in paths if not os.path.isfile(path)]
    if missing:
        raise ValueError("%s is not there" % os.path.basename(missing[0]))
    return [os.path.getsize(path) for path in paths]


def _is_possible(shape: Sequence[int], data_bytes: int) -> bool:
    """Returns whether `data_bytes` bytes can hold a tensor of this shape. Each element takes at least one byte."""
    count = 1
    for size in shape:
        count *= size
        # Checked at each step, as TensorFlow counts: the product before a 0 may already be too large.
        if size < 0 or count > data_bytes:
            return False
    return True


def _entries(table: bytes) -> Iterator[Tuple[bytes, bytes]]:
    """Yields the keys and values of a table."""
    footer = table[-_FOOTER:]
    if len(footer) < _FOOTER or struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise ValueError("its index is cut off, or is not an index")
    _, _, at = _handle(footer, 0)
    start, size, _ = _handle(footer, at)
    read = 0
    for _, handle in _block(table, start, size):
        start, size, _ = _handle(handle, 0)
        read += size
        if read > len(table):  # blocks that overlap could expand to any size
            raise ValueError("its index is damaged")
        yield from _block(table, start, size)


def _handle(data: bytes, at: int) -> Tuple[int, int, int]:
    """Returns the start of a block, its size, and the position in `data` after these two numbers."""
    start, at = _number(data, at)
    size, at = _number(data, at)
    return start, size, at


def _number(data: bytes, at: int) -> Tuple[int, int]:
    """Returns the variable-length number at `at`, and the position after it."""
    value = shift = 0
    while at < len(data) and shift < 64:
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value, at
    raise ValueError("its index is damaged")


def _block(table: bytes, start: int, size: int) -> Iterator[Tuple[bytes, bytes]]:
    """Yields the keys and values of a block. Each key reuses a number of bytes from the start of the key before it."""
    if size < 4 or start + size >= len(table):
        raise ValueError("its index is damaged")
    if table[start + size]:  # TensorFlow has written only uncompressed blocks since 1.2
        raise ValueError("its index is compressed")
    (restarts,) = struct.unpack("<I", table[start + size - 4 : start + size])
    at, end, key = start, start + size - 4 * (restarts + 1), b""
    while at < end:
        shared, at = _number(table, at)
        unshared, at = _number(table, at)
        length, at = _number(table, at)
        if shared > len(key) or shared + unshared > _MAX_KEY or at + unshared + length > end:
            raise ValueError("its index is damaged")
        key = key[:shared] + table[at : at + unshared]
        yield key, table[at + unshared : at + unshared + length]
        at += unshared + length
