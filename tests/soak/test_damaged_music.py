"""20,000 damaged songs: each is read or refused in one line, within 5 s; a table says what became of them."""

import os
import random
import resource
from collections import Counter

import pytest
from damaged_music import damaged_file, originals, outcome

from lc_music_vae import data

FILES = 20000


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
