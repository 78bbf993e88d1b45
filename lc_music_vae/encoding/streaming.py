"""Reads windows from latents of any size in little memory: batches in random order, and samples. Needs no TensorFlow.

The files of latents are divided into blocks of neighbouring windows, about 128 KB each: a song or two. An epoch puts
all blocks in a random order. Blocks that follow each other there, 64 MB of them, make a pool, and the windows of a pool
are put in a random order, too. So a batch of 512 windows is drawn from some 500 songs from all over the collection, and
each window is seen once an epoch. The next pool is read bit by bit, as the present one is used up.

Where the windows of a batch are is a function of the seed and the step: a training that goes on reads one pool and is
where it was.

The checksums of records are not compared here. Those of whole files are, before training begins.
"""

import functools
import itertools
import os
import struct
from typing import Iterator, List, NamedTuple, Sequence, Tuple

import numpy as np

from lc_music_vae.checkpoints import run_dir

BLOCK_BYTES = 128 * 2**10  # a disk, or a file server, gives nearly all of its rate in reads of this size
POOL_BYTES = 64 * 2**20
_BUFFER = 2**20  # bytes that are read at once where blocks are looked for
# A record of a TFRecord file: the length of its data, a checksum of the length, the data, and their checksum.
# Source: "TFRecord and tf.train.Example", tensorflow.org.
_LENGTH = struct.Struct("<Q")
_HEAD, _TAIL = 12, 4
_SAMPLED_BLOCKS = 1024


def fits(paths: Sequence[str]) -> bool:
    """Returns whether files of latents are small enough to be shuffled as a whole: at most `POOL_BYTES`.

    Raises:
        InputError: A file is missing.
    """
    return sum(size for _, size, _ in _states(paths)) <= POOL_BYTES


class Blocks(NamedTuple):
    """The blocks of files of latents, in the order of the files: 20 bytes each.

    Attributes:
        paths: The files.
        files: Which file each block is in, int32 [n].
        starts: Where it begins, in bytes, int64 [n].
        sizes: How many bytes it has, int32 [n].
        windows: How many windows it has, int32 [n].
    """

    paths: Tuple[str, ...]
    files: np.ndarray
    starts: np.ndarray
    sizes: np.ndarray
    windows: np.ndarray

    @property
    def num_windows(self) -> int:
        """Number of windows in all blocks."""
        return int(self.windows.sum())

    def read(self, block: int) -> List[bytes]:
        """Returns the serialised windows of a block, in order.

        Raises:
            InputError: The file has changed since it was divided.
        """
        path, size = self.paths[self.files[block]], int(self.sizes[block])
        try:
            with open(path, "rb", buffering=0) as f:
                f.seek(int(self.starts[block]))
                content = f.read(size)
        except OSError as e:
            raise run_dir.damaged_latents(path) from e
        found, at = [], 0
        while at < len(content) - _HEAD:
            start = at + _HEAD
            end = start + _LENGTH.unpack_from(content, at)[0]
            found.append(content[start:end])
            at = end + _TAIL
        if (len(found), at, len(content)) != (self.windows[block], size, size):
            raise run_dir.damaged_latents(path)
        return found


def divided(paths: Sequence[str]) -> Blocks:
    """Divides files of latents into blocks.

    Raises:
        InputError: A file is missing, or cut off.
    """
    return _divided(_states(paths), BLOCK_BYTES)


def _states(paths: Sequence[str]) -> Tuple[Tuple[str, int, int], ...]:
    """Returns the path, the size and the time of each file."""
    found = []
    for path in paths:
        try:
            state = os.stat(path)
        except OSError as e:
            raise run_dir.damaged_latents(path) from e
        found.append((path, state.st_size, state.st_mtime_ns))
    return tuple(found)


@functools.lru_cache(maxsize=2)  # those of training, and those of the bars that are kept out of it
def _divided(states: Tuple[Tuple[str, int, int], ...], block_bytes: int) -> Blocks:
    rows = []
    for number, (path, size, _) in enumerate(states):
        rows += [(number, *block) for block in _blocks(path, size, block_bytes)]
    files, starts, sizes, windows = np.array(rows, np.int64).reshape(-1, 4).T
    narrow = (column.astype(np.int32) for column in (sizes, windows))
    return Blocks(tuple(path for path, _, _ in states), files.astype(np.int32), starts.copy(), *narrow)


