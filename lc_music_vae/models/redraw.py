"""Draws again where a sample is empty, nearly a copy of a training window, or the same as an earlier sample.

Each output has a stream of candidates, numbered from 0, that depends on nothing but the output's number. The output is
the first candidate of its stream that has notes, is no near-copy, and is not the same as the output of a smaller
number. So an output is the same however many outputs are made and however many candidates are decoded at once.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Set, Tuple

MAX_DRAWS = 32  # candidates of one output

Drawn = Tuple[int, int]  # number of an output, and number of its candidate


class Candidate(NamedTuple):
    """A candidate for an output.

    Attributes:
        value: What becomes the output.
        notes: Identifies its notes: candidates that count as the same have equal values. Empty if it has no notes.
        similarity: Similarity to the nearest training window, from 0 to 1.
    """

    value: Any
    notes: bytes
    similarity: float


class Outcome(NamedTuple):
    """What was drawn for n outputs.

    Attributes:
        outputs: The candidates that were chosen, n.
        near_copies: Number of candidates that were left out as near-copies of training windows.
        duplicates: Number of those that were left out as the same as another output.
        empty: Number of those that were left out because they had no notes.
        failed: Numbers of the outputs for which no candidate was right.
    """

    outputs: List[Candidate]
    near_copies: int
    duplicates: int
    empty: int
    failed: List[int]

    def in_words(self, meaning: str) -> str:
        """Returns how many candidates were left out and why; "" if there were none.

        Args:
            meaning: What a near-copy is, in words.
        """
        counts = (
            (self.near_copies, "near-copy of the songs (%s)" % meaning, "near-copies of the songs (%s)" % meaning),
            (self.duplicates, "duplicate", "duplicates"),
            (self.empty, "empty", "empty"),
        )
        return ", ".join("%d %s" % (count, one if count == 1 else many) for count, one, many in counts if count)


def choose(
    n: int, draw: Callable[[Sequence[Drawn]], Sequence[Candidate]], *, near: float, room: Callable[[int], int]
) -> Outcome:
    """Chooses n outputs, each the first right candidate of its stream.

    If none of the first `MAX_DRAWS` is right, the output is the one with notes that is least similar to the songs.

    Args:
        n: Number of outputs.
        draw: Returns the candidates for (output, number in its stream); of both, the numbers are from 0.
        near: A candidate of this similarity is a near-copy.
        room: Returns how many candidates can be drawn at the cost of the given number of them.
    """
    streams: List[List[Candidate]] = [[] for _ in range(n)]
    wanted = dict.fromkeys(range(n), 1)
    while wanted:
        drawn = [(i, len(streams[i]) + k) for i, count in wanted.items() for k in range(count)]
        for (i, _), candidate in zip(drawn, draw(drawn)):
            streams[i].append(candidate)
        outcome, pending = _resolved(streams, near)
        wanted = _shares({i: MAX_DRAWS - len(streams[i]) for i in pending}, room)
    return outcome


def _resolved(streams: Sequence[Sequence[Candidate]], near: float) -> Tuple[Outcome, List[int]]:
    """Returns the outcome so far, in order, and the outputs for which more candidates are needed.

    As long as there are any of these, the outputs after them may still change.
    """
    outputs: List[Candidate] = []
    left_out = {"near_copies": 0, "duplicates": 0, "empty": 0}
    failed, pending = [], []
    taken: Set[bytes] = set()
    for i, stream in enumerate(streams):
        faults = [_fault(candidate, taken, near) for candidate in stream]
        right = next((k for k, fault in enumerate(faults) if not fault), None)
        if right is None and len(stream) < MAX_DRAWS:
            pending.append(i)
            continue
        if right is None:
            failed.append(i)
            chosen = min(range(len(stream)), key=lambda k: (not stream[k].notes, stream[k].similarity))
        else:
            chosen, faults = right, faults[:right]
        for fault in faults[:chosen] + faults[chosen + 1 :]:
            left_out[fault] += 1
        taken.add(stream[chosen].notes)
        outputs.append(stream[chosen])
    return Outcome(outputs, failed=failed, **left_out), pending


def _fault(candidate: Candidate, taken: Set[bytes], near: float) -> str:
    """Returns why a candidate is not right, as the name of a count; "" if it is."""
    if not candidate.notes:
        return "empty"
    if candidate.similarity >= near:
        return "near_copies"
    return "duplicates" if candidate.notes in taken else ""


def _shares(most: Dict[int, int], room: Callable[[int], int]) -> Dict[int, int]:
    """Returns how many candidates to draw next for each output: one at least, and more while there is room."""
    if not most:
        return {}
    each, more = divmod(room(len(most)), len(most))
    return {i: min(left, each + (place < more)) for place, (i, left) in enumerate(most.items())}
