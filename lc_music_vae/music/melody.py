"""Chooses which of a song's tracks is its melody.

A track whose name says that it is the melody is chosen first; else the track whose notes most often sound alone, in
most of the bars. If the only track of a song is polyphonic, `note_seq.infer_melody_for_sequence` looks for its melody
line. If that fails, the highest notes are taken, as magenta's converters do.

Measured on POP909 with the track names removed, see `benchmarks/melody_tracks.py`.
"""

import bisect
import re
from typing import Dict, List, Sequence, Tuple

import note_seq
import numpy as np

from lc_music_vae.errors import InputError
from lc_music_vae.music.score import Track
from lc_music_vae.music.source import ALL, AUTO
from lc_music_vae.music.style import QUARTERS_PER_BAR

_NAMED = re.compile(r"melod|vocal|voice|\blead\b|\btune\b|\bsing", re.IGNORECASE)
_ALONE = 0.5  # if a smaller share of its notes sounds alone, a track is accompaniment, or the whole song
_SAME = 1e-6  # quarters
_LEGATO = 0.2  # quarters that notes may overlap and still sound alone


def choose(tracks: Sequence[Track], wanted: str = AUTO) -> Tuple[List[Track], str]:
    """Chooses the tracks that windows are cut from.

    Args:
        tracks: All tracks of a song that are not drums, notes in order of start.
        wanted: `source.AUTO`, `source.ALL`, or a track's number or name.

    Returns:
        The tracks, and in a few words why these were chosen.

    Raises:
        InputError: There is no track called `wanted`.
    """
    if wanted == ALL or not tracks:
        return list(tracks), "all tracks"
    if wanted != AUTO:
        return [_called(wanted, tracks)], "as asked"
    track, why = _most_like_a_melody(tracks)
    return [track], why


def _called(wanted: str, tracks: Sequence[Track]) -> Track:
    """Returns the first track with this number or name."""
    for track in tracks:
        if wanted in (str(track.number), track.name):
            return track
    raise InputError("--melody_track=%s: its tracks are %s" % (wanted, ", ".join(t.label() for t in tracks)))


def _most_like_a_melody(tracks: Sequence[Track]) -> Tuple[Track, str]:
    """Returns the track that is most likely the melody, or the melody line in it, and why."""
    named = [track for track in tracks if _NAMED.search(track.name)]
    if named:
        return named[0], "by its name"
    best = max(tracks, key=lambda track: alone(track) * _bars_played(track))
    if alone(best) >= _ALONE:
        return best, "the only track" if len(tracks) == 1 else "sounds alone most"
    try:
        return _inferred(best), "inferred from chords"
    except note_seq.MelodyInferenceError:
        return best, "highest notes"


def alone(track: Track) -> float:
    """Returns the share of a track's notes that sound without other notes of the track; a little legato is allowed."""
    starts = np.array([n.start for n in track.notes])
    ends = np.array([n.end for n in track.notes])
    last_end = np.append(-np.inf, np.maximum.accumulate(ends)[:-1])
    next_start = np.append(starts[1:], np.inf)
    return float(np.mean((last_end <= starts + _LEGATO) & (next_start >= ends - _LEGATO)))


def _bars_played(track: Track) -> int:
    """Returns the number of bars (of four quarters) in which a note starts."""
    return len({int(n.start // QUARTERS_PER_BAR) for n in track.notes})


def _inferred(track: Track) -> Track:
    """Returns the melody line that note_seq finds in a polyphonic track."""
    sequence = note_seq.NoteSequence()
    for n in track.notes:
        sequence.notes.add(pitch=n.pitch, velocity=n.velocity, start_time=n.start, end_time=n.end)
    sequence.total_time = max(n.end for n in track.notes)
    instrument = note_seq.infer_melody_for_sequence(sequence)
    # note_seq returns notes that it has split and joined. The original notes are those that start where it finds one.
    heard: Dict[int, List[float]] = {}
    for note in sorted((n for n in sequence.notes if n.instrument == instrument), key=lambda n: n.start_time):
        heard.setdefault(note.pitch, []).append(note.start_time)
    notes = tuple(n for n in track.notes if _holds(heard.get(n.pitch, []), n.start))
    return track._replace(notes=notes) if notes else track


def _holds(times: Sequence[float], time: float) -> bool:
    """Returns whether `time` is one of `times` (ascending), up to rounding."""
    i = bisect.bisect_left(times, time - _SAME)
    return i < len(times) and times[i] <= time + _SAME
