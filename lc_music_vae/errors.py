"""The one exception whose text is written for the person at the command line."""


class InputError(ValueError):
    """Something the user gave is not usable.

    Its text is one line that names the file or flag, says what was found and what was expected, and
    what to do. The scripts print it as `midime_train: error: ...` and end with exit status 1.
    """
