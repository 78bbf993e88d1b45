"""The page to look at and listen to what was generated: `index.html`, one file, made from `index.json`.

Pictures and notes are inside it, so that it works offline, opened as a file. What the page does is in `page.html`.
"""

import base64
import json
import logging
import math
import os
import re
from typing import Any, Dict, List, Optional

from lc_music_vae import examples, files
from lc_music_vae.errors import InputError

logger = logging.getLogger(__name__)

INDEX = "index.json"
PAGE = "index.html"
_MARK = b'<meta name="generator" content="lc_music_vae">'
_TEMPLATE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "page.html")


def check(folder: str) -> None:
    """Raises an `InputError` if there is an `index.html` in `folder` that is somebody else's."""
    path = os.path.join(folder, PAGE)
    if os.path.exists(path):
        with open(path, "rb") as f:
            if _MARK not in f.read(1000):
                raise InputError(
                    "%s: not a page of generated files; move it away or choose another --output_dir" % path
                )


def write(folder: str) -> str:
    """Writes `index.html` of a folder of generated files, newest run first, and returns its path.

    Files that `index.json` lists and that are gone are left out; so are MIDI files that cannot be read, with a warning.
    """
    index = files.read_json(os.path.join(folder, INDEX)) or {"runs": []}
    runs = [_run(folder, run) for run in reversed(index["runs"])]
    shown = json.dumps([run for run in runs if run["outputs"]], separators=(",", ":"))
    with open(_TEMPLATE, encoding="utf-8") as f:
        template = f.read()
    path = os.path.join(folder, PAGE)
    with files.replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as f:
        # Without a `<`, nothing in a name can end the script element that the JSON stands in.
        f.write(template.replace("@RUNS@", shown.replace("<", "\\u003c")))
    return path


def _run(folder: str, run: Dict[str, Any]) -> Dict[str, Any]:
    """Returns what the page shows of a run."""
    outputs = [_output(folder, output) for output in run["outputs"]]
    return {
        "mode": run["mode"],
        "config": run["config"],
        "date": re.sub(r"^(.{10})_(\d\d)(\d\d)\d\d$", r"\1 \2:\3", run["written"]),
        "seed": run["seed"],
        "temperature": run["temperature"],
        "inputs": run.get("inputs", []),
        "similarity": run.get("similarity"),
        "picture": _picture(folder, run["picture"]),
        "outputs": [output for output in outputs if output],
    }


def _output(folder: str, output: Dict[str, Any]) -> Optional[Dict[str, Any]]:
    """Returns what the page shows of an output and its notes in seconds; None if there is no file to show."""
    path = os.path.join(folder, output["file"])
    if not os.path.isfile(path):
        return None
    try:
        (song,) = examples.read(path)
    except InputError as e:
        logger.warning("%s leaves out %s", PAGE, e)
        return None
    shown = {key: output.get(key) for key in ("file", "title", "latent", "nearest", "audio")}
    if shown["audio"] and not os.path.isfile(os.path.join(folder, shown["audio"])):
        shown["audio"] = None
    bars = _bars(song.note_sequence)
    notes = sorted(
        [round(n.start_time, 4), round(n.end_time, 4), n.pitch, n.velocity, n.is_drum] for n in song.note_sequence.notes
    )
    return dict(shown, notes=notes, bars=bars, seconds=bars[-1])


def _bars(sequence: Any) -> List[float]:
    """Returns the seconds at which bars begin, and at which the last one ends."""
    import numpy as np

    from lc_music_vae import data

    tempo_map = data.TempoMap(sequence.tempos)
    end = max([0.0] + [note.end_time for note in sequence.notes])
    count = max(1, math.ceil(float(tempo_map.quarters(end)) / data.QUARTERS_PER_BAR - 1e-3))
    return [round(float(s), 4) for s in tempo_map.seconds(data.QUARTERS_PER_BAR * np.arange(count + 1.0))]


def _picture(folder: str, name: Optional[str]) -> Optional[str]:
    """Returns a PNG as a data URI, None if it is gone."""
    try:
        with open(os.path.join(folder, name or ""), "rb") as f:
            return "data:image/png;base64," + base64.b64encode(f.read()).decode("ascii")
    except (FileNotFoundError, IsADirectoryError):
        return None
