"""The exception whose text is written for the user."""

import re
import unicodedata
from typing import Optional

# An argument as it is written in a text: `--run_dir`. In Python it is called `run_dir`.
_ARGUMENT = re.compile(r"(?<![^\s(\"'])--(?P<name>[a-z][a-z0-9_]*)")


class InputError(ValueError):
    """An error in something that the user gave.

    Its text is one line. It names the file or argument, and says what was found, what was expected and what to do.
    Code that raises it writes arguments as flags, `--run_dir`. `str` writes them as in Python, `run_dir`. The scripts
    print `for_command_line` as `midime_train: error: ...` and end with exit status 1.
    """

    @property
    def argument(self) -> Optional[str]:
        """Name of the argument that the error is about, such as 'run_dir'; None if the text names no argument."""
        named = _ARGUMENT.search(super().__str__())
        return named.group("name") if named else None

    def for_command_line(self) -> str:
        """Returns the text with arguments as flags. Invisible characters, for example from file names, are escaped."""
        return printable(super().__str__())

    def __str__(self) -> str:
        """Returns the text with arguments as in Python; invisible characters are escaped."""
        return _ARGUMENT.sub(r"\g<name>", self.for_command_line())


def printable(text: str) -> str:
    r"""Returns `text` with invisible characters (line ends, escapes, lone surrogates) written as \n, \x1b, \udc80."""
    return "".join(c.encode("unicode_escape").decode() if _is_unseen(c) else c for c in text)


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character)[0] == "C" or character in "\u2028\u2029"
