"""Repairs MIDI files before they are read: what breaks the standard, and what pretty_midi would lose.

mido refuses a whole file because of one bad byte. pretty_midi looks for tempo and metre only in the first track, drops
notes that never end, and makes two instruments of a track whose program changes.
"""

import struct
from typing import Dict, Iterator, List, Optional, Tuple

Event = Tuple[int, bytes]  # ticks from the start, and the event with its status byte

_NAME, _END, _TEMPO, _METRE, _KEY = 0x03, 0x2F, 0x51, 0x58, 0x59
# A file that exceeds these is damaged, or not a song. pretty_midi allocates 8 bytes for each tick up to the last.
_MAX_TICK = 2 * 10**7  # 1.9 hours at 960 ticks per quarter and 180 quarters per minute
_MAX_EVENTS = 300000
_MAX_TRACKS = 1000

_META, _NOTE_OFF, _NOTE_ON, _PROGRAM, _PRESSURE, _SYSTEM = 0xFF, 0x80, 0x90, 0xC0, 0xD0, 0xF0


def put_right(content: bytes) -> bytes:
    """Returns a MIDI file that mido and pretty_midi read in full.

    Chunks that are not tracks are left out, and so are events that do not affect notes. Bad values are clipped (data
    bytes) or left out (tempo 0, invalid keys and metres). Tempo, metre and key are taken from the first track that has
    them. A note without an end sounds to the end of its track; a track's program is that of its first note.

    Raises:
        ValueError: It is not a MIDI file, is cut off, or is larger than a song.
    """
    if content[:4] != b"MThd" or len(content) < 14:
        raise ValueError("no MThd at its start")
    kind, _, ticks = struct.unpack(">HHH", content[8:14])
    bodies = [body for name, body in _chunks(content) if name == b"MTrk"]
    if len(bodies) > _MAX_TRACKS:
        raise ValueError("more than %d tracks" % _MAX_TRACKS)
    tracks, left = [], _MAX_EVENTS
    for body in bodies:
        tracks.append(list(_events(body, left)))
        left -= len(tracks[-1])
    if ticks & 0x8000:  # frames per second (negative) and ticks per frame: no beats, so MIDI's default tempo, 120
        ticks = (256 - (ticks >> 8)) * (ticks & 0xFF) // 2
        tracks = [[event for event in track if _meta_kind(event) != _TEMPO] for track in tracks]
    tracks = [_ended(_one_program(track), ticks) for track in tracks]
    if not tracks:
        raise ValueError("no track")
    tracks[0] = _with_metas_of_all(tracks)
    return b"MThd" + struct.pack(">IHHH", 6, kind, len(tracks), ticks) + b"".join(map(_track, tracks))


def _chunks(content: bytes) -> Iterator[Tuple[bytes, bytes]]:
    """Yields the name and body of each chunk; the last chunk may be followed by other bytes."""
    at = 0
    while at + 8 <= len(content):
        name, size = struct.unpack(">4sI", content[at : at + 8])
        body = content[at + 8 : at + 8 + size]
        if name == b"MTrk" and len(body) < size:
            raise ValueError("it ends inside a track")
        yield name, body
        at += 8 + size


def _number(body: bytes, at: int) -> Tuple[int, int]:
    """Returns the variable-length number at `at`, and the position after it."""
    value, last = 0, at + 9  # the standard allows four digits; without a limit, an endless number would take too long
    while at < last:
        (byte,) = _whole(body, at, 1)
        value = value << 7 | byte & 0x7F
        at += 1
        if byte < 0x80:
            return value, at
    raise ValueError("a number without an end")


def _whole(body: bytes, at: int, size: int) -> bytes:
    """Returns `size` bytes from `at` on; raises a `ValueError` if the track ends before that."""
    if at + size > len(body):
        raise ValueError("a track ends inside an event")
    return body[at : at + size]


