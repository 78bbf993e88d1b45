"""Drawing again: against the plain definition, one output after another and one candidate after another."""

import functools
import math

import numpy as np
import pytest

from lc_music_vae.models import redraw
from lc_music_vae.models.redraw import MAX_DRAWS, Candidate, Outcome, choose

NEAR = 0.9


class Decoder:
    """Stands for a decoder that knows few bars, some of them near-copies, so that much has to be drawn again."""

    def __init__(self, seed, bars, batch_size):
        self.seed, self.bars, self.batch_size, self.batches = seed, bars, batch_size, 0
        self.candidate = functools.lru_cache(maxsize=None)(self._candidate)

    def _candidate(self, output, number):
        rng = np.random.RandomState([self.seed, output, number])
        bar = rng.randint(self.bars)
        similarity = np.random.RandomState([self.seed, bar]).choice([0.2, 0.5, 0.89, 0.9, 0.95, 1])
        notes = b"" if rng.rand() < 0.15 else b"%d" % bar
        return Candidate((output, number), notes, float(similarity) if notes else 0.0)

    def draw(self, drawn):
        self.batches += math.ceil(len(drawn) / self.batch_size)
        return [self.candidate(*pair) for pair in drawn]

    def room(self, n):
        return math.ceil(n / self.batch_size) * self.batch_size


def plainly(n, candidate):
    """The definition."""
    chosen, counts, failed = [], {"near_copies": 0, "duplicates": 0, "empty": 0}, []
    for i in range(n):
        taken, tried = {other.notes for other in chosen}, []
        for k in range(MAX_DRAWS):
            one = candidate(i, k)
            if one.notes and one.similarity < NEAR and one.notes not in taken:
                break
            tried.append(one)
        else:
            failed.append(i)
            one = sorted(tried, key=lambda c: (c.notes == b"", c.similarity))[0]
        for other in tried:
            if other is not one:
                empty, copy = not other.notes, other.similarity >= NEAR
                counts["empty" if empty else "near_copies" if copy else "duplicates"] += 1
        chosen.append(one)
    return Outcome(chosen, failed=failed, **counts)


@pytest.mark.parametrize("bars", [2, 12, 40, 5000])
@pytest.mark.parametrize("batch_size", [1, 4, 7, 64])
def test_the_outcome_is_the_plain_one_whatever_the_batch(bars, batch_size):
    counted = set()
    for seed in range(3):
        decoder = Decoder(seed, bars, batch_size)
        outcome = choose(20, decoder.draw, near=NEAR, room=decoder.room)
        assert outcome == plainly(20, decoder.candidate)
        counted |= {name for name in outcome._fields if getattr(outcome, name)}
    assert {"near_copies", "empty"} <= counted
    assert ("failed" in counted) == (bars <= 40)


@pytest.mark.parametrize("seed", range(4))
def test_the_first_outputs_are_those_of_a_run_of_fewer(seed):
    few, many = Decoder(seed, 60, 5), Decoder(seed, 60, 64)
    outcome = choose(64, many.draw, near=NEAR, room=many.room)
    assert outcome.outputs[:5] == choose(5, few.draw, near=NEAR, room=few.room).outputs


def test_batches_are_filled_with_what_may_be_needed_next():
    """One right draw in eight: were only one draw of each output tried at a time, it would take three times as many."""
    decoder = Decoder(0, 10**6, 64)
    plain = decoder.candidate

    def candidate(output, number):
        right = np.random.RandomState([output, number]).rand() < 1 / 8
        return plain(output, number)._replace(similarity=0.1 if right else 1.0, notes=b"%d %d" % (output, number))

    decoder.candidate = candidate
    choose(64, decoder.draw, near=NEAR, room=decoder.room)
    assert decoder.batches <= 10


def test_an_output_that_gets_its_notes_late_takes_them_from_those_after_it():
    """Output 1 has only notes that output 0, which needs many draws, ends up with: it goes on to others."""
    streams = {0: [b""] * 5 + [b"x"], 1: [b"x", b"x", b"y"]}

    def draw(drawn):
        return [Candidate((i, k), streams[i][min(k, len(streams[i]) - 1)], 0.0) for i, k in drawn]

    outcome = choose(2, draw, near=NEAR, room=lambda n: n)
    assert [one.value for one in outcome.outputs] == [(0, 5), (1, 2)]
    assert (outcome.empty, outcome.duplicates, outcome.near_copies, outcome.failed) == (5, 2, 0, [])


def test_if_none_is_right_the_one_least_like_the_songs_but_not_silence():
    similarities = [0.95, 0.92, 1.0, 0.0]

    def draw(drawn):
        return [Candidate(k, b"" if k % 4 == 3 else b"%d" % k, similarities[k % 4]) for _, k in drawn]

    outcome = choose(1, draw, near=NEAR, room=lambda n: n)
    assert (outcome.outputs[0].value, outcome.failed) == (1, [0])
    assert (outcome.near_copies, outcome.empty) == (23, 8)
    silent = choose(1, lambda drawn: [Candidate(k, b"", 0.0) for _, k in drawn], near=NEAR, room=lambda n: n)
    assert (silent.outputs[0].value, silent.empty) == (0, MAX_DRAWS - 1)


def test_in_words():
    said = redraw.Outcome([], 12, 3, 1, []).in_words("0.9 alike or more")
    assert said == "12 near-copies of the songs (0.9 alike or more), 3 duplicates, 1 empty"
    assert redraw.Outcome([], 1, 0, 2, []).in_words("so") == "1 near-copy of the songs (so), 2 empty"
    assert redraw.Outcome([], 0, 1, 0, []).in_words("so") == "1 duplicate"
    assert redraw.Outcome([], 0, 0, 0, []).in_words("so") == ""
