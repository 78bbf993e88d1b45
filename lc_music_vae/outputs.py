"""What a generate run leaves in its folder: MIDI files, their sound, one sheet of piano rolls, and an index of it all.

Needs no TensorFlow until something is written. MIDI files, sound and pictures are never overwritten; `index.json` lists
all runs that wrote to the folder, the oldest first, and `index.html` shows them.
"""

import os
import re
import time
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from lc_music_vae import audio, files, interrupts, page
from lc_music_vae.errors import InputError

_FORMAT = 1


class Output(NamedTuple):
    """Something that was generated.

    Attributes:
        title: What it is called on the sheet.
        note_sequence: Its notes.
        latent: The point of the small latent that it was decoded from, if it is one.
        nearest: The `nearness.Nearest` training window, where that is known.
    """

    title: str
    note_sequence: Any
    latent: Optional[Sequence[float]] = None
    nearest: Optional[Any] = None


def make_folder(path: str) -> str:
    """Makes the folder `path` if it is not there, and returns it as an absolute path.

    Raises:
        InputError: It cannot be made or written to, or holds an index or a page that is somebody else's.
    """
    folder = os.path.abspath(os.path.expanduser(path))
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as e:
        raise InputError("--output_dir=%s cannot be made: %s" % (path, e.strerror)) from e
    if not os.access(folder, os.W_OK):
        raise InputError("--output_dir=%s cannot be written to; choose another" % path)
    _read_index(folder)
    page.check(folder)
    return folder


def _read_index(folder: str) -> Dict[str, Any]:
    path = os.path.join(folder, page.INDEX)
    try:
        index = files.read_json(path)
    except ValueError:
        index = "damaged"
    if index is None:
        return {"format": _FORMAT, "runs": []}
    if not isinstance(index, dict) or index.get("format") != _FORMAT or not isinstance(index.get("runs"), list):
        raise InputError("%s: not an index of generated files; move it away or choose another --output_dir" % path)
    return index


def write(
    folder: str,
    config: str,
    mode: str,
    outputs: Sequence[Output],
    sheet: Any,
    settings: Dict[str, Any],
    engine: Optional[audio.Engine] = None,
) -> List[str]:
    """Writes the MIDI files of a run, their sound, its sheet, its entry in the index, and the page.

    Args:
        folder: As `make_folder` returned it.
        config: Name in the registry.
        mode: The generate mode.
        outputs: What was generated, in order.
        sheet: Its picture, a `PIL.Image.Image`.
        settings: What else the index records of the run.
        engine: What renders each output as WAV; None is no sound.

    Returns:
        Paths of the MIDI files, and of the picture.
    """
    with files.all_or_none() as created:
        paths = write_midi([o.note_sequence for o in outputs], folder, "%s_%s" % (config, mode))
        created += paths
        picture = re.sub(r"-000-of-\d+\.mid$", ".png", paths[0])
        with interrupts.postponed(), files.creating(picture) as temporary:  # a large one is one long call
            sheet.save(temporary, format="PNG")
        created.append(picture)
        run = dict(
            settings,
            mode=mode,
            config=config,
            written=re.search(r"_(\d{4}-\d\d-\d\d_\d{6})\.png$", picture).group(1),
            picture=os.path.basename(picture),
            outputs=[_entry(output, path, engine) for output, path in zip(outputs, paths)],
        )
        with files.locked(folder):
            index = _read_index(folder)
            index["runs"].append(run)
            files.write_json(os.path.join(folder, page.INDEX), index)
    # From here on the run is listed: nothing of it is taken back.
    if engine:
        for output, path in zip(outputs, paths):
            audio.render(output.note_sequence, _sound(path), engine)
    with files.locked(folder):
        page.write(folder)
    return paths + [picture]


def _entry(output: Output, path: str, engine: Optional[audio.Engine]) -> Dict[str, Any]:
    nearest = output.nearest and dict(output.nearest._asdict(), song=os.path.basename(output.nearest.song))
    latent = None if output.latent is None else [round(float(x), 4) for x in output.latent]
    entry = {"file": os.path.basename(path), "title": output.title, "latent": latent, "nearest": nearest}
    return dict(entry, audio=os.path.basename(_sound(path))) if engine else entry


def _sound(path: str) -> str:
    """Returns the path of the WAV that belongs to a MIDI file."""
    return os.path.splitext(path)[0] + ".wav"


def write_midi(sequences: Sequence[Any], folder: str, stem: str) -> List[str]:
    """Writes MIDI files named as Magenta names them; moves on by a second rather than overwrite one."""
    import note_seq

    n = len(sequences)
    now = time.time()
    while True:
        stamp = time.strftime("%Y-%m-%d_%H%M%S", time.localtime(now))
        paths = [os.path.join(folder, "%s_%s-%03d-of-%03d.mid" % (stem, stamp, i, n)) for i in range(n)]
        others = [_sound(path) for path in paths] + ["%s_%s.png" % (os.path.join(folder, stem), stamp)]
        if not any(map(os.path.exists, paths + others)):
            break
        now += 1
    with files.all_or_none() as created:
        for sequence, path in zip(sequences, paths):
            # note_seq's own function leaves the file to be closed by chance, and is silent where a disk is full.
            with files.creating(path) as temporary, open(temporary, "wb") as f:
                note_seq.note_sequence_to_pretty_midi(sequence).write(f)
            created.append(path)
    return paths


def pattern(paths: Sequence[str]) -> str:
    """Returns one name for all of a run's MIDI files."""
    return paths[0] if len(paths) == 1 else re.sub(r"-000-of-(\d+)\.mid$", r"-*-of-\1.mid", paths[0])
