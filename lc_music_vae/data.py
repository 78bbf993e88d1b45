"""From a NoteSequence to the windows that MusicVAE encodes, and back.

*Normalise*: notes on the file's own beats, bars marked (`normalise`). *Cut*: an ordered table of windows, hop
of one bar (`WindowConverter.windows`). *Convert*: each window by itself through magenta's converter, so that
order and position are never lost and rests at a window's start stay where they are.
"""

import bisect
import copy
import functools
import math
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import note_seq
import numpy as np
from magenta.models.music_vae import configs as music_vae_configs
from magenta.models.music_vae import data as music_vae_data
from magenta.models.music_vae import data_hierarchical

from lc_music_vae.errors import InputError, printable
from lc_music_vae.music import melody
from lc_music_vae.music.melody import Note, Track
from lc_music_vae.music.source import Song
from lc_music_vae.music.tempo import QPM, TempoMap
from lc_music_vae.options import METRES

# Converters write and windows are handed to them at this tempo, with four quarters a bar.
QUARTERS_PER_BAR = 4
_SECONDS_PER_QUARTER = 60.0 / QPM
_MOST_BARS = 5000  # 2.8 hours of 4/4 at 120: what ends later is no song, and every bar costs a window
_LONGEST_NAME = 100
_MOST_SAID = 8  # time signatures of a song
TICKS_PER_QUARTER = 24  # of `notes_of`: sixteenths and triplets are whole numbers of them

ANY, STRICT = METRES

Tensors = Tuple[np.ndarray, np.ndarray, np.ndarray]  # inputs, outputs and length of a window


class Metre(NamedTuple):
    """A stretch of a song under one time signature, from `start` to `end` in quarters.

    `quarters` is the length that its bars are given, `is_4_4` whether that is what the signature says and four
    quarters (2/2 is), and `remark` what was made of it otherwise, in words.
    """

    start: float
    end: float
    signature: str
    quarters: float
    is_4_4: bool
    remark: str


class Score(NamedTuple):
    """A song on its own beats.

    Attributes:
        name: Where it is from, as `examples.Song.name`.
        notes: Its notes, in order of start and then from high to low.
        bars: Starts of its bars in quarters; the last entry is the end of the last bar.
        tempo_map: The map back to the file's seconds.
        track_names: Names of its tracks by instrument number, where the file has them.
        metres: Its time signatures, in order.
        end: The end of its last note, in quarters.
        tracks: The parts that windows are cut from.
        choice: Why these, in words.
        remarks: What was made of time signatures other than 4/4, and of notes out of range, in words.
    """

    name: str
    notes: Tuple[Note, ...]
    bars: np.ndarray
    tempo_map: TempoMap
    track_names: Dict[int, str]
    metres: Tuple[Metre, ...]
    end: float
    tracks: Tuple[Track, ...] = ()
    choice: str = ""
    remarks: Tuple[str, ...] = ()


class Window(NamedTuple):
    """A few bars of one track, as MusicVAE's encoder takes them.

    Attributes:
        song: `Score.name` of its song.
        track: Number of its track.
        first_bar: Number of its first bar in the song, from 0.
        last_bar: Number of its last one.
        repeats: How often the track plays exactly this, counting this one.
        transpositions: Semitones of each transposition in `inputs`, ascending; (0,) is the song's own key.
        inputs: One bool array [time, input_depth] a transposition.
        outputs: The first transposition as the decoder would give it, [time, output_depth].
        length: Length of the inputs in the converter's own terms (steps, or one a segment).
        notes: What `outputs` sounds like, as `notes_of` has it.
    """

    song: str
    track: int
    first_bar: int
    last_bar: int
    repeats: int
    transpositions: Tuple[int, ...]
    inputs: Tuple[np.ndarray, ...]
    outputs: np.ndarray
    length: np.ndarray
    notes: np.ndarray


