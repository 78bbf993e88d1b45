"""The form of a tune: which of its windows are the same, its phrases and their letters. Needs no NumPy."""

import re
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from lc_music_vae.errors import InputError

PHRASE_BARS = 8
REST = -1  # in the place of a window in which no note starts
_LETTERS = re.compile(r"([A-Z]'?)+\Z")
_VARIED = 0.5  # share of windows that a phrase has in common with another of which it is a variation


class Section(NamedTuple):
    """A phrase of a form by letters: its letter, and whether it is a variation of that letter's phrase (A')."""

    letter: str
    is_varied: bool


def is_letters(text: str) -> bool:
    """Returns whether a form is given by letters, such as AABA or AA'BA."""
    return _LETTERS.match(text) is not None


def check_song(text: Optional[str]) -> None:
    """Raises an `InputError` if a form that a song must give is empty or given by letters."""
    if text is not None and (not text or is_letters(text)):
        said = "--form=%s: what goes on takes its form from a song; give a music file, or the name of a training song"
        raise InputError(said % text)


def sections(text: str) -> List[Section]:
    """Returns the sections of a form by letters, of which the first of each letter is the plain one.

    Raises:
        InputError: It is not letters, or begins a letter with its variation.
    """
    if not is_letters(text):
        raise InputError("--form=%s: expected capital letters, each with ' after it if varied, such as AABA'" % text)
    found: List[Section] = []
    for one in re.findall(r"[A-Z]'?", text):
        section = Section(one[0], len(one) > 1)
        if section.is_varied and Section(section.letter, False) not in found:
            raise InputError("--form=%s: %s comes before the %s that it varies" % (text, one, section.letter))
        found.append(section)
    return found


def lengths(num_windows: int, num_sections: int) -> List[int]:
    """Returns how many windows each section gets: as equal as can be, the longer ones first.

    Raises:
        InputError: There are more sections than windows.
    """
    if num_sections > num_windows:
        raise InputError(
            "--form has %d letters, but --num_bars leaves %d windows; ask for more bars" % (num_sections, num_windows)
        )
    each, more = divmod(num_windows, num_sections)
    return [each + (i < more) for i in range(num_sections)]


def of_letters(text: str, num_windows: int) -> Tuple[List[int], Dict[int, int]]:
    """Returns which window stands at each place of a form by letters, and of which window others are variations.

    A phrase of a letter says its first idea twice, a b a c, as periods of songs do. Of a variation, the second half
    is near to that of the phrase that it varies, and its first half is the same.
    """
    names: Dict[Tuple, int] = {}
    varied: Dict[int, int] = {}
    places: List[int] = []
    wanted = sections(text)
    for section, length in zip(wanted, lengths(num_windows, len(wanted))):
        for i in range(length):
            plain = names.setdefault((section.letter, 0 if i == 2 else i), len(names))
            is_new = section.is_varied and 2 * i >= length
            places.append(names.setdefault((section.letter, i, "'"), len(names)) if is_new else plain)
            if is_new:
                varied[places[-1]] = plain
    used = sorted(set(places) | set(varied.values()))
    number = {window: i for i, window in enumerate(used)}
    return [number[window] for window in places], {number[new]: number[old] for new, old in varied.items()}


def fitted(places: Sequence[int], num_windows: int, phrase: int) -> Tuple[List[int], str]:
    """Returns a form that is as long as asked for, and what was done to it in words; "" if nothing was.

    It ends as the form does: its last phrase is the form's last, and before it the form is played from its start, as
    often as needed. If less than two phrases are asked for, it is the form's start.

    Args:
        places: Which window stands at each place of the form.
        num_windows: How many are wanted.
        phrase: Length of a phrase in windows.
    """
    if len(places) == num_windows:
        return list(places), ""
    done = "cut" if num_windows < len(places) else "repeated"
    said = "the form of %d windows is %s to %d" % (len(places), done, num_windows)
    whole = max(phrase, len(places) // phrase * phrase)
    again = [place for _ in range(num_windows // whole + 1) for place in places[:whole]] + list(places)
    if num_windows < 2 * phrase or len(places) < phrase:
        return again[:num_windows], said
    return again[: num_windows - phrase] + list(places[-phrase:]), said + " at a phrase; it ends as the form does"


def letters_of(places: Sequence[int], phrase: int) -> List[str]:
    """Returns the letter of each phrase: the same for equal phrases, with ' after it if half or more is equal.

    Args:
        places: Which window stands at each place.
        phrase: Length of a phrase in windows.
    """
    phrases = [tuple(places[i : i + phrase]) for i in range(0, len(places), phrase)]
    plain: List[Tuple[int, ...]] = []
    found = []
    for one in phrases:
        alike = [sum(a == b for a, b in zip(one, other)) / max(len(one), len(other)) for other in plain]
        nearest: Optional[int] = max(range(len(plain)), key=alike.__getitem__) if plain else None
        if nearest is None or alike[nearest] < _VARIED:
            plain.append(one)
            nearest, mark = len(plain) - 1, ""
        else:
            mark = "" if alike[nearest] == 1 else "'"
        found.append(chr(ord("A") + nearest % 26) + mark)
    return found
