"""The form of a song: its consecutive windows, and which of them are the same."""

import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

import numpy as np

from lc_music_vae import data
from lc_music_vae.checkpoints import run_dir
from lc_music_vae.encoding import latents, nearness
from lc_music_vae.errors import InputError
from lc_music_vae.music import examples, form
from lc_music_vae.music.likeness import dice
from lc_music_vae.music.source import Song

MIN_NEAR = 0.5  # how much of a half's notes are those of another that is much like it


class SongForm(NamedTuple):
    """The form of a song.

    Attributes:
        name: Name of the song.
        places: Which distinct window stands at each place of it; `form.REST` where no note starts.
        windows: The distinct windows, in order of their first places.
    """

    name: str
    places: Sequence[int]
    windows: Sequence[data.Window]

    def aligned(self, place: int, other: "SongForm") -> List[Tuple[int, int]]:
        """Returns which windows stand beside which of another form that ends where this has `place`, the last first.

        Rests at the other's end do not count; where either rests, there is no pair.
        """
        pairs = zip(self.places[place::-1], other.places[len(other.places) - 1 - other.rests_at_end() :: -1])
        return [(own, theirs) for own, theirs in pairs if form.REST not in (own, theirs)]

    def rests_at_end(self) -> int:
        """Returns how many windows without notes it ends with."""
        return next(i for i, place in enumerate(reversed(self.places)) if place != form.REST)

    def home(self) -> Optional[int]:
        """Returns the pitch class of the song's last note; None for drums."""
        pitch = int(self.windows[self.places[-1]].notes[-1, 2])
        return pitch % 12 if pitch < 128 else None


def of_song(converter: data.WindowConverter, song: Song, flag: str = "--form") -> SongForm:
    """Returns the form of a song's melody, from the first window with a note to the last.

    Args:
        converter: Converts its windows.
        song: The song.
        flag: The flag that named it, for messages.

    Raises:
        InputError: The song has no notes that the config reads.
    """
    score = converter.score(song)
    if not score.tracks:
        raise InputError("%s=%s has no notes that %s reads; give another" % (flag, song.name, converter.music_vae))
    numbers: Dict[bytes, int] = {}
    windows: List[data.Window] = []
    places: List[int] = []
    for _, window in converter.consecutive(score, score.tracks[0]):
        if window is None:
            places.append(form.REST)
            continue
        number = numbers.setdefault(window.inputs[0].tobytes(), len(windows))
        windows += [window] if number == len(windows) else []
        places.append(number)
    heard = [i for i, place in enumerate(places) if place != form.REST]
    if not heard:
        raise InputError("%s=%s has no notes that %s reads; give another" % (flag, song.name, converter.music_vae))
    return SongForm(song.name, places[heard[0] : heard[-1] + 1], windows)


def ending(
    converter: data.WindowConverter, song: Song, *, bars: Optional[Tuple[int, int]] = None, most: int = 1
) -> SongForm:
    """Returns the last windows of a song's melody, or of some of its bars; none is counted twice.

    Args:
        converter: Converts them.
        song: The song.
        bars: First and last bar, from 1; None for the song up to its last note, of which the last `most` windows count.
        most: How many windows to take where no bars are given.

    Raises:
        InputError: The song has no notes there that the config reads, or there are less bars than a window has.
    """
    score = converter.score(song)
    where = "--input_midi_1=%s" % song.name
    if not score.tracks:
        raise InputError("; ".join(("%s holds no notes that %s reads" % (where, converter.music_vae),) + score.remarks))
    track, num_bars = score.tracks[0], len(score.bars) - 1
    if bars is not None and bars[1] > num_bars:
        raise InputError("--input_bars_1=%d-%d: %s has %d bars" % (*bars, song.name, num_bars))
    last_note = int(np.searchsorted(score.bars, track.notes[-1].start, "right")) - 1
    first, end = (0, last_note + 1) if bars is None else (bars[0] - 1, bars[1])
    windows: List[data.Window] = []
    places: List[int] = []
    while len(places) < most or bars is not None:
        starts = [bar for bar in range(first, end) if converter.last_bar(score, bar) == end - 1]
        if not starts:
            break
        end = starts[0]
        window = converter.window(score, track, end)
        places.insert(0, form.REST if window is None else len(windows))
        windows += [] if window is None else [window]
    if not windows:
        said = "%s: no whole window of notes there; take more bars or others" % where
        raise InputError("; ".join((said,) + score.remarks))
    numbers = [place if place == form.REST else len(windows) - 1 - place for place in places]
    return SongForm(song.name, numbers, windows[::-1])