def notes_of(sequence: note_seq.NoteSequence) -> np.ndarray:
    """Returns the notes of a sequence at one tempo as sorted int [n, 3]: start, end, and pitch (drums: plus 128).

    Times are in ticks, `TICKS_PER_QUARTER` of them in a quarter. Tempo, velocity and program make no difference.
    """
    qpm = sequence.tempos[0].qpm if sequence.tempos else QPM
    ticks = qpm / 60 * TICKS_PER_QUARTER
    rows = [(round(n.start_time * ticks), round(n.end_time * ticks), n.pitch + 128 * n.is_drum) for n in sequence.notes]
    return np.array(sorted(rows), np.int64).reshape(-1, 3)


def to_note_sequence(notes: np.ndarray) -> note_seq.NoteSequence:
    """The inverse of `notes_of`, at magenta's tempo."""
    sequence = note_seq.NoteSequence(ticks_per_quarter=note_seq.STANDARD_PPQ)
    sequence.tempos.add(qpm=QPM)
    for start, end, pitch in notes.tolist():
        start, end = (t * _SECONDS_PER_QUARTER / TICKS_PER_QUARTER for t in (start, end))
        sequence.notes.add(pitch=pitch % 128, is_drum=pitch >= 128, velocity=80, start_time=start, end_time=end)
    return sequence


def _metre(start: float, numerator: int, denominator: int) -> Metre:
    """Returns the metre of a time signature, its end not known yet.

    Bars of 2/4 or 1/4 (a common stand-in for "unknown") are grouped to four quarters, as MusicVAE knows them.
    """
    sixteenths = 16 * numerator / denominator if denominator else 0
    signature = "%d/%d" % (numerator, denominator)
    quarters, remark = float(QUARTERS_PER_BAR), ""
    if sixteenths == int(sixteenths) and 6 <= sixteenths <= 64 and sixteenths not in (8, 16, 32, 64):
        quarters, remark = sixteenths / 4, "%s: windows start at its bars and are cut by sixteenths" % signature
    elif sixteenths != 16:
        remark = "%s: taken as bars of four quarters" % signature
    return Metre(start, math.inf, signature, quarters, sixteenths == 16, remark)


def _bars(note_sequence, tempo_map: TempoMap, end: float) -> Tuple[np.ndarray, Tuple[Metre, ...]]:
    """Returns bar starts in quarters, up to the first at or after `end`, and the metres that last some time."""
    signatures = sorted((s for s in note_sequence.time_signatures if math.isfinite(s.time)), key=lambda s: s.time)
    starts = tempo_map.quarters(np.array([s.time for s in signatures])).tolist()
    bars, metres = [0.0], [_metre(0.0, QUARTERS_PER_BAR, 4)]
    for at, signature in zip(starts, signatures):
        if not 0 <= at <= end:
            continue
        # A change between beats is not a bar line: it holds from the next one.
        aligned = math.isclose(at, round(at), abs_tol=0.02)
        length = metres[-1].quarters
        while bars[-1] + length <= at or (not aligned and bars[-1] < at):
            bars.append(bars[-1] + length)
        if aligned and round(at) > bars[-1]:
            bars.append(float(round(at)))
        metres[-1] = metres[-1]._replace(end=bars[-1])
        metres.append(_metre(bars[-1], signature.numerator, signature.denominator))
    while bars[-1] < end:
        bars.append(bars[-1] + metres[-1].quarters)
    return np.array(bars), tuple(m for m in metres if m.start < min(m.end, max(end, 1)))


