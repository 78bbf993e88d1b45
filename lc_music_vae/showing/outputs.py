"""Writes the files of a generate run: MIDI files, their sound, one sheet of piano rolls, and an index of all of them.

Needs no TensorFlow until a file is written. MIDI files, sound and pictures are never overwritten. `index.json` lists
all runs that wrote to the folder, the oldest first, and `index.html` shows them.
"""

import contextlib
import io
import logging
import os
import time
from typing import Any, Callable, ContextManager, Dict, Iterable, List, Mapping, NamedTuple, Optional, Sequence

from lc_music_vae.errors import InputError
from lc_music_vae.showing import audio, index, midi_file, page
from lc_music_vae.system import files, interrupts

logger = logging.getLogger(__name__)

_STAMP, _STAMP_LENGTH = "%Y-%m-%d_%H%M%S", len("2020-12-31_235959")  # time of writing, in a file's name


class Output(NamedTuple):
    """A generated output.

    Attributes:
        title: Its title on the sheet.
        note_sequence: Its notes.
        latent: The point of the small latent that it was decoded from, if there is one.
        nearest: The `nearness.Nearest` training window, if known.
        detail: How much of what the small latent leaves out of each input is in it; empty if nothing is.
        same_bars: The `same_bars.SameBar`s of the training songs in it.
        as_given: Whether it is nearly the bars of an input.
        flag: The flag that takes these bars, if they are bars to choose from.
        tune: How it was composed, if it is a whole tune, as the index has it.
        is_turned: Whether a knob was turned for it.
        form: The bars that gave it its form, if it is a tune and a song did.
    """

    title: str
    note_sequence: Any
    latent: Optional[Sequence[float]] = None
    nearest: Optional[Any] = None
    detail: Sequence[float] = ()
    same_bars: Sequence[Any] = ()
    as_given: bool = False
    flag: Optional[str] = None
    tune: Optional[Dict[str, Any]] = None
    is_turned: bool = False
    form: Optional["Bars"] = None

    def place(self) -> str:
        """Returns the flag that gives its music again; "" if its point alone does not, for its detail or a knob."""
        if self.latent is None or self.is_turned or any(self.detail):
            return ""
        return "--latent=" + ",".join("%.2f" % x for x in self.latent)


class Run(NamedTuple):
    """The run that outputs come from.

    Attributes:
        config: Name in the registry.
        mode: The generate mode.
        settings: Other values of the run in its `index.RunRecord`.
        given: The bars that it was given.
    """

    config: str
    mode: str
    settings: Dict[str, Any]
    given: Sequence["Bars"] = ()


class Bars(NamedTuple):
    """Bars that a run was given, or that gave it a form.

    Attributes:
        title: What they are, such as "bars 5-6 of song.mid".
        number: Which input they are, from 1; a form is before all outputs, too.
        note_sequence: Their notes.
    """

    title: str
    number: int
    note_sequence: Any


class Format(NamedTuple):
    """A format in which an output can be written in addition to its MIDI file.

    Attributes:
        ending: The ending of its file's name.
        write: Function of the NoteSequence, the path of the file to create, and how to write it: the value in the
            `formats` argument of the function `write`.
    """

    ending: str
    write: Callable[[Any, str, Any], None]


# Keys are the names of the fields of `index.OutputRecord`.
FORMATS = {"audio": Format(".wav", audio.render)}


def make_folder(path: str) -> str:
    """Makes the folder `path` if it does not exist, and returns its absolute path.

    Incomplete files that killed commands left in it are removed.

    Raises:
        InputError: It cannot be made or written to, or has an index or a page that is not from this toolkit.
    """
    folder = os.path.abspath(os.path.expanduser(path))
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as e:
        raise InputError("--output_dir=%s cannot be made: %s" % (path, e.strerror)) from e
    if not os.access(folder, os.W_OK):
        raise InputError("--output_dir=%s cannot be written to; choose another" % path)
    index.check(folder)
    page.check(folder)
    files.tidy(folder)
    return folder


