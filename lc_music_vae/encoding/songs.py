"""Turns music files into windows: songs are read, normalised and cut, in order.

If there are many songs, worker processes read them. The result is the same.
"""

import contextlib
import functools
import itertools
from typing import Any, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence

import numpy as np

from lc_music_vae import data
from lc_music_vae.checkpoints.shards import MadeWith, Row
from lc_music_vae.configs import CONFIG_MAP
from lc_music_vae.errors import InputError, printable
from lc_music_vae.music import examples, metre, tfds
from lc_music_vae.music.score import Score, Track
from lc_music_vae.music.style import QUARTERS_PER_BAR
from lc_music_vae.options import WHOLE, Reading
from lc_music_vae.system import parallel, progress

_SONGS_HERE = 256  # up to this many songs are read in less time than workers need to start
_TRIED = 64  # songs of a data set, before all are read: more than half of Groove's takes are fills of a bar
_OF_DRUMS = "lc-cat-drums_2bar_small"  # whose MusicVAE ships


class _Job(NamedTuple):
    """A song to convert: the number of its shard, the number of its file, and its source."""

    shard: int
    file: int
    source: examples.Source


class Converted(NamedTuple):
    """A converted song: its job's numbers, its row and windows, its tempo, and its tracks by number."""

    shard: int
    file: int
    row: Row
    windows: Sequence[data.Window] = ()
    qpm: str = ""
    tracks: Optional[Dict[int, Track]] = None


@functools.lru_cache(maxsize=1)
def window_converter(made_with: MadeWith) -> data.WindowConverter:
    """Returns the converter, which is made once per process.

    Raises:
        InputError: The config is of a kind for which no song can be read.
    """
    reading = Reading(made_with.melody_track, made_with.metre)
    return data.WindowConverter(made_with.music_vae, reading)


def check_kind(paths: Iterable[str], made_with: MadeWith) -> None:
    """Raises an `InputError` if none of the first songs of a data set gives a window, before minutes are spent on all.

    The songs of a data set are of one kind. Other files are not looked at.
    """
    path = next(filter(tfds.is_shard, paths), None)
    if path is None:
        return
    rows = []
    for source in itertools.islice(examples.sources(path), _TRIED):
        rows.append(_convert(made_with._replace(part=WHOLE), _Job(0, 0, source)).row)
        if rows[-1].slices:
            return
    if len(rows) == _TRIED:
        raise InputError(
            "%s: none of its first %d songs gives %s a window; the first: %s: %s"
            % (path, _TRIED, made_with.music_vae, rows[0].path.rpartition("#")[2], rows[0].reason)
        )


def _convert(made_with: MadeWith, job: _Job) -> Converted:
    """Reads a song and cuts it into windows, in this process or in another."""
    converter = window_converter(made_with)
    try:
        score = converter.score(examples.load(job.source))
    except InputError as e:  # not readable, or without the track that was asked for
        return Converted(job.shard, job.file, Row(printable(job.source.name), 0, "", str(e)))
    windows = converter.windows(score, made_with.transpositions, made_with.part)
    qpm = "%.2f" % score.tempo_map.main_qpm(score.bars[-1])
    tracks = {track.number: track._replace(notes=()) for track in score.tracks}
    row = _row(score, windows, converter)
    if not windows and made_with.part != WHOLE and converter.windows(score):
        reason = "no %d bars together within %d to %d %% of it" % (converter.bars, *(100 * x for x in made_with.part))
        row = row._replace(reason=reason)
    return Converted(job.shard, job.file, row, windows, qpm, tracks)


def _lost(job: _Job, why: str) -> Converted:
    """Returns the result for a song whose process was ended."""
    name = printable(job.source.name)
    return Converted(job.shard, job.file, Row(name, 0, "", "%s: %s" % (name, why)))


def _jobs(pieces: Dict[int, Sequence[str]]) -> Iterator[_Job]:
    """Yields the songs of the files of each shard."""
    file = 0
    for shard, paths in pieces.items():
        for path in paths:
            for source in examples.sources(path):
                yield _Job(shard, file, source)
            file += 1


def _row(score: Score, windows: Sequence[data.Window], converter: data.WindowConverter) -> Row:
    """Returns a song's row in the table of examples: how many windows of which tracks, and what was left out."""
    used = {w.track for w in windows}
    tracks = ", ".join(track.label() for track in score.tracks if track.number in used)
    if tracks:
        tracks += " (%s)" % score.choice
    return Row(score.name, len(windows), tracks, _reason(score, windows, converter))


def _reason(score: Score, windows: Sequence[data.Window], converter: data.WindowConverter) -> str:
    """Returns why a song has no windows, or how it was used, in words."""
    if not score.notes:
        return "no notes"
    if not score.tracks:
        only_drums = converter.reads != "drums" and all(note.is_drum for note in score.notes)
        hint = ("--config=%s reads its drums" % _OF_DRUMS,) if only_drums else ()
        return "; ".join(("no notes that this config reads", *hint, *score.remarks))
    bars = metre.bars_held(score.metres[0].quarters, converter.quarters)
    if not windows and np.ceil(score.bars[-1] / QUARTERS_PER_BAR) < converter.bars:
        said = "too short: %d of %d bars" % (len(score.bars) - 1, bars)
        return "; ".join([said] + _other_configs(score, converter))
    if not windows and any(converter.metre_allows(score, bar) for bar in score.bars[:-1]):
        said = "no %s %s" % (metre.in_words(bars), converter.fitting)
        return "; ".join([said] + _other_configs(score, converter) + list(score.remarks))
    return "; ".join(score.remarks)


def _other_configs(score: Score, converter: data.WindowConverter) -> List[str]:
    """Returns, in words, the configs with shorter windows that fit the song; nothing if there are none."""
    others = {name: converter.like(entry.music_vae) for name, entry in CONFIG_MAP.items()}
    fit = [
        "--config=" + name
        for name, other in others.items()
        if other.takes_parts_of(converter) and other.bars < converter.bars and _has_windows(other.fitted(score), other)
    ]
    return [" or ".join(fit) + " would read it"] if fit else []


def _has_windows(score: Score, converter: data.WindowConverter) -> bool:
    return any(converter.first_bars(track, score) for track in score.tracks)


@contextlib.contextmanager
def reading(
    pieces: Dict[int, Sequence[str]], made_with: MadeWith, workers: Optional[int]
) -> Iterator[Iterator[Converted]]:
    """Yields the songs of the files of each shard, converted, in order; shows the progress.

    Args:
        pieces: Music files, by the number of the shard that their latents go to.
        made_with: How windows are made.
        workers: Processes that read; 0 means only this process, None means one per core if there are many songs.
    """
    num_files = sum(map(len, pieces.values()))
    jobs = _jobs(pieces)
    if workers is None:
        first = list(itertools.islice(jobs, _SONGS_HERE + 1))
        jobs = itertools.chain(first, jobs)
        workers = parallel.cores() if len(first) > _SONGS_HERE and parallel.cores() > 1 else 0

    with parallel.ordered_map(workers) as ordered, progress.bar("reading", num_files, "file") as bar:
        yield _counted(ordered(functools.partial(_convert, made_with), jobs, _lost), bar)


def _counted(songs: Iterable[Converted], bar: Any) -> Iterator[Converted]:
    """Yields the songs, and counts their files and windows on a progress bar."""
    windows = 0
    for song in songs:
        windows += len(song.windows)
        bar.set_postfix_str("%d windows" % windows, refresh=False)
        bar.update(song.file + 1 - bar.n)
        yield song