def normalise(song: Song) -> Score:
    """Puts a song on its own beats: no tempo changes left, bars marked, the map back kept.

    Raises:
        InputError: It is longer than any song.
    """
    sequence = song.note_sequence
    tempo_map = TempoMap(sequence.tempos)
    sounding = [n for n in sequence.notes if n.velocity and n.start_time >= 0]
    starts = tempo_map.quarters(np.array([n.start_time for n in sounding]))
    ends = tempo_map.quarters(np.array([n.end_time for n in sounding]))
    notes = [
        Note(float(start), float(max(start, end)), n.pitch, n.velocity, n.instrument, n.program, n.is_drum)
        for start, end, n in zip(starts, ends, sounding)
    ]
    notes.sort(key=lambda n: (n.start, -n.pitch))
    end = max((n.end for n in notes), default=0.0)
    if not end <= _MOST_BARS * QUARTERS_PER_BAR:
        raise InputError(
            "%s: its last note ends after %.0f bars; a song has at most %d here; split it"
            % (song.name, end / QUARTERS_PER_BAR, _MOST_BARS)
        )
    bars, metres = _bars(sequence, tempo_map, end)
    names = {info.instrument: printable(info.name)[:_LONGEST_NAME] for info in sequence.instrument_infos}
    return Score(song.name, tuple(notes), bars, tempo_map, names, metres, end)


def _moved(melody_events: np.ndarray, semitones: int) -> np.ndarray:
    """Transposes a one-hot melody [time, depth], of which no pitch leaves MusicVAE's range."""
    special = note_seq.NUM_SPECIAL_MELODY_EVENTS  # no event and note-off, before the pitches
    pitches = np.roll(melody_events[:, special:], semitones, axis=1)
    return np.concatenate([melody_events[:, :special], pitches], axis=1)


def _step(quarters: float, steps_per_quarter: int) -> int:
    """Returns the step nearest to `quarters`; ties go up, as in `note_seq.quantize_to_step`."""
    return int(math.floor(quarters * steps_per_quarter + 0.5))


