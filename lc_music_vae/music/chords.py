"""The chords of a song: those that the file names, else those that its notes make likely.

A chord counts as its triad: major, minor, augmented or diminished. What has none, such as a suspended chord, is no
chord. Source of the inference: `note_seq.chord_inference`, a hidden Markov model over keys and chords.
"""

from typing import Any, Iterable, List, NamedTuple, Sequence, Tuple

import note_seq
import numpy as np

from lc_music_vae.errors import InputError

CHORDS, HITS = "chords", "hits"  # what can control a decoder
_SYMBOL = note_seq.NoteSequence.TextAnnotation.CHORD_SYMBOL
_ENCODING = note_seq.TriadChordOneHotEncoding()
_MAX_FIGURE = 20  # characters: what is longer is no chord, and may take long to parse
_QPM = 120  # of what chords are inferred from; it does not matter
_KNOWN_METRES = ((2, 2), (2, 4), (3, 4), (4, 4), (6, 8))  # for which note_seq knows how often chords change


class Chord(NamedTuple):
    """A chord from `start`, in quarters, to the next one."""

    start: float
    figure: str

    def transposed(self, semitones: int) -> "Chord":
        """Returns the chord so many semitones higher."""
        if self.figure == note_seq.NO_CHORD:
            return self
        return self._replace(figure=note_seq.transpose_chord_symbol(self.figure, semitones))


def parse(text: str) -> List[str]:
    """Returns the figures in the value of `--chords`, such as "C G Am F".

    Raises:
        InputError: There is none, or one has no triad.
    """
    figures = text.replace(",", " ").split()
    unknown = [figure for figure in figures if _triad(figure) is None]
    if not figures or unknown:
        found = ": %.60r is none with a triad, major, minor, augmented or diminished" % unknown[0] if unknown else ""
        raise InputError('--chords=%s: expected chords, such as "C G Am F", or N.C. for none%s' % (text, found))
    return figures


def one_hot(figures: Sequence[str]) -> np.ndarray:
    """Returns chords as magenta's decoders take them, bool [number of chords, 49]."""
    return np.eye(_ENCODING.num_classes, dtype=bool)[[_ENCODING.encode_event(figure) for figure in figures]]


def of_steps(controls: np.ndarray, steps_per_quarter: int) -> List[Chord]:
    """Returns the chords of a window, where each begins: of `one_hot` chords, one a step, [time, 49]."""
    classes = controls.argmax(-1)
    starts = np.flatnonzero(np.diff(classes, prepend=-1))
    return [Chord(float(at) / steps_per_quarter, _ENCODING.decode_event(int(classes[at]))) for at in starts]


def symbols(note_sequence: Any) -> List[Any]:
    """Returns the annotations of a NoteSequence that are chords."""
    return [annotation for annotation in note_sequence.text_annotations if annotation.annotation_type == _SYMBOL]


def named(note_sequence: Any, tempo_map: Any) -> Tuple[Chord, ...]:
    """Returns the chords that a NoteSequence names, in order."""
    found = symbols(note_sequence)
    starts = tempo_map.quarters(np.array([max(0.0, symbol.time) for symbol in found]))
    return tuple(sorted(Chord(float(at), _triad(one.text) or note_seq.NO_CHORD) for at, one in zip(starts, found)))


def inferred(notes: Iterable[Any], numerator: int, denominator: int) -> Tuple[Chord, ...]:
    """Returns the chords that a song's notes make likely: two in a bar of 4/4, one in a shorter bar.

    Args:
        notes: The song's notes, of all its tracks, in quarters.
        numerator: The upper number of its first time signature.
        denominator: The lower number.

    Raises:
        InputError: No chords can be inferred.
    """
    sequence = note_seq.NoteSequence(ticks_per_quarter=note_seq.STANDARD_PPQ)
    sequence.tempos.add(qpm=_QPM)
    known = (numerator, denominator) in _KNOWN_METRES
    upper, lower = (numerator, denominator) if known else (4, 4)
    sequence.time_signatures.add(numerator=upper, denominator=lower)
    for n in notes:
        if not n.is_drum:
            start, end = (t * 60 / _QPM for t in (n.start, n.end))
            sequence.notes.add(pitch=n.pitch, velocity=n.velocity, start_time=start, end_time=end)
    sequence.total_time = max((n.end_time for n in sequence.notes), default=0.0)
    try:
        quantized = note_seq.quantize_note_sequence(sequence, 4)
        note_seq.infer_chords_for_sequence(quantized)
    except note_seq.ChordInferenceError as e:
        raise InputError("its chords cannot be inferred: %s" % e) from e
    return tuple(Chord(one.time * _QPM / 60, one.text) for one in quantized.text_annotations)


def within(chords: Sequence[Chord], start: float, end: float) -> List[Chord]:
    """Returns the chords that sound from `start` to `end`, in quarters from `start`; the first from 0."""
    before = [chord for chord in chords if chord.start <= start]
    first = before[-1].figure if before else note_seq.NO_CHORD
    later = [chord._replace(start=chord.start - start) for chord in chords if start < chord.start < end]
    return [Chord(0.0, first), *later]


def annotate(
    note_sequence: Any, chords: Iterable[Chord], *, seconds_per_quarter: float, steps_per_quarter: int
) -> None:
    """Adds chords to a NoteSequence; of several in one step the last."""
    by_step = {int(chord.start * steps_per_quarter + 0.5): chord for chord in chords}
    for step, chord in by_step.items():
        time = step / steps_per_quarter * seconds_per_quarter
        note_sequence.text_annotations.add(time=time, text=chord.figure, annotation_type=_SYMBOL)


def keep_changes(note_sequence: Any) -> None:
    """Sorts the chords of a NoteSequence by time, and leaves out those that are as the chord before."""
    found = sorted(symbols(note_sequence), key=lambda symbol: symbol.time)
    kept = [one for before, one in zip([None, *found], found) if before is None or one.text != before.text]
    del note_sequence.text_annotations[:]
    note_sequence.text_annotations.extend(kept)


def _triad(figure: str) -> Any:
    """Returns a figure if it has a triad, or is no chord; else None."""
    if len(figure) > _MAX_FIGURE:
        return None
    try:
        _ENCODING.encode_event(figure)
    except (note_seq.ChordSymbolError, note_seq.ChordEncodingError):
        return None
    return figure
