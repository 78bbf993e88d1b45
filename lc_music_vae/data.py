"""Converts a NoteSequence to the windows that MusicVAE encodes, and back.

*Normalise*: put the notes on the file's own beats and mark the bars (`music.score`). *Cut*: make an ordered table of
windows with a hop of one bar (`WindowConverter.windows`). *Convert*: pass each window separately through magenta's
converter, so that order and position are never lost and rests at the start of a window stay in place.
"""

import bisect
import math
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

import note_seq
import numpy as np

from lc_music_vae import families
from lc_music_vae.errors import InputError
from lc_music_vae.families.family import Tensors
from lc_music_vae.music import chords as chords_lib
from lc_music_vae.music import metre as metres
from lc_music_vae.music.score import Note, Score, Track, normalise
from lc_music_vae.music.source import STRICT, Song
from lc_music_vae.music.style import COMMON, QUARTERS_PER_BAR, Style, bar_of
from lc_music_vae.music.tempo import QPM
from lc_music_vae.options import WHOLE, Reading

# Converters read and write windows at this tempo, with four quarters in a bar.
_SECONDS_PER_QUARTER = 60.0 / QPM
TICKS_PER_QUARTER = 24  # used by `notes_of`: sixteenths and triplets are whole numbers of ticks


class Window(NamedTuple):
    """A few whole bars of one track, as MusicVAE's encoder takes them.

    Bars of four quarters fill a window. Of other bars it holds as many whole ones as fit, and then begins again.

    Attributes:
        song: `Score.name` of its song.
        track: Number of its track.
        first_bar: Number of its first bar in the song, from 0.
        last_bar: Number of its last bar in the song, from 0.
        time_signature: The time signature that its bars are written in; see `Metre.written`.
        repeats: How many times the track plays exactly this window, including this one.
        transpositions: Semitones of each of `inputs`, ascending; (0,) is the song's own key.
        inputs: One array [time, input_depth] for each transposition, or several where `Family.to_tensors` makes them.
        controls: What encoding and decoding each of `inputs` needs in addition, [time, control_depth]; 0 wide for most.
        outputs: The first transposition in the form of the decoder's output, [time, output_depth].
        length: Length of the inputs in the converter's own unit (steps, or one number for each segment).
        notes: The notes of its bars in `outputs`, in the form that `notes_of` returns.
    """

    song: str
    track: int
    first_bar: int
    last_bar: int
    time_signature: str
    repeats: int
    transpositions: Tuple[int, ...]
    inputs: Tuple[np.ndarray, ...]
    controls: Tuple[np.ndarray, ...]
    outputs: np.ndarray
    length: np.ndarray
    notes: np.ndarray

    def length_in_words(self) -> str:
        """Returns how many bars the window holds, such as "2 bars"."""
        return metres.in_words(self.last_bar - self.first_bar + 1)


class Place(NamedTuple):
    """Where bars of a song are: the number of their first bar, from 0, and their start and end in quarters."""

    first_bar: int
    start: float
    end: float


def notes_of(sequence: note_seq.NoteSequence) -> np.ndarray:
    """Returns the notes of a sequence at one tempo as sorted int [n, 3]: start, end, and pitch (drums: plus 128).

    Times are in ticks; a quarter has `TICKS_PER_QUARTER` ticks. Tempo, velocity and program are ignored.
    """
    ticks = _qpm(sequence) / 60 * TICKS_PER_QUARTER
    rows = [(round(n.start_time * ticks), round(n.end_time * ticks), n.pitch + 128 * n.is_drum) for n in sequence.notes]
    return np.array(sorted(rows), np.int64).reshape(-1, 3)


def _qpm(sequence: note_seq.NoteSequence) -> float:
    return sequence.tempos[0].qpm if sequence.tempos else QPM


def to_note_sequence(notes: np.ndarray, time_signature: str = COMMON) -> note_seq.NoteSequence:
    """Converts notes back to a NoteSequence: the inverse of `notes_of`, at magenta's tempo."""
    sequence = note_seq.NoteSequence(ticks_per_quarter=note_seq.STANDARD_PPQ)
    _set_time_signature(sequence, time_signature)
    sequence.tempos.add(qpm=QPM)
    for start, end, pitch in notes.tolist():
        start, end = (t * _SECONDS_PER_QUARTER / TICKS_PER_QUARTER for t in (start, end))
        sequence.notes.add(pitch=pitch % 128, is_drum=pitch >= 128, velocity=80, start_time=start, end_time=end)
    return sequence