def _into(pitch: int, low: int, high: int) -> int:
    """Returns the pitch from `low` to `high` that is the fewest octaves from `pitch`."""
    return pitch + 12 * (max(0, -((pitch - low) // 12)) - max(0, -((high - pitch) // 12)))


def _heard(pitch: int, octaves: int) -> int:
    """Returns a pitch of MusicVAE's as the song has it, of which it is so many octaves above."""
    return _into(pitch - 12 * octaves, note_seq.MIN_MIDI_PITCH, note_seq.MAX_MIDI_PITCH)


def _octaves_into(pitches: np.ndarray, low: int, high: int) -> int:
    """Returns by how many octaves to move `pitches` so that most of them are from `low` to `high`: the fewest."""

    def outside(octaves: int) -> int:
        return int(np.sum((pitches + 12 * octaves < low) | (pitches + 12 * octaves > high)))

    return min(sorted(range(-10, 11), key=abs), key=outside)


def _some(said: List[str]) -> List[str]:
    """Returns what fits into a table: the first few, and how many more there are."""
    return said[:_MOST_SAID] + (["and %d more" % (len(said) - _MOST_SAID)] if len(said) > _MOST_SAID else [])


def _times(number: int, thing: str) -> str:
    return "%d %s%s" % (number, thing, "" if number == 1 else "s")


def _window_bars(converter) -> int:
    """Returns how many bars of four quarters `converter` makes one tensor of."""
    values = vars(converter)
    if values.get("_slice_steps"):
        return values["_slice_steps"] // values["_steps_per_bar"]
    return values.get("_slice_bars") or values.get("_split_bars") or values["_hop_size_bars"]


def _for_windows(converter):
    """Returns a copy of magenta's converter that keeps a single window whole, with the rests in it.

    magenta's starts a melody at its first note, ends it at a bar of rest and splits at time changes: right for
    a song, wrong for a window that was cut already.
    """
    converter = copy.deepcopy(converter)
    converter.set_mode("infer")
    converter.max_tensors_per_notesequence = None
    converter._presplit_on_time_changes = False
    for extractor in ("_event_extractor_fn", "_drums_extractor_fn"):
        if hasattr(converter, extractor):
            converter._pad_to_total_time = True
            cut = getattr(converter, extractor)
            setattr(converter, extractor, functools.partial(cut.func, **dict(cut.keywords, gap_bars=math.inf)))
    return converter


class WindowConverter:
    """Cuts songs into the windows of a MusicVAE config, and converts them to tensors and back.

    Attributes:
        bars: Length of a window in bars of four quarters.
        input_depth: Depth of the encoder's input tensors.
        reads: What it makes windows of: 'melody', 'drums' or 'band'.
        transpose_range: Semitones (lowest, highest) that `--augment` may transpose by, or None for drums.
    """

    def __init__(self, music_vae: str, melody_track: str = melody.AUTO, metre: str = ANY):
        config = music_vae_configs.CONFIG_MAP[music_vae]
        if config.data_converter.control_depth:
            raise InputError(
                "MusicVAE config %s needs controls (chords or hits), which are not supported yet" % music_vae
            )
        if metre not in METRES:
            raise InputError("--metre=%s must be one of %s" % (metre, ", ".join(METRES)))
        self._converter = _for_windows(config.data_converter)
        self._melody_track = melody_track
        self._metre = metre
        self._is_melody = isinstance(self._converter, music_vae_data.OneHotMelodyConverter)
        self._is_drums = isinstance(self._converter, (music_vae_data.DrumsConverter, music_vae_data.GrooveConverter))
        self.reads = "melody" if self._is_melody else "drums" if self._is_drums else "band"
        self._steps_per_quarter = self._converter._steps_per_quarter
        self.bars = _window_bars(self._converter)
        self.quarters = float(self.bars * QUARTERS_PER_BAR)
        self.input_depth = self._converter.input_depth
        self.transpose_range = (-5, 5) if self._is_melody else None
        if config.note_sequence_augmenter is not None:
            self.transpose_range = config.note_sequence_augmenter._transpose_range
        self._pitch_range = (
            (self._converter._min_pitch, self._converter._max_pitch)
            if self._is_melody
            else (note_seq.MIN_MIDI_PITCH, note_seq.MAX_MIDI_PITCH)
        )

    def like(self, music_vae: str) -> "WindowConverter":
        """Returns the converter of another MusicVAE config, asked for the same tracks and metre."""
        return WindowConverter(music_vae, self._melody_track, self._metre)

    def score(self, song: Song) -> Score:
        """Returns `normalise(song)` with the parts that windows are cut from.

        Raises:
            InputError: The song has no track of the name or number that was asked for, or is longer than any song.
        """
        if isinstance(self._converter, data_hierarchical.MultiInstrumentPerformanceConverter):
            # In performances the sustain pedal lengthens notes.
            song = song._replace(note_sequence=note_seq.apply_sustain_control_changes(song.note_sequence))
        score = normalise(song)
        tracks, choice = self._tracks(score)
        remarks = self._metre_remarks(score)
        if self._is_melody:
            moved = [self._into_range(track) for track in tracks]
            tracks = [track for track, _ in moved]
            names = ["track %s: " % track.label() if len(tracks) > 1 else "" for track in tracks]
            remarks += [name + said for name, (_, said) in zip(names, moved) if said]
        return score._replace(tracks=tuple(tracks), choice=choice, remarks=tuple(remarks))

    def _metre_remarks(self, score: Score) -> List[str]:
        """Returns what is made of the time signatures other than 4/4, in words."""
        if self._metre != STRICT:
            return _some(list(dict.fromkeys(m.remark for m in score.metres if m.remark)))
        left_out: Dict[str, int] = {}  # first bar, from 1, of each signature
        for m in score.metres:
            if not m.is_4_4:
                left_out.setdefault(m.signature, int(np.searchsorted(score.bars, m.start)) + 1)
        named = ", ".join(_some(["%s from bar %d" % item for item in left_out.items()]))
        return ["left out by --metre=4/4: %s; --metre=any reads it" % named] if named else []

    def _into_range(self, track: Track) -> Tuple[Track, str]:
        """Moves a melody by whole octaves into MusicVAE's range, and says so.

        It is moved as one, so that its line stays what it is; notes that are then still outside move by themselves.
        """
        low, high = self._pitch_range
        octaves = _octaves_into(np.array([n.pitch for n in track.notes]), low, high)
        pitches = [n.pitch + 12 * octaves for n in track.notes]
        notes = tuple(n._replace(pitch=_into(pitch, low, high)) for n, pitch in zip(track.notes, pitches))
        alone = sum(n.pitch != pitch for n, pitch in zip(notes, pitches))
        moves = []
        if octaves:
            moves.append("%s %s" % ("up" if octaves > 0 else "down", _times(abs(octaves), "octave")))
        if alone:
            moves.append("%s alone" % _times(alone, "note"))
        said = "moved %s, to be in MusicVAE's range" % ", ".join(moves) if moves else ""
        return track._replace(notes=notes, octaves=octaves), said

    def _tracks(self, score: Score) -> Tuple[List[Track], str]:
        """Returns the parts of a song that windows are cut from, each with at least one note, and why these."""
        if self._is_melody:
            return melody.choose(self._melodic_tracks(score), self._melody_track)
        notes = score.notes
        if self._is_drums:
            known = self._converter._pitch_class_map
            # How long a drum is held means nothing, and must not bridge a rest.
            step = 1 / self._steps_per_quarter
            notes = tuple(n._replace(end=n.start + step) for n in notes if n.is_drum and n.pitch in known)
        name = "drums" if self._is_drums else "all tracks"
        return [Track(0, name, 0, notes)] if notes else [], name

    def _melodic_tracks(self, score: Score) -> List[Track]:
        """One track an instrument, on program 0.

        magenta's 2-bar converters drop programs from 32 up (bass, strings, flutes, voice): a melody is a melody.
        """
        tracks: Dict[int, List[Note]] = {}
        programs: Dict[int, int] = {}
        for n in score.notes:
            if not n.is_drum:
                programs.setdefault(n.instrument, n.program)
                tracks.setdefault(n.instrument, []).append(n._replace(program=0))
        return [Track(i, score.track_names.get(i, ""), programs[i], tuple(tracks[i])) for i in sorted(tracks)]

    def windows(self, score: Score, transpositions: Sequence[int] = (0,)) -> List[Window]:
        """Returns the distinct windows of a song, in order of track and first bar.

        A window starts at every bar of a phrase that it fits into; phrases end where a track rests a whole bar,
        as in magenta's `extract_melodies`. What a track plays twice is one window with `repeats` 2.
        """
        found: Dict[Tuple[int, bytes], Window] = {}
        for track in score.tracks:
            for first_bar in self.first_bars(track, score):
                window = self.window(score, track, first_bar, transpositions)
                if window is None:
                    continue
                key = (track.number, window.inputs[0].tobytes())
                if key in found:
                    window = found[key]._replace(repeats=found[key].repeats + 1)
                found[key] = window
        return list(found.values())

    def first_bars(self, track: Track, score: Score) -> List[int]:
        """Returns the numbers of the bars that windows of `track` start at.

        A first bar that the next time signature cuts short (1/4, then 4/4) is an upbeat, which none starts at.
        """
        bars, upbeat = score.bars, score.metres[0].end < score.metres[0].quarters
        phrases: List[List[float]] = []  # start and end of each, in quarters
        last_start = None
        for n in track.notes:
            start = _step(n.start, self._steps_per_quarter) / self._steps_per_quarter
            if start == last_start:
                continue  # a chord: its highest note, which is first, is the melody
            last_start = start
            end = max(_step(n.end, self._steps_per_quarter) / self._steps_per_quarter, start)
            if phrases and start - phrases[-1][1] < QUARTERS_PER_BAR:
                phrases[-1][1] = end
            else:
                phrases.append([start, end])
        fits = self._bars_heard(track, bars)
        within = np.zeros_like(fits)
        for start, end in phrases:
            first = np.searchsorted(bars, start, "right") - 1
            last = np.searchsorted(bars, end, "left")
            phrase_end = bars[min(last, len(bars) - 1)]
            within[first:last] |= bars[first:last] + self.quarters <= phrase_end
        within[0] &= not upbeat
        return [int(b) for b in np.flatnonzero(fits & within) if self.metre_allows(score, float(bars[b]))]

    def _bars_heard(self, track: Track, bars: np.ndarray) -> np.ndarray:
        """Returns for each start of a bar, in quarters, whether a note of `track` starts in the window there."""
        steps = np.array([_step(n.start, self._steps_per_quarter) for n in track.notes])
        firsts = np.floor(bars * self._steps_per_quarter + 0.5)
        lasts = firsts + _step(self.quarters, self._steps_per_quarter)
        return np.searchsorted(steps, firsts, "left") < np.searchsorted(steps, lasts, "left")

    def window(
        self, score: Score, track: Track, first_bar: int, transpositions: Sequence[int] = (0,)
    ) -> Optional[Window]:
        """Returns the window of `track` that starts with bar `first_bar`, or None if no note starts in it.

        It is None, too, where a time signature holds that was not asked for. Transpositions that would leave
        MusicVAE's pitch range are left out.
        """
        start = float(score.bars[first_bar])
        if not self.metre_allows(score, start):
            return None
        notes = self._notes_in(track, start)
        done = self._transposed(notes, [t for t in sorted(transpositions) if self._in_range(notes, t)])
        if not done:
            return None
        return Window(
            song=score.name,
            track=track.number,
            first_bar=first_bar,
            last_bar=self.last_bar(score, first_bar),
            repeats=1,
            transpositions=tuple(t for t, _ in done),
            inputs=tuple(inputs for _, (inputs, _, _) in done),
            outputs=done[0][1][1],
            length=np.array(done[0][1][2], np.int32),
            notes=notes_of(self.to_note_sequences([done[0][1][1]])[0]),
        )

    def metre_allows(self, score: Score, start: float) -> bool:
        """Returns whether the window at `start` quarters is under time signatures that were asked for alone."""
        if self._metre != STRICT:
            return True
        # Metres are in order of start, which is what tuples are compared by, and follow each other without a gap.
        i = bisect.bisect_left(score.metres, (start + self.quarters,)) - 1
        while i >= 0 and score.metres[i].end > start:
            if not score.metres[i].is_4_4:
                return False
            i -= 1
        return True

    def consecutive(self, score: Score, track: Track) -> List[Tuple[float, Optional[Window]]]:
        """Returns windows without overlap that cover a track, as (start in quarters, window).

        The window is None where the track rests.
        """
        starts = np.arange(0, max(n.end for n in track.notes), self.quarters)
        covered = score._replace(bars=starts)
        return [(float(starts[i]), self.window(covered, track, i)) for i in range(len(starts))]

    def candidates(self, score: Score) -> List[Window]:
        """Returns the windows that an input may mean.

        A song no longer than a window is that window as it stands, silent bars included; otherwise these are its
        `windows`, or, where no phrase is long enough, all in which a note starts.
        """
        every_bar = range(len(score.bars) - 1)
        if score.bars[-1] <= self.quarters:
            every_bar, found = range(1), []
        else:
            found = self.windows(score)
        if not found:
            heard = [(track, self._bars_heard(track, score.bars[:-1])) for track in score.tracks]
            at_bars = (self.window(score, track, bar) for track, bars in heard for bar in every_bar if bars[bar])
            found = [window for window in at_bars if window is not None]
        return found

    def last_bar(self, score: Score, first_bar: int) -> int:
        """Returns the number of the last bar of the window that starts with bar `first_bar`."""
        end = score.bars[first_bar] + self.quarters
        return max(first_bar, int(np.searchsorted(score.bars, end, "left")) - 1)

    def place(
        self,
        decoded: note_seq.NoteSequence,
        track: Track,
        start: float,
        score: Score,
        result: note_seq.NoteSequence,
    ) -> None:
        """Adds the notes of a decoded window to `result`, as `track` at `start` quarters of the score."""
        for note in decoded.notes:
            first, last = (start + t / _SECONDS_PER_QUARTER for t in (note.start_time, note.end_time))
            if first >= score.end:
                continue
            added = result.notes.add()
            added.CopyFrom(note)
            added.start_time, added.end_time = score.tempo_map.seconds(np.array([first, min(last, score.end)]))
            if self._is_melody:
                added.instrument, added.program = track.number, track.program
                added.pitch = _heard(added.pitch, track.octaves)

    def _notes_in(self, track: Track, start: float) -> List[Note]:
        """Returns the notes that start in the window at `start`, their times in quarters from there.

        A note that is held from before is a rest here, as in magenta's slices; one that is held on is cut.
        """
        first = _step(start, self._steps_per_quarter)
        last = first + _step(self.quarters, self._steps_per_quarter)
        # Notes are in order of start, which is what tuples are compared by: only those near the window are looked at.
        near = [bisect.bisect_left(track.notes, (step / self._steps_per_quarter,)) for step in (first - 1, last + 1)]
        return [
            n._replace(start=max(0.0, n.start - start), end=min(max(0.0, n.end - start), self.quarters))
            for n in track.notes[slice(*near)]
            if first <= _step(n.start, self._steps_per_quarter) < last
        ]

    def _in_range(self, notes: Sequence[Note], transposition: int) -> bool:
        pitches = [n.pitch + transposition for n in notes if not n.is_drum]
        return not pitches or (min(pitches) >= self._pitch_range[0] and max(pitches) <= self._pitch_range[1])

    def _transposed(self, notes: Sequence[Note], transpositions: Sequence[int]) -> List[Tuple[int, Tensors]]:
        """Converts one window's notes at each transposition that makes exactly one tensor."""
        if not self._is_melody or not transpositions:
            done = [(t, self._to_tensors(notes, t)) for t in transpositions]
            return [(t, tensors) for t, tensors in done if tensors is not None]
        # A melody is converted once, as magenta's converter is slow, and its pitches are moved.
        first = self._to_tensors(notes, transpositions[0])
        if first is None:
            return []
        inputs, outputs, length = first
        moved = [(t, t - transpositions[0]) for t in transpositions]
        return [(t, (_moved(inputs, by), _moved(outputs, by), length)) for t, by in moved]

    def _to_tensors(self, notes: Sequence[Note], transposition: int) -> Optional[Tensors]:
        """Converts one window's notes with magenta's converter; None unless they make exactly one tensor."""
        sequence = note_seq.NoteSequence(ticks_per_quarter=note_seq.STANDARD_PPQ)
        sequence.tempos.add(qpm=QPM)
        sequence.time_signatures.add(numerator=QUARTERS_PER_BAR, denominator=4)
        sequence.total_time = self.quarters * _SECONDS_PER_QUARTER
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
        tensors = self._converter.to_tensors(sequence) if notes else None
        if tensors is None or len(tensors.inputs) != 1:
            return None
        return tensors.inputs[0], tensors.outputs[0], tensors.lengths[0]

    def to_note_sequences(
        self, tensors: Sequence[np.ndarray], qpm: float = QPM, program: int = 0, octaves: int = 0
    ) -> List[note_seq.NoteSequence]:
        """Converts decoder outputs [time, output_depth] to NoteSequences.

        Args:
            tensors: The outputs.
            qpm: Tempo in quarters per minute; magenta's converters know 120 only.
            program: General MIDI program, from 0, of melodies; other families have programs of their own.
            octaves: How many octaves lower than the tensors melodies are to sound; see `Track.octaves`.
        """
        sequences = self._converter.from_tensors(tensors)
        for sequence in sequences:
            if not sequence.time_signatures:
                sequence.time_signatures.add(numerator=QUARTERS_PER_BAR, denominator=4)
            for tempo in sequence.tempos:
                tempo.qpm = qpm
            for note in sequence.notes:
                note.start_time *= QPM / qpm
                note.end_time *= QPM / qpm
                if self._is_melody:
                    note.program = program
                    note.pitch = _heard(note.pitch, octaves)
            sequence.total_time *= QPM / qpm
        return sequences
