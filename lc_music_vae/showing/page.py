"""The page that shows and plays the outputs: `index.html`, one file, made from `index.json`.

It contains the pictures and notes, so that it works offline, opened as a file. The code of the page is in `page.html`;
its voices are in `play/`, as they are those of the page that plays a model. It includes only values that `index`
accepts, and regular files of the folder whose content matches their names.
"""

import base64
import hashlib
import json
import logging
import math
import os
import re
import time
from typing import Any, Dict, List, NamedTuple, Optional

from lc_music_vae.errors import InputError, printable
from lc_music_vae.music import examples
from lc_music_vae.showing import index
from lc_music_vae.showing.index import INDEX, Heard, OutputRecord, RunRecord
from lc_music_vae.system import files

logger = logging.getLogger(__name__)

PAGE = "index.html"
_MARK = b'<meta name="generator" content="lc_music_vae">'
_HERE = os.path.dirname(os.path.abspath(__file__))
_DATA = re.compile(rb'<script type="application/json" id="runs">([^<]*)</script>')
_MAX_SHOWN = 1000  # outputs; a browser draws them in less than a second
_MAX_BARS = 5000  # of one output, of four quarters each
_SAME = 0.004  # quarters that a last bar is longer by where times are rounded
_MAX_PICTURES = 32 << 20  # bytes, of all pictures
_MAX_SECONDS = 20  # for reading MIDI files; files that are already in the page are not read again
_MAX_TOLD = 3  # messages about skipped files
_MAX_PAGE = 64 << 20


class _Kind(NamedTuple):
    """A kind of file: its name, its first bytes, and its largest size in bytes."""

    name: str
    begins: "re.Pattern"
    max_bytes: int


_MIDI = _Kind("MIDI", re.compile(rb"MThd"), 4 << 20)
_PNG = _Kind("PNG", re.compile(rb"\x89PNG\r\n\x1a\n"), 8 << 20)
_WAV = _Kind("WAV", re.compile(rb"RIFF....WAVE", re.DOTALL), 4 << 30)
_HEAD = 12


def check(folder: str, name: str = PAGE) -> None:
    """Raises an `InputError` if `folder` has a page of this name that is not from this toolkit."""
    path = os.path.join(folder, name)
    try:
        with files.opened(path, follow=False) as f:
            is_ours = _MARK in f.read(1000)
    except FileNotFoundError:
        return
    except OSError:
        is_ours = False
    if not is_ours:
        raise InputError("%s: not a page of generated files; move it away or choose another --output_dir" % path)


def source(*names: str) -> str:
    """Returns the text of a file of the pages: its name, after those of the folders that it is in."""
    with open(os.path.join(_HERE, *names), encoding="utf-8") as f:
        return f.read()


def filled(template: str, parts: Dict[str, str]) -> str:
    """Returns a template with `@NAME@` replaced by its part; what looks like this within a part stays."""
    return re.sub("@(%s)@" % "|".join(parts), lambda mark: parts[mark.group(1)], template)


def in_script(value: Any) -> str:
    """Returns JSON for a script element: without a `<`, no text in a name can end the element."""
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def write(folder: str, played: Optional[Dict[str, Any]] = None) -> str:
    """Writes `index.html` of a folder of generated files, newest run first, and returns its path.

    Files that `index.json` lists but that no longer exist are skipped. Files that are damaged, too large or not regular
    files of this folder are skipped too, with a one-line message.

    Args:
        folder: The folder of the files.
        played: NoteSequences that were just written, by the names of their files. These files need not be read.

    Raises:
        InputError: The existing index or page is not from this toolkit, or the page cannot be written.
    """
    check(folder)
    runs, faults = index.read(folder)
    maker = _Maker(folder, played or {}, faults)
    shown = [maker.run(run) for run in reversed(runs)]
    left = sum(len(run.outputs) for run in runs) - maker.looked_at
    if faults:
        more = "; and %d more" % (len(faults) - _MAX_TOLD) if len(faults) > _MAX_TOLD else ""
        logger.warning("%s leaves out %s%s", PAGE, "; ".join(map(printable, faults[:_MAX_TOLD])), more)
    said = f'<p class="soft">The newest {maker.shown:,} are shown here; {INDEX} lists {left:,} more.</p>\n'
    parts = {
        "LEFT": said if left else "",
        "RUNS": in_script([run for run in shown if run["outputs"]]),
        "CODE": "".join(source("play", name) for name in ("elements.js", "voices.js", "files.js")),
    }
    path = os.path.join(folder, PAGE)
    with files.replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as f:
        f.write(filled(source("page.html"), parts))
    return path