def _events(body: bytes, most: int) -> Iterator[Event]:
    """Yields the notes, controllers, programs and usable meta events of a track, up to its end."""
    at = ticks = status = 0
    while at < len(body):
        delta, at = _number(body, at)
        ticks, most = ticks + delta, most - 1
        if ticks > _MAX_TICK:
            raise ValueError("an event at tick %d; a song has at most %d" % (ticks, _MAX_TICK))
        if most < 0:
            raise ValueError("more than %d events" % _MAX_EVENTS)
        (first,) = _whole(body, at, 1)
        if first >= _SYSTEM:
            size, begin = _number(body, at + 1 + (first == _META))
            kind, data, at = body[at + 1], _whole(body, begin, size), begin + size
            if first == _META and (kind == _END or _usable(kind, data)):
                yield ticks, bytes([_META, kind]) + _as_number(size) + data
            if first == _META and kind == _END:
                return
        else:
            at += first >= 0x80
            status = first if first >= 0x80 else status
            if not status:
                raise ValueError("data without a status byte")
            size = 1 if status & 0xF0 in (_PROGRAM, _PRESSURE) else 2
            yield ticks, bytes([status] + [min(value, 0x7F) for value in _whole(body, at, size)])
            at += size


def _usable(kind: int, data: bytes) -> bool:
    """Returns whether a meta event is of a kind that is used here, and has valid values."""
    if kind == _TEMPO:
        return len(data) == 3 and any(data)
    if kind == _METRE:
        return len(data) == 4 and data[0] > 0 and data[1] < 8
    if kind == _KEY:
        return len(data) == 2 and (data[0] + 7) % 256 <= 14 and data[1] <= 1
    return kind == _NAME


def _meta_kind(event: Event) -> Optional[int]:
    """Returns the kind of a meta event; None if the event is not a meta event."""
    return event[1][1] if event[1][0] == _META else None


def _one_program(track: List[Event]) -> List[Event]:
    """Leaves out program changes after a channel's first note."""
    kept, playing = [], set()
    for ticks, data in track:
        kind, channel = data[0] & 0xF0, data[0] & 0x0F
        if kind == _NOTE_ON:
            playing.add(channel)
        if kind != _PROGRAM or channel not in playing:
            kept.append((ticks, data))
    return kept


def _ended(track: List[Event], ticks_per_quarter: int) -> List[Event]:
    """Ends notes without an end at the end of the track (but after at least a quarter), and then ends the track."""
    sounding: Dict[Tuple[int, int], int] = {}
    end = max((ticks for ticks, _ in track), default=0)
    for ticks, data in track:
        note = data[0] & 0x0F, data[1]
        if data[0] & 0xF0 == _NOTE_ON and data[2]:
            sounding[note] = ticks
        elif data[0] & 0xF0 in (_NOTE_OFF, _NOTE_ON):
            sounding.pop(note, None)
    offs = [
        (max(end, ticks + ticks_per_quarter), bytes([_NOTE_OFF | channel, pitch, 0]))
        for (channel, pitch), ticks in sounding.items()
    ]
    body = [event for event in track if _meta_kind(event) != _END] + sorted(offs)
    return body + [(max([end] + [ticks for ticks, _ in offs]), bytes([_META, _END, 0]))]


def _with_metas_of_all(tracks: List[List[Event]]) -> List[Event]:
    """Returns the first track with tempo, metre and key, each from the first track that has it."""
    first = list(tracks[0])
    for kind in (_TEMPO, _METRE, _KEY):
        found = [[event for event in track if _meta_kind(event) == kind] for track in tracks]
        if not found[0]:
            first.extend(next(filter(None, found), []))
    end = max(ticks for ticks, _ in first)
    body = sorted((event for event in first if _meta_kind(event) != _END), key=lambda event: event[0])
    return body + [(end, bytes([_META, _END, 0]))]


def _as_number(value: int) -> bytes:
    """Returns a variable-length number, as `_number` reads it."""
    digits = [value & 0x7F]
    while value > 0x7F:
        value >>= 7
        digits.insert(0, 0x80 | value & 0x7F)
    return bytes(digits)


def _track(events: List[Event]) -> bytes:
    """Returns the events as a track chunk, each with a status byte."""
    body, now = bytearray(), 0
    for ticks, data in events:
        body += _as_number(ticks - now) + data
        now = ticks
    return b"MTrk" + struct.pack(">I", len(body)) + bytes(body)