def halves(converter: data.WindowConverter, windows: Sequence[data.Window]) -> List[Tuple[int, int]]:
    """Returns the numbers of the two halves of each window: equal first halves have the same number, so have second.

    Halves in which no note starts are never the same: what a window rests there says nothing of another's rest.
    """
    numbers: Dict[Any, int] = {}
    found = []
    for i, window in enumerate(windows):
        seam = converter.seam(window.time_signature)
        end = converter.bar_steps(window.time_signature) * converter.bars_of(window.time_signature)
        starts = window.notes[:, 0] * converter.steps_per_quarter // data.TICKS_PER_QUARTER
        parts = (window.outputs[:seam], starts < seam), (window.outputs[seam:end], starts >= seam)
        keys = [(side, rows.tobytes() if here.any() else i) for side, (rows, here) in enumerate(parts)]
        first, second = (numbers.setdefault(key, len(numbers)) for key in keys)
        found.append((first, second))
    return found


def near(halves: Sequence[Tuple[int, int]], windows: Sequence[data.Window], seam_ticks: int) -> Dict[int, int]:
    """Returns, for halves that have half of their notes or more from an earlier one, the one that is most like them.

    Args:
        halves: What the function `halves` returned for the windows.
        windows: The windows.
        seam_ticks: Where their second halves begin, in ticks.
    """
    onsets: Dict[int, np.ndarray] = {}
    sides: Dict[int, int] = {}
    found = {}
    for pair, window in zip(halves, windows):
        is_second = window.notes[:, 0] >= seam_ticks
        for side, number in enumerate(pair):
            if number in onsets:
                continue
            own = np.unique(nearness.onsets(window.notes[is_second == bool(side)]))
            others = [other for other in onsets if sides[other] == side]
            alike = dice([own], [onsets[other] for other in others])[0] if others and len(own) else np.zeros(1)
            if alike.max() >= MIN_NEAR:
                found[number] = others[int(alike.argmax())]
            onsets[number], sides[number] = own, side
    return found


def homes(table: latents.Notes) -> List[int]:
    """Returns the pitch classes that songs end on, ascending: of the last notes of their last windows."""
    ends = np.cumsum(table.lengths)
    found = set()
    for song in set(table.songs):
        of_song = np.flatnonzero((table.songs == song) & (table.lengths > 0))
        if len(of_song):
            last = of_song[np.argmax(table.bars[of_song, 1])]
            found.add(int(table.notes[ends[last] - 1, 2]) % 12)
    return sorted(found)


def is_file(form: str) -> bool:
    """Returns whether a form is given by a file that is there."""
    return os.path.exists(os.path.expanduser(form))


def find(wanted: Optional[str], run_path: Optional[str], key: Sequence[int]) -> Song:
    """Returns the song that gives the form: a music file, a training song by its name, or one that is drawn.

    Args:
        wanted: Path or name; of a song in a file of several, the file's name and what tells them apart, as in
            tunes.abc#12. None to draw one of the training songs.
        run_path: The run's folder, if it is known.
        key: Key of what is drawn.

    Raises:
        InputError: There is no such song.
    """
    if wanted is not None and is_file(wanted):
        return examples.read_one(os.path.abspath(os.path.expanduser(wanted)))
    paths = [path for path in _training_songs(run_path) if os.path.exists(path)]
    if wanted is None:
        if not paths:
            raise InputError(
                "--form is needed, as the songs that this model was trained on are not here: a music file, or letters "
                "such as AABA"
            )
        random = np.random.RandomState(list(key))
        return _drawn(paths[random.randint(len(paths))], random)
    for path in paths:
        name = os.path.basename(path)
        if wanted in (name, os.path.splitext(name)[0]):
            return examples.read_one(path)
        if wanted.startswith(name + "#"):
            named = [song for song in examples.sources(path) if os.path.basename(song.name) == wanted]
            if named:
                return examples.load(named[0])
    raise InputError(
        "--form=%s is no music file, no song that was trained on and is still there, and no letters; give one of "
        "these, such as --form=AABA" % wanted
    )


def some(wanted: Optional[str], run_path: Optional[str], key: Sequence[int], *, most: int) -> List[Song]:
    """Returns the songs whose forms can be gone on with: one that is wanted, as `find` does, else some that are drawn.

    Args:
        wanted: Path or name; None to draw training songs.
        run_path: The run's folder, if it is known.
        key: Key of what is drawn.
        most: How many to draw.

    Raises:
        InputError: There is no such song.
    """
    paths = [] if wanted is not None else [path for path in _training_songs(run_path) if os.path.exists(path)]
    if not paths:
        return [find(wanted, run_path, key)]
    random = np.random.RandomState(list(key))
    order = random.permutation(len(paths))
    return [_drawn(paths[i], random) for i in sorted(order[:most])]


def _drawn(path: str, random: np.random.RandomState) -> Song:
    """Draws one of a file's songs, of those that can be read."""
    songs = list(examples.sources(path))
    *others, last = random.permutation(len(songs))
    for i in others:
        try:
            return examples.load(songs[i])
        except InputError:
            continue
    return examples.load(songs[last])


def _training_songs(run_path: Optional[str]) -> List[str]:
    """Returns the paths that a run's songs were read from."""
    folder: Any = run_dir.at(run_path) if run_path else None
    run = folder.read() if folder else None
    return [song.path for song in folder.kept(run).songs] if run else []
