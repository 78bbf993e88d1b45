"""Damaged songs, byte by byte and in their structure: each is read or refused in one line, within its limits.

Tables say what became of them.
"""

import os
import random
import resource
import time
from collections import Counter

import pytest
from damaged_music import damaged_file, originals, outcome, read_all, structured_file

from lc_music_vae import data
from lc_music_vae.music import examples

FILES = 20000
STRUCTURES = 40  # of each kind; what they are made of stands up to so many times in them:
OFTEN = 100000


@pytest.fixture(scope="module")
def converter():
    return data.WindowConverter("cat-mel_2bar_small")


def test_damaged_songs(converter, tmp_path):
    rng = random.Random(1)  # noqa: S311 - the same damage each time
    whole = originals()
    kinds = sorted({os.path.splitext(name)[1] for name in whole})
    tried, read, refused, slowest = Counter(), Counter(), Counter(), {}
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for i in range(FILES):
        kind = kinds[i % len(kinds)]
        name = rng.choice([name for name in sorted(whole) if name.endswith(kind)])
        path = damaged_file(name, whole[name], str(tmp_path), rng)
        found = outcome(path, converter)
        tried[kind] += 1
        (refused if found.refused else read)[kind] += 1
        slowest[kind] = max(slowest.get(kind, 0), found.seconds)
        if found.seconds > 5:
            os.rename(path, os.path.join(str(tmp_path), "slow_%d_%s" % (i, name)))
    megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    print("\n%-10s %7s %7s %7s %10s" % ("damaged", "tried", "read", "refused", "slowest"))
    for kind in kinds:
        print("%-10s %7d %7d %7d %8.2f s" % (kind[1:], tried[kind], read[kind], refused[kind], slowest[kind]))
    print(
        "%-10s %7d %7d %7d %8.2f s, %d MB"
        % ("all", FILES, sum(read.values()), sum(refused.values()), max(slowest.values()), megabytes)
    )
    assert max(slowest.values()) < 5
    assert megabytes < 500


@pytest.mark.parametrize("kind", ["mid", "abc", "xml", "mxl", "tfrecord"])
def test_structures_that_stall(kind, converter, tmp_path):
    rng = random.Random(kind)  # noqa: S311 - the same structures each time
    read, refused, slowest, here = 0, Counter(), 0.0, 0.0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for i in range(STRUCTURES):
        path = structured_file(kind, str(tmp_path), rng, OFTEN)
        patience = examples._limits(examples.Source(path, kind)).seconds
        began = time.monotonic()
        found = read_all(path, converter)
        took = time.monotonic() - began
        slowest, here = max(slowest, took), max(here, found.seconds)
        read += not found.refused
        if found.refused:
            refused[found.refused.split(": ", 1)[1][:80]] += 1
        assert found.seconds < 5, (i, found)
        assert took < 10 * patience, (i, took, found)  # a file may hold some tunes, and the machine may be busy
        os.remove(path)
    megabytes = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    print(
        "\n%s: %d of %d read, slowest %.2f s, %.2f s of it here, %d MB here"
        % (kind, read, STRUCTURES, slowest, here, megabytes)
    )
    for reason, count in refused.most_common(8):
        print("  %3d %s" % (count, reason))
    assert megabytes < 500
