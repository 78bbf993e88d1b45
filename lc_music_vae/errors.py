"""The one exception whose text is written for the person at the command line."""

import unicodedata


class InputError(ValueError):
    """Something the user gave is not usable.

    Its text is one line that names the file or flag, says what was found and what was expected, and
    what to do. The scripts print it as `midime_train: error: ...` and end with exit status 1.
    """

    def __str__(self) -> str:
        """Returns the text; what a terminal would obey in a stranger's names is spelt out."""
        return printable(super().__str__())


def printable(text: str) -> str:
    r"""Returns `text` with what is not for the eye (line ends, escapes, halves of characters) as \n, \x1b, \udc80."""
    return "".join(c.encode("unicode_escape").decode() if _is_unseen(c) else c for c in text)


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character)[0] == "C" or character in "\u2028\u2029"
