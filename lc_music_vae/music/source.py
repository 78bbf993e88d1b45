"""A song before and after it is read, what is believed of one, and what may be asked for of it."""

from typing import Any, NamedTuple

UNREADABLE = "unreadable"
MAX_FILE_BYTES = 32 << 20
# Quarters a minute that a song is believed to have, and may be given. Beyond, it is a slip or damage.
MIN_QPM, MAX_QPM = 10, 1000
# What may be asked for of a song's tracks, beside a number or a name; and of its time signatures.
AUTO, ALL = "auto", "all"
ANY, STRICT = METRES = ("any", "4/4")


class Song(NamedTuple):
    """One NoteSequence and where it is from.

    Attributes:
        name: As `Source.name`, printable.
        note_sequence: A `note_seq.NoteSequence`, times in seconds.
    """

    name: str
    note_sequence: Any


class Source(NamedTuple):
    """A song that is not read yet: small, and fit to be sent to another process.

    Attributes:
        name: The file's path; in a TFRecord followed by `#` and the number of the record, from 0, in an ABC tunebook
            by `#` and the tune's reference number (its `X:`).
        kind: Which of `parsing`'s readers reads it.
        content: The record's bytes or the tune's text; None if that is the file, and the reason if it is UNREADABLE.
    """

    name: str
    kind: str
    content: Any = None

    def unreadable(self, why: str) -> str:
        """Returns what is said of it if it cannot be read."""
        return "%s: not readable as %s (%s)" % (self.name, self.kind, why)
