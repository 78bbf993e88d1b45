"""A song before and after it is read, the tempos that are accepted, and the options for its tracks and metres."""

from typing import Any, NamedTuple

QPM = 120.0  # the tempo of MIDI, and of note_seq, until the file gives one
UNREADABLE = "unreadable"
MAX_FILE_BYTES = 32 << 20
# The range of tempos, in quarters per minute, that a song can have or be given. A tempo outside is a mistake or damage.
MIN_QPM, MAX_QPM = 10, 1000
# The options for a song's tracks (other than a number or a name), and for its time signatures.
AUTO, ALL = "auto", "all"
ANY, STRICT = METRES = ("any", "4/4")


class Song(NamedTuple):
    """One NoteSequence and where it is from.

    Attributes:
        name: `Source.name`, made printable.
        note_sequence: A `note_seq.NoteSequence`, times in seconds.
    """

    name: str
    note_sequence: Any


class Source(NamedTuple):
    """A song that is not read yet: it is small and can be sent to another process.

    Attributes:
        name: The file's path. For a TFRecord, `#` and the number of the record (from 0) follow; for a data set, `#` and
            the record's id (see `tfds`); for an ABC tunebook, `#` and the tune's reference number (its `X:`).
        kind: The reader in `parsing` that reads it.
        content: The record's bytes, the MIDI file in it, or the tune's text; None if the song is the whole file; the
            reason if it is UNREADABLE.
    """

    name: str
    kind: str
    content: Any = None

    def unreadable(self, why: str) -> str:
        """Returns the message for a song that cannot be read."""
        return "%s: not readable as %s (%s)" % (self.name, self.kind, why)
