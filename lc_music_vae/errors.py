"""The one exception whose text is written for people."""

import re
import unicodedata
from typing import Optional

# An argument as it stands in a text: `--run_dir`. In Python it is called `run_dir`.
_ARGUMENT = re.compile(r"(?<![^\s(\"'])--(?P<name>[a-z][a-z0-9_]*)")


class InputError(ValueError):
    """Something the user gave is not usable.

    Its text is one line that names the file or argument, says what was found and what was expected, and what to do.
    It is raised with arguments as flags, `--run_dir`; `str` names them as a caller in Python knows them, `run_dir`. The
    scripts print `for_command_line` as `midime_train: error: ...` and end with exit status 1.
    """

    @property
    def argument(self) -> Optional[str]:
        """Name of the argument that it is about, such as 'run_dir'; None where it names none."""
        named = _ARGUMENT.search(super().__str__())
        return named.group("name") if named else None

    def for_command_line(self) -> str:
        """Returns the text with arguments as flags; what a terminal would obey in a stranger's names is spelt out."""
        return printable(super().__str__())

    def __str__(self) -> str:
        """Returns the text with arguments as in Python; what a terminal would obey is spelt out."""
        return _ARGUMENT.sub(r"\g<name>", self.for_command_line())


def printable(text: str) -> str:
    r"""Returns `text` with what is not for the eye (line ends, escapes, halves of characters) as \n, \x1b, \udc80."""
    return "".join(c.encode("unicode_escape").decode() if _is_unseen(c) else c for c in text)


def _is_unseen(character: str) -> bool:
    return unicodedata.category(character)[0] == "C" or character in "\u2028\u2029"