def _set_time_signature(sequence: note_seq.NoteSequence, time_signature: str) -> None:
    del sequence.time_signatures[:]
    numerator, denominator = map(int, time_signature.split("/"))
    sequence.time_signatures.add(numerator=numerator, denominator=denominator)


class WindowConverter:
    """Cuts songs into the windows of a MusicVAE config, and converts them to tensors and back.

    Args:
        music_vae: Name of the config in magenta's CONFIG_MAP.
        reading: How songs are read.

    Attributes:
        music_vae: The name that was given.
        reading: The `reading` that was given.
        bars: Length of a window in bars of four quarters.
        quarters: Length of a window in quarters.
        input_depth: Depth of the encoder's input tensors.
        steps_per_quarter: Steps of a tensor in a quarter.
        controls: What decoding needs in addition to a latent: 'chords', 'hits' or "".
        control_depth: Depth of these controls; 0 if there are none.
        steps: Length of a tensor.
        reads: What the windows are made of: 'melody', 'drums' or 'band'.
        fitting: What bars must be like to be windows, in words after their number.
        transpose_range: Semitones (lowest, highest) that `--augment` may transpose by, or None for drums.

    Raises:
        InputError: No song can be read for this kind of config.
    """

    def __init__(self, music_vae: str, reading: Reading = Reading()):
        self.music_vae = music_vae
        self.reading = reading
        self._family = families.family_of(music_vae)
        self._facts = self._family.facts
        self.bars = self._facts.bars
        self.quarters = float(self.bars * QUARTERS_PER_BAR)
        self.input_depth = self._facts.input_depth
        self.controls = self._family.controls
        self.control_depth = self._facts.control_depth
        self.steps = self._facts.steps
        self.steps_per_quarter = self._facts.steps_per_quarter
        self.reads = self._family.reads
        self.fitting = self._family.fitting
        self.transpose_range = self._family.transpose_range

    def like(self, music_vae: str) -> "WindowConverter":
        """Returns a converter for another MusicVAE config that reads songs in the same way."""
        return WindowConverter(music_vae, self.reading)

    def takes_parts_of(self, other: "WindowConverter") -> bool:
        """Returns whether this converter makes its windows of the same parts of a song as another."""
        return type(self._family) is type(other._family) and self.controls == other.controls

    def score(self, song: Song) -> Score:
        """Returns `normalise(song)` with the parts that windows are cut from.

        Raises:
            InputError: The song has no track with the requested name or number, or it is too long to be a song.
        """
        score = normalise(song._replace(note_sequence=self._family.as_heard(song.note_sequence)))
        tracks, choice, moves = self._family.parts(score, self.reading.melody_track)
        if self.controls == chords_lib.CHORDS and tracks:
            named = chords_lib.named(song.note_sequence, score.tempo_map)
            try:
                chords = named or chords_lib.inferred(score.notes, *map(int, score.metres[0].written.split("/")))
                score = score._replace(chords=chords)
                moves = moves if named else (*moves, "chords inferred from its notes")
            except InputError as e:
                tracks, moves = (), (*moves, str(e))
        if self.reading.metre == STRICT:
            remarks = metres.left_out(score.metres, score.bars)
        else:
            remarks = metres.remarks(score.metres, self.quarters)
        return self.fitted(score._replace(tracks=tracks, choice=choice, remarks=(*remarks, *moves)))

    def fitted(self, score: Score) -> Score:
        """Returns a score with the ends of this converter's windows; another converter may have made it."""
        ends, are_full = metres.held(score.metres, score.bars, self.quarters)
        return score._replace(window_ends=ends, windows_are_full=are_full)

    def windows(
        self, score: Score, transpositions: Sequence[int] = (0,), part: Tuple[float, float] = WHOLE
    ) -> List[Window]:
        """Returns the distinct windows of a song, in order of track and first bar.

        A window starts at each bar of a phrase if its bars are in the phrase. A phrase ends where the track rests for a
        whole bar, as in magenta's `extract_melodies`. If a track plays the same window twice, it is returned once, with
        `repeats` 2.

        Args:
            score: The song.
            transpositions: Semitones that each window is transposed by.
            part: Where in the song windows lie, from its start (0) to its end (1); none lies across its edges.
        """
        found: Dict[Tuple[int, bytes], Window] = {}
        low, high = (round(edge * (len(score.bars) - 1)) for edge in part)
        for track in score.tracks:
            for first_bar in self.first_bars(track, score):
                if first_bar < low or self.last_bar(score, first_bar) >= high:
                    continue
                window = self.window(score, track, first_bar, transpositions=transpositions)
                if window is None:
                    continue
                key = (track.number, window.inputs[0].tobytes() + window.controls[0].tobytes())
                if key in found:
                    window = found[key]._replace(repeats=found[key].repeats + 1)
                found[key] = window
        return list(found.values())

    def first_bars(self, track: Track, score: Score) -> List[int]:
        """Returns the numbers of the bars where windows of `track` start.

        A first bar that is cut short by the next time signature (1/4, then 4/4) is an upbeat. No window starts there.
        Windows that hold fewer bars than fit, because bars of another length follow, are used if there are no others.
        """
        bars = score.bars
        fits = self._bars_heard(track, score)
        within = np.zeros_like(fits)
        for start, end in self._phrases(track):
            first = np.searchsorted(bars, start, "right") - 1
            last = np.searchsorted(bars, end, "left")
            phrase_end = bars[min(last, len(bars) - 1)]
            within[first:last] |= score.window_ends[first:last] <= phrase_end
        if score.metres[0].end < score.metres[0].quarters:
            within[0] = False
        found = [int(b) for b in np.flatnonzero(fits & within) if self.metre_allows(score, float(bars[b]))]
        return [b for b in found if score.windows_are_full[b]] or found

    def _phrases(self, track: Track) -> List[Tuple[float, float]]:
        """Returns (start, end), in quarters and rounded to steps, of each phrase between rests of a whole bar."""
        phrases: List[Tuple[float, float]] = []
        last_start = None
        for n in track.notes:
            start = self._step(n.start) / self._facts.steps_per_quarter
            if start == last_start:
                continue  # a chord: its highest note comes first and is the melody
            last_start = start
            end = max(self._step(n.end) / self._facts.steps_per_quarter, start)
            if phrases and start - phrases[-1][1] < QUARTERS_PER_BAR:
                phrases[-1] = phrases[-1][0], end
            else:
                phrases.append((start, end))
        return phrases

    def _bars_heard(self, track: Track, score: Score) -> np.ndarray:
        """Returns, for each bar line, whether a note of `track` starts in the bars of the window from there."""
        steps = np.array([self._step(n.start) for n in track.notes])
        firsts, lasts = (np.floor(at * self._facts.steps_per_quarter + 0.5) for at in (score.bars, score.window_ends))
        return np.searchsorted(steps, firsts, "left") < np.searchsorted(steps, lasts, "left")

    def window(
        self, score: Score, track: Track, first_bar: int, *, transpositions: Sequence[int] = (0,)
    ) -> Optional[Window]:
        """Returns the window of `track` that starts with bar `first_bar`, or None if no note starts in it.

        It also returns None if the window has a time signature that was not requested. Transpositions that would
        leave MusicVAE's pitch range are left out.
        """
        place = Place(first_bar, float(score.bars[first_bar]), float(score.window_ends[first_bar]))
        return self._window(score, track, place, transpositions)

    def _window(
        self, score: Score, track: Track, place: Place, transpositions: Sequence[int] = (0,)
    ) -> Optional[Window]:
        """Returns the window of the bars, or of the part of a long bar, at `place`; see `window`."""
        if not self.metre_allows(score, place.start):
            return None
        notes, chords = self._notes_in(track, place), self._chords_in(score, place)
        done = self._transposed(notes, [t for t in sorted(transpositions) if self._in_range(notes, t)], chords)
        if not done:
            return None
        _, (_, outputs, length, _) = done[0]
        time_signature = metres.at(score.metres, place.start).written
        (heard,) = self.to_note_sequences([outputs], Style(time_signature=time_signature))
        return Window(
            song=score.name,
            track=track.number,
            first_bar=place.first_bar,
            last_bar=self.last_bar(score, place.first_bar),
            time_signature=time_signature,
            repeats=1,
            transpositions=tuple(t for t, _ in done),
            inputs=tuple(tensors.inputs for _, tensors in done),
            controls=tuple(tensors.controls for _, tensors in done),
            outputs=outputs,
            length=np.array(length, np.int32),
            notes=self.notes_of(heard),
        )

    def notes_of(self, sequence: note_seq.NoteSequence) -> np.ndarray:
        """Returns the notes of a window as the module's `notes_of` does; those of a groove are on their steps."""
        if not self._family.earliest:
            return notes_of(sequence)
        steps_per_second = _qpm(sequence) / 60 * self.steps_per_quarter
        on_steps = note_seq.NoteSequence()
        on_steps.CopyFrom(sequence)
        for note in on_steps.notes:
            first = math.floor(note.start_time * steps_per_second + 0.5)
            note.start_time, note.end_time = first / steps_per_second, (first + 1) / steps_per_second
        return notes_of(on_steps)

    def metre_allows(self, score: Score, start: float) -> bool:
        """Returns whether the window at `start` quarters has only time signatures that were requested."""
        return self.reading.metre != STRICT or metres.all_4_4(score.metres, start, start + self.quarters)

    def consecutive(self, score: Score, track: Track) -> List[Tuple[Place, Optional[Window]]]:
        """Returns windows that cover a track, bar after bar, and the place of what each of them adds.

        A bar that is longer than a window is covered in pieces. The window is None if no note starts in it.
        """
        end = max(n.end for n in track.notes)
        return [
            (place, self._window(score, track, place._replace(end=window_end)))
            for place, window_end in self._steps_through(score)
            if place.start < end
        ]

    def _steps_through(self, score: Score) -> Iterator[Tuple[Place, float]]:
        """Yields places that cover a song, each from a bar line to a bar line, and the end of each place's window."""
        bar = 0
        while bar < len(score.bars) - 1:
            start, end = float(score.bars[bar]), float(score.window_ends[bar])
            following = int(np.searchsorted(score.bars, end, "right")) - 1
            if following > bar:
                yield Place(bar, start, float(score.bars[following])), end
            else:  # the bar is longer than a window
                following = bar + 1
                bar_end = float(score.bars[following])
                for piece in np.arange(start, bar_end, self.quarters).tolist():
                    end = min(piece + self.quarters, bar_end)
                    yield Place(bar, piece, end), end
            bar = following

    def candidates(self, score: Score) -> List[Window]:
        """Returns the windows that can be meant by an input.

        A song that is no longer than a window is one window, including its silent bars. For a longer song, these are
        its `windows`. If no phrase is long enough, they are all windows in which a note starts.
        """
        every_bar = range(len(score.bars) - 1)
        if score.bars[-1] <= score.window_ends[0]:
            every_bar, found = range(1), []
        else:
            found = self.windows(score)
        if not found:
            heard = [(track, self._bars_heard(track, score)) for track in score.tracks]
            at_bars = (self.window(score, track, bar) for track, bars in heard for bar in every_bar if bars[bar])
            found = [window for window in at_bars if window is not None]
        return found

    def last_bar(self, score: Score, first_bar: int) -> int:
        """Returns the number of the last bar in the window that starts with bar `first_bar`."""
        return max(first_bar, int(np.searchsorted(score.bars, score.window_ends[first_bar], "left")) - 1)

    def place(
        self,
        decoded: note_seq.NoteSequence,
        track: Track,
        score: Score,
        *,
        at: Place,
        result: note_seq.NoteSequence,
    ) -> None:
        """Adds a decoded window's notes and chords to `result`, as `track`; leaves out what is not in the bars `at`."""
        end = min(at.end, score.end)
        for note in decoded.notes:
            first, last = (max(0.0, at.start + t / _SECONDS_PER_QUARTER) for t in (note.start_time, note.end_time))
            if first >= end:
                continue
            added = result.notes.add()
            added.CopyFrom(note)
            added.start_time, added.end_time = score.tempo_map.seconds(np.array([first, min(last, end)]))
            self._family.sound_as(track, added)
        for annotation in decoded.text_annotations:
            start = at.start + annotation.time / _SECONDS_PER_QUARTER
            if start < end:
                (seconds,) = score.tempo_map.seconds(np.array([start]))
                result.text_annotations.add(
                    time=seconds, text=annotation.text, annotation_type=annotation.annotation_type
                )

    def _step(self, quarters: float) -> int:
        """Returns the step nearest to `quarters`; ties go up, as in `note_seq.quantize_to_step`."""
        return int(math.floor(quarters * self._facts.steps_per_quarter + 0.5))

    def _notes_in(self, track: Track, place: Place) -> List[Note]:
        """Returns the notes of the window at `place`, as many bars as it holds. Times are in quarters from its start.

        A note that started before the window becomes a rest, as in magenta's slices. A note that continues after the
        window's bars is cut at their end. Bars that do not fill the window are followed by their beginning: a rest
        there would be a part of all that is learned from such bars, and what follows in the song is no part of them.
        """
        first, last, steps = self._step(place.start), self._step(place.end), self._step(self.quarters)
        earliest = self._family.earliest / self._facts.steps_per_quarter
        length = place.end - place.start
        # Notes are sorted by start, the first item of the tuple, so a binary search finds those near the window.
        edges = ((step / self._facts.steps_per_quarter,) for step in (first - 1, last + 1))
        near = slice(*(bisect.bisect_left(track.notes, edge) for edge in edges))
        held = [
            n._replace(start=max(earliest, n.start - place.start), end=min(max(0.0, n.end - place.start), length))
            for n in track.notes[near]
            if first <= self._step(n.start) < last
        ]
        again = [
            n._replace(start=n.start + turn * length, end=min(n.end + turn * length, self.quarters))
            for turn in range(1, math.ceil(self.quarters / length))
            for n in held
        ]
        return held + [n for n in again if self._step(n.start) < steps]

    def _chords_in(self, score: Score, place: Place) -> List[chords_lib.Chord]:
        """Returns the chords of the window at `place`, repeated like its notes; none if nothing needs them."""
        if self.controls != chords_lib.CHORDS:
            return []
        length = place.end - place.start
        held = chords_lib.within(score.chords, place.start, place.end)
        turns = range(math.ceil(self.quarters / length))
        repeated = [chord._replace(start=chord.start + turn * length) for turn in turns for chord in held]
        return [chord for chord in repeated if chord.start < self.quarters]

    def _in_range(self, notes: Sequence[Note], transposition: int) -> bool:
        """Returns whether all transposed pitches are in MusicVAE's range; drums are not transposed."""
        low, high = self._family.pitch_range
        pitches = [n.pitch + transposition for n in notes if not n.is_drum]
        return not pitches or (min(pitches) >= low and max(pitches) <= high)

    def _transposed(
        self, notes: Sequence[Note], transpositions: Sequence[int], chords: Sequence[chords_lib.Chord]
    ) -> List[Tuple[int, Tensors]]:
        """Converts one window's notes at each transposition; leaves out those that do not make exactly one tensor."""
        first_pitch = self._family.first_pitch
        if first_pitch is None or chords or not transpositions:
            return [(t, tensors) for t in transpositions for tensors in self._to_tensors(notes, t, chords)]
        # magenta's converters are slow, so the window is converted once and its pitches are moved.
        moves = [(t, t - transpositions[0]) for t in transpositions]
        return [
            (t, Tensors(_moved(inputs, by, first_pitch), _moved(outputs, by, first_pitch), length, controls))
            for inputs, outputs, length, controls in self._to_tensors(notes, transpositions[0])
            for t, by in moves
        ]

    def _to_tensors(
        self, notes: Sequence[Note], transposition: int, chords: Sequence[chords_lib.Chord] = ()
    ) -> List[Tensors]:
        """Converts one window's notes; see `Family.to_tensors`."""
        if not notes:
            return []
        sequence = _window_sequence(notes, transposition, self.quarters)
        self._annotate(sequence, [chord.transposed(transposition) for chord in chords])
        return self._family.to_tensors(sequence)

    def _annotate(self, sequence: note_seq.NoteSequence, chords: Sequence[chords_lib.Chord]) -> None:
        """Adds chords to a window at magenta's tempo."""
        chords_lib.annotate(
            sequence, chords, seconds_per_quarter=_SECONDS_PER_QUARTER, steps_per_quarter=self.steps_per_quarter
        )

    def controls_of_chords(self, figures: Sequence[str]) -> np.ndarray:
        """Returns chords as controls of k windows, bool [k, time, control_depth]; see `Family.controls_of_chords`."""
        return self._family.controls_of_chords(figures)

    def to_note_sequences(
        self,
        tensors: Sequence[np.ndarray],
        style: Style = Style(),
        *,
        early: bool = False,
        controls: Optional[Sequence[np.ndarray]] = None,
    ) -> List[note_seq.NoteSequence]:
        """Converts decoder outputs [time, output_depth] to NoteSequences.

        Bars of four quarters fill a window. Music with other bars is cut to the whole bars that are in the window, so
        that it can be played in a loop.

        Args:
            tensors: The outputs.
            style: How they sound. magenta's converters themselves only support a tempo of 120.
            early: Whether a groove's first hits may start a little before 0, as where another window comes before it.
            controls: What each was decoded with, [time, control_depth]: its chords are then annotated.
        """
        track = Track(0, "", style.program, (), style.octaves)
        sequences = self._family.from_tensors(tensors)
        for decoded, with_controls, sequence in zip(tensors, [] if controls is None else controls, sequences):
            self._annotate(sequence, self._family.chords_in(decoded, with_controls))
        for sequence in sequences:
            if style.time_signature != COMMON:
                self._cut(sequence, style.time_signature)
            if style.time_signature != COMMON or not sequence.time_signatures:
                _set_time_signature(sequence, style.time_signature)
            for tempo in sequence.tempos:
                tempo.qpm = style.qpm
            for note in sequence.notes:
                note.start_time *= QPM / style.qpm
                if not early:
                    note.start_time = max(0.0, note.start_time)
                note.end_time *= QPM / style.qpm
                self._family.sound_as(track, note)
            for annotation in sequence.text_annotations:
                annotation.time *= QPM / style.qpm
            sequence.total_time *= QPM / style.qpm
        return sequences

    def bar_steps(self, time_signature: str) -> int:
        """Returns the length of a bar of a time signature in steps; of one longer than a window, the window's."""
        bar = bar_of(time_signature)
        return self._step(min(bar, self.quarters))

    def bars_of(self, time_signature: str) -> int:
        """Returns how many whole bars of a time signature a decoded window has."""
        return metres.bars_held(bar_of(time_signature), self.quarters)

    def seam(self, time_signature: str) -> int:
        """Returns where the second half of a window begins, in steps: at a bar, or in the middle of a single one."""
        bar, bars = self.bar_steps(time_signature), self.bars_of(time_signature)
        return bar * (bars - bars // 2) if bars > 1 else bar // 2

    def as_input(self, decoded: np.ndarray) -> Optional[Tuple[np.ndarray, np.ndarray]]:
        """Returns a decoded window as the encoder takes it, and its length; None if it has no notes.

        Where MusicVAE encodes what it decodes, as with melodies and bands, this takes no time.
        """
        if decoded.shape[1] == self.input_depth and self._family.first_pitch is not None:
            shape = self._facts.converter.length_shape
            return decoded, np.full(shape, len(decoded) // int(np.prod(shape)), np.int32)
        (sequence,) = self._family.from_tensors([decoded])
        tensors = self._family.to_tensors(sequence)
        return (tensors[0].inputs, tensors[0].length) if tensors else None

    def started(self, decoded: np.ndarray) -> Optional[np.ndarray]:
        """Returns the notes of a decoded melody, int [n, 3], as `notes_of` does, but for their lengths: these are 0.

        This is much faster than to convert the window, and enough to compare it. None of other music than melodies.
        """
        lowest = self._family.first_pitch
        if lowest is None:
            return None
        events = decoded.argmax(1)
        steps = np.flatnonzero(events >= lowest)
        ticks = steps * TICKS_PER_QUARTER // self.steps_per_quarter
        return np.stack([ticks, 0 * ticks, events[steps] - lowest + self._family.pitch_range[0]], 1)

    def ended(self, half: np.ndarray, pitch_classes: Sequence[int], time_signature: str) -> np.ndarray:
        """Returns half of a decoded melody so that it ends: on a long note of one of some pitch classes.

        Its last note becomes the last one before the middle of the bar, moved to the nearest such pitch and held. Other
        music than melodies, and a half in which no note starts, stay as they are.

        Args:
            half: One event a step, [time, output_depth].
            pitch_classes: One or more, from 0 (C) to 11.
            time_signature: Its time signature.
        """
        lowest = self._family.first_pitch
        events = half.argmax(1)
        if lowest is None or not (events >= lowest).any():
            return half
        starts = np.flatnonzero(events >= lowest)
        middle = len(half) - max(1, self.bar_steps(time_signature) // 2)
        before = starts[starts <= middle]
        at = before[-1] if len(before) else middle
        low, high = self._family.pitch_range
        was = events[before[-1] if len(before) else starts[0]] - lowest + low
        home = min((p for p in range(low, high + 1) if p % 12 in pitch_classes), key=lambda p: (abs(p - was), p))
        ended = half.copy()
        ended[at:] = np.eye(1, half.shape[1], dtype=half.dtype)
        ended[at] = np.eye(1, half.shape[1], lowest + home - low, dtype=half.dtype)
        return ended

    def cut(self, half: np.ndarray) -> np.ndarray:
        """Returns a decoded melody, [time, output_depth], before which no note is held: a rest at its start is one.

        No event at its start would hold the note before it. Other music than melodies stays as it is.
        """
        if self._family.first_pitch is None or half[0].argmax() != self._family.no_event:
            return half
        silent = half.copy()
        silent[0] = np.eye(1, half.shape[1], self._family.note_off, dtype=half.dtype)
        return silent

    def heard(self, windows: Sequence[Window]) -> List[note_seq.NoteSequence]:
        """Returns the bars of windows as NoteSequences, in their own time signatures and at magenta's tempo."""
        return [self.to_note_sequences([w.outputs], Style(time_signature=w.time_signature))[0] for w in windows]

    def _cut(self, sequence: note_seq.NoteSequence, time_signature: str) -> None:
        """Cuts a sequence at magenta's tempo to whole bars of a time signature, if one fits."""
        bar = bar_of(time_signature)
        end = float(metres.whole_bars(bar, self.quarters)) * _SECONDS_PER_QUARTER
        notes = [note for note in sequence.notes if note.start_time < end]
        for note in notes:
            note.end_time = min(note.end_time, end)
        del sequence.notes[:]
        sequence.notes.extend(notes)
        annotations = [annotation for annotation in sequence.text_annotations if annotation.time < end]
        del sequence.text_annotations[:]
        sequence.text_annotations.extend(annotations)
        sequence.total_time = end


def _moved(events: np.ndarray, semitones: int, first_pitch: int) -> np.ndarray:
    """Transposes one-hot events [time, depth]; pitches start at index `first_pitch`, and none may leave the range."""
    pitches = np.roll(events[:, first_pitch:], semitones, axis=1)
    return np.concatenate([events[:, :first_pitch], pitches], axis=1)


def _window_sequence(notes: Sequence[Note], transposition: int, quarters: float) -> note_seq.NoteSequence:
    """Returns the notes of a window, `quarters` long, in the form that magenta's converters take."""
    sequence = note_seq.NoteSequence(ticks_per_quarter=note_seq.STANDARD_PPQ)
    sequence.tempos.add(qpm=QPM)
    _set_time_signature(sequence, COMMON)
    sequence.total_time = quarters * _SECONDS_PER_QUARTER
    for n in notes:
        sequence.notes.add(
            pitch=n.pitch + (0 if n.is_drum else transposition),
            velocity=n.velocity,
            start_time=n.start * _SECONDS_PER_QUARTER,
            end_time=n.end * _SECONDS_PER_QUARTER,
            instrument=n.instrument,
            program=n.program,
            is_drum=n.is_drum,
        )
    return sequence