def write(
    folder: str,
    run: Run,
    outputs: Sequence[Output],
    *,
    sheet: Any,
    formats: Optional[Mapping[str, Any]] = None,
) -> List[str]:
    """Writes the MIDI files of a run, the files in other formats, its sheet, its entry in the index, and the page.

    Args:
        folder: The path that `make_folder` returned.
        run: The run that the outputs come from.
        outputs: The generated outputs, in order.
        sheet: Their picture, a `PIL.Image.Image`.
        formats: The other formats to write: names in `FORMATS`, and how to write each; for "audio" the engine.

    Returns:
        Paths of the MIDI files, and of the picture.
    """
    formats = formats or {}
    png = io.BytesIO()
    with interrupts.postponed():  # a large picture is one long call
        sheet.save(png, format="PNG")
    with files.all_or_none() as created:
        created += _create([o.note_sequence for o in outputs], folder, "%s_%s" % (run.config, run.mode), png.getvalue())
        *paths, picture = created
        record = index.RunRecord(
            config=run.config,
            mode=run.mode,
            written=os.path.splitext(picture)[0][-_STAMP_LENGTH:],
            picture=os.path.basename(picture),
            outputs=[_record(output, path, formats) for output, path in zip(outputs, paths)],
            given=[_given(bars) for bars in run.given],
            **run.settings,
        )
        with _alone_in(folder):
            index.add(folder, record)
    # From here on the run is in the index, so none of its files is removed.
    for name, how in formats.items():
        for output, path in zip(outputs, paths):
            FORMATS[name].write(output.note_sequence, _beside(path, FORMATS[name]), how)
    with _alone_in(folder):
        page.write(folder, {os.path.basename(path): output.note_sequence for output, path in zip(outputs, paths)})
    return paths + [picture]


def _alone_in(folder: str) -> ContextManager[None]:
    """Prevents other commands from writing to the folder's index and page while the block runs."""
    said = "waiting for another command that writes to %s; Ctrl-C stops this one"
    return files.locked(folder, lambda: logger.info(said, folder))


def _record(output: Output, path: str, formats: Iterable[str]) -> index.OutputRecord:
    nearest = output.nearest and dict(output.nearest._asdict(), song=index.text(os.path.basename(output.nearest.song)))
    return index.OutputRecord(
        os.path.basename(path),
        index.text(output.title),
        latent=None if output.latent is None else _rounded(output.latent),
        nearest=nearest,
        detail=_rounded(output.detail) if any(output.detail) else None,
        flag=output.flag,
        tune=output.tune,
        same_bars=[(bar, index.text(os.path.basename(song)), of) for bar, song, of in output.same_bars] or None,
        **{name: os.path.basename(_beside(path, FORMATS[name])) for name in formats},
    )


def _given(bars: Bars) -> index.GivenRecord:
    return index.GivenRecord(index.text(bars.title), bars.number, page.heard(bars.note_sequence, bars.title))


def _rounded(numbers: Iterable[float]) -> List[float]:
    return [round(float(x), 4) for x in numbers]


def _beside(path: str, other: Format) -> str:
    """Returns the path of a MIDI file's version in another format."""
    return os.path.splitext(path)[0] + other.ending


def _create(sequences: Sequence[Any], folder: str, stem: str, png: bytes) -> List[str]:
    """Writes MIDI files with Magenta's file names, and their picture, all or none; returns their paths.

    Uses a time one second later if a file with one of the names exists.

    Raises:
        InputError: They cannot be written, or MIDI cannot represent one of them.
    """
    contents = [midi_file.content(sequence) for sequence in sequences]
    n = len(contents)
    now = time.time()
    while True:
        stamped = "%s_%s" % (os.path.join(folder, stem), time.strftime(_STAMP, time.localtime(now)))
        paths = ["%s-%03d-of-%03d.mid" % (stamped, i, n) for i in range(n)]
        new = dict(zip(paths, contents))
        new[stamped + ".png"] = png
        others = [_beside(path, other) for other in FORMATS.values() for path in paths]
        if not any(map(os.path.exists, [*new, *others])):
            # Another command may take one of the names at the same moment.
            with contextlib.suppress(FileExistsError), files.all_or_none() as created:
                for path, content in new.items():
                    with files.creating(path) as temporary, open(temporary, "wb") as f:
                        f.write(content)
                    created.append(path)
                return created
        now += 1