class _Maker:
    """Collects the contents of the page, run by run, the newest first, up to the limits above."""

    def __init__(self, folder: str, played: Dict[str, Any], faults: List[str]):
        self._folder, self._played, self._faults = folder, played, faults
        self._known = _known(folder)
        self._marks, self._pictures = index.MAX_MARKS, _MAX_PICTURES
        self._seconds = float(_MAX_SECONDS)
        self.looked_at = self.shown = self._faulty = 0

    def run(self, run: RunRecord) -> Dict[str, Any]:
        """Returns the page's data for a run, without outputs if a limit is reached."""
        outputs = []
        for record in run.outputs:
            if self.shown + self._faulty == _MAX_SHOWN or self._marks <= 0:
                break
            self.looked_at += 1
            try:
                made = self._output(record)
                self.shown += len(made)
                outputs += made
            except InputError as e:
                self._faulty += 1
                self._faults.append(str(e))
        shown = dict(run._asdict(), date=re.sub(r"^(.{10})_(\d\d)(\d\d)\d\d$", r"\1 \2:\3", run.written))
        del shown["written"]
        given = [dict(title=one.title, number=one.number, **one.heard.for_page()) for one in run.given]
        self._marks -= sum(one.heard.size() for one in run.given)
        return dict(shown, outputs=outputs, given=given, picture=self._picture(run.picture) if outputs else None)

    def _output(self, record: OutputRecord) -> List[Dict[str, Any]]:
        """Returns the page's data for an output; empty if its file no longer exists."""
        content = self._read(record.file, _MIDI)
        if content is None:
            return []
        digest = hashlib.sha256(content).hexdigest()
        sound = self._known.get(digest) or self._hear(record.file)
        self._marks -= sound.size()
        audio = self._if_right(record.audio, _WAV, whole=False)
        shown = dict(record._asdict(), audio=audio and record.audio, sha256=digest)
        return [dict(shown, **sound.for_page())]

    def _hear(self, name: str) -> Heard:
        path = os.path.join(self._folder, name)
        if name in self._played:
            return heard(self._played[name], path)
        if self._seconds <= 0:
            raise InputError("%s: no time left to read it; it will be there the next time" % path)
        began = time.monotonic()
        try:
            (song,) = examples.read(path)
        finally:
            self._seconds -= time.monotonic() - began
        return heard(song.note_sequence, path)

    def _picture(self, name: Optional[str]) -> Optional[str]:
        """Returns a PNG as a data URI, or None if it no longer exists."""
        content = self._if_right(name, _PNG)
        if name is None or content is None:
            return None
        if len(content) > self._pictures:
            self._faults.append("%s: there is no room left for it" % os.path.join(self._folder, name))
            return None
        self._pictures -= len(content)
        return "data:image/png;base64," + base64.b64encode(content).decode("ascii")

    def _if_right(self, name: Optional[str], kind: _Kind, whole: bool = True) -> Optional[bytes]:
        """Returns the contents of a file. Returns None if it does not exist, or, with a message, if it is not valid."""
        try:
            return self._read(name, kind, whole) if name else None
        except InputError as e:
            self._faults.append(str(e))
            return None

    def _read(self, name: str, kind: _Kind, whole: bool = True) -> Optional[bytes]:
        """Returns the contents of a regular file of the folder, or None if it no longer exists.

        Raises:
            InputError: It is not a regular file, too large, or of another kind.
        """
        path = os.path.join(self._folder, name)
        try:
            with files.opened(path, follow=False) as f:
                content = f.read(kind.max_bytes + 1 if whole else _HEAD)
                size = os.fstat(f.fileno()).st_size
        except FileNotFoundError:
            return None
        except OSError as e:
            raise InputError("%s: not readable as %s (%s)" % (path, kind.name, e.strerror)) from e
        if max(size, len(content)) > kind.max_bytes:
            raise InputError("%s: larger than what is generated, %d MiB" % (path, kind.max_bytes >> 20))
        if not kind.begins.match(content):
            raise InputError("%s: not readable as %s (it begins as something else)" % (path, kind.name))
        return content


def heard(sequence: Any, path: str) -> Heard:
    """Returns the notes and bars of a NoteSequence.

    Raises:
        InputError: It is longer than a song; `path` says which.
    """
    from lc_music_vae.music.metre import bars_and_metres
    from lc_music_vae.music.style import QUARTERS_PER_BAR
    from lc_music_vae.music.tempo import TempoMap

    tempo_map = TempoMap(sequence.tempos)
    end = float(tempo_map.quarters(max([0.0] + [note.end_time for note in sequence.notes])))
    if end > _MAX_BARS * QUARTERS_PER_BAR:
        raise InputError("%s: of %d bars, more than a song has" % (path, math.ceil(end / QUARTERS_PER_BAR)))
    found, _ = bars_and_metres(sequence, tempo_map, max(end - _SAME, _SAME))
    bars = [round(float(s), 4) for s in tempo_map.seconds(found)]
    notes = [
        [round(n.start_time, 4), round(n.end_time, 4), n.pitch, n.velocity, n.is_drum, *([n.program] * (n.program > 0))]
        for n in sequence.notes
    ]
    return Heard(sorted(notes), bars)


def _known(folder: str) -> Dict[str, Heard]:
    """Returns the existing page's data of MIDI files, by their SHA-256, because reading one takes a millisecond."""
    try:
        with files.opened(os.path.join(folder, PAGE), follow=False) as f:
            data = _DATA.search(f.read(_MAX_PAGE))
        if data is None:
            return {}  # the page has no data
        outputs = [output for run in json.loads(data.group(1).decode("ascii")) for output in run["outputs"]]
        found = {output["sha256"]: Heard(output["notes"], output["bars"]) for output in outputs}
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return {}  # the page was written by another version, or by hand
    return {digest: heard for digest, heard in found.items() if index.is_heard(*heard)}