def _blocks(path: str, size: int, block_bytes: int) -> Iterator[Tuple[int, int, int]]:
    """Yields the start, the size and the number of windows of each block of a file."""
    start = at = windows = 0
    try:
        with open(path, "rb", buffering=_BUFFER) as f:
            for head in iter(lambda: f.read(_HEAD), b""):
                length = _LENGTH.unpack_from(head)[0] if len(head) == _HEAD else size
                at, windows = at + _HEAD + length + _TAIL, windows + 1
                if at > size:
                    raise run_dir.damaged_latents(path)
                f.seek(length + _TAIL, os.SEEK_CUR)  # mostly within the buffer
                if at - start >= block_bytes or at == size:
                    yield start, at - start, windows
                    start, windows = at, 0
    except OSError as e:
        raise run_dir.damaged_latents(path) from e


class _Pool(NamedTuple):
    """Blocks whose windows are shuffled together.

    Attributes:
        key: Seed of the order of its windows.
        blocks: Numbers of its blocks.
        skipped: How many of its windows, in their random order, were used before.
    """

    key: Tuple[int, ...]
    blocks: Sequence[int]
    skipped: int


def _pools(blocks: Blocks, seed: int, first: int) -> Iterator[_Pool]:
    """Yields the pools of all epochs, without end, from that with window number `first` of the training on."""
    begun, skipped = divmod(first, blocks.num_windows)
    for epoch in itertools.count(begun):
        order = np.random.RandomState((seed, epoch)).permutation(len(blocks.sizes))
        numbers = np.cumsum(blocks.sizes[order], dtype=np.int64) // POOL_BYTES
        for number, pool in enumerate(np.split(order, np.flatnonzero(np.diff(numbers)) + 1)):
            windows = int(blocks.windows[pool].sum())
            if skipped < windows:
                yield _Pool((seed, epoch, number), pool.tolist(), skipped)
            skipped = max(0, skipped - windows)


def batches(blocks: Blocks, size: int, seed: int, *, first_step: int = 0) -> Iterator[List[bytes]]:
    """Yields batches of serialised windows, without end, from `first_step` on.

    Epochs follow each other, and the last batch of one may end with windows of the next. Step s gets the same batch
    wherever training starts. The memory that this takes is that of a pool, and little more.

    Args:
        blocks: Where the windows are.
        size: Number of windows in a batch, at most all of them.
        seed: The run's seed, from 0 to 2^32 - 1.
        first_step: The step of the first batch.

    Raises:
        InputError: A file has changed since it was divided.
    """
    pools = _pools(blocks, seed, first_step * size)
    pool = next(pools)
    ready = [window for block in pool.blocks for window in blocks.read(block)]
    waiting: List[bytes] = []  # the next one is the last, so that what is used is let go
    for following in pools:
        order = np.random.RandomState(pool.key).permutation(len(ready))[pool.skipped :]
        waiting = [ready[i] for i in reversed(order)] + waiting
        ready, done = [], 0
        steps = len(waiting) // size
        for step in range(steps + 1):
            to_read = len(following.blocks) * (step + 1) // (steps + 1)
            for block in following.blocks[done:to_read]:
                ready += blocks.read(block)
            done = to_read
            if step < steps:
                yield [waiting.pop() for _ in range(size)]
        pool = following


def sample(blocks: Blocks, most: int) -> Iterator[bytes]:
    """Yields at most `most` serialised windows from all over the files, in order: as many from each of some blocks.

    Raises:
        InputError: A file has changed since it was divided.
    """
    chosen = np.unique(np.linspace(0, len(blocks.sizes) - 1, min(most, _SAMPLED_BLOCKS)).round().astype(int))
    ends = most * np.arange(1, len(chosen) + 1) // len(chosen)
    for block, of_each in zip(chosen.tolist(), np.diff(ends, prepend=0).tolist()):
        yield from blocks.read(block)[:of_each]
