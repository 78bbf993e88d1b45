"""Code that both scripts share: it parses flags, prints errors as one line and keeps TensorFlow quiet.

Each script has its own `FlagValues` instead of absl's global one. So a notebook can import both scripts, and no library
adds flags to them. Nothing in this module imports TensorFlow.
"""

import atexit
import contextlib
import gc
import logging
import os
import shlex
import shutil
import signal
import sys
import traceback
import warnings
from typing import Any, Callable, Iterable, List, Optional, Sequence

from lc_music_vae import __version__
from lc_music_vae.errors import InputError
from lc_music_vae.system import interrupts, light_imports, requirements, results

requirements.check()  # before importing packages that may not be installed

from absl import flags  # noqa: E402

_LEVELS = ("DEBUG", "INFO", "WARN", "ERROR", "FATAL")


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived. It stops the work in the same way as Ctrl-C."""


class FlagSet:
    """The flags of a script.

    Attributes:
        values: The flags, for absl to parse.
    """

    def __init__(self, program: str) -> None:
        self.values = flags.FlagValues()
        self._program = program  # printed above the flags in the help
        self.add("log", str, "INFO", text="Threshold of what is logged; DEBUG also shows tracebacks.", choices=_LEVELS)
        self.add("help", bool, False, text="Show this help.", short_name="h")
        self.add("version", bool, False, text="Show the toolkit's version.")

    def add(self, name: str, kind: type, default: Any, *, text: str, choices: Sequence[str] = (), **more: Any) -> None:
        """Adds a flag. Its kind is str, int, float or bool."""
        define = flags.DEFINE_enum if choices else _DEFINE[kind]
        define(
            name,
            default,
            *([list(choices)] if choices else []),
            text,
            flag_values=self.values,
            module_name=self._program,
            **more,
        )

    def add_all(self, defined: Iterable[Any]) -> None:
        """Adds flags in the form that `options.flags_of` returns."""
        for flag in defined:
            self.add(flag.name, flag.kind, flag.default, text=flag.text, choices=flag.choices)


_DEFINE = {
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_boolean,
}


def run(
    program: str,
    description: str,
    values: flags.FlagValues,
    *,
    main: Callable[[flags.FlagValues], None],
    argv: Optional[List[str]] = None,
    when_stopped: str = "the same command goes on from there",
) -> None:
    """Parses flags and runs `main`.

    Ends the process with status 1 on an error, with 130 if SIGINT (Ctrl-C) stopped it and with 143 if SIGTERM stopped
    it. If there was no error, it ends the process with 0, unless `argv` is given.

    Args:
        program: The name at the start of error lines.
        description: The text at the start of `--help`.
        values: The script's flags.
        main: The function to call with the parsed flags.
        argv: Command line, program first; None means the command line of the process.
        when_stopped: What the message says about the work if a signal stopped it.
    """

    def stopped(number: int, where: str = "") -> None:
        with contextlib.suppress(OSError):  # the process that reads stderr may have ended
            print("%s: stopped%s; %s" % (program, where and " " + where, when_stopped), file=sys.stderr)
        _leave(128 + number)

    try:
        rest = values(sys.argv if argv is None else argv)[1:]
        if rest:
            raise InputError("unexpected argument %r; flags are written --name=value" % rest[0])
    except (flags.Error, InputError) as e:
        _fail(program, e)
    if values.help or values.version:
        results.show(
            "%s\n%s" % (description.strip(), values.get_help()) if values.help else "lc_music_vae " + __version__
        )
        return
    _set_up_logging(values.log)
    light_imports.install()
    # TensorFlow and magenta make a million objects during import and while building graphs. Few of them are garbage.
    gc.set_threshold(100_000)
    try:
        with contextlib.ExitStack() as stack:
            if argv is None:
                stack.enter_context(interrupts.not_unheard(stopped))
            stack.enter_context(interrupts.handled([signal.SIGTERM], _terminate))
            main(values)
    except KeyboardInterrupt as e:
        stopped(signal.SIGTERM if isinstance(e, Terminated) else signal.SIGINT, *e.args)
    except Exception as e:
        if values.log == "DEBUG":
            traceback.print_exc()
        _fail(program, e)
    if argv is None:
        with contextlib.suppress(Exception):  # errors in a library's clean-up no longer matter
            atexit._run_exitfuncs()
        _leave(0)


def _leave(status: int) -> None:
    """Ends the process at once, because a normal exit takes TensorFlow up to two seconds."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(status)


def _terminate(number, frame) -> None:
    raise Terminated


def other_command(program: str, other: str, *arguments: str) -> str:
    """Returns the command that runs the `other` script in the way the user ran this `program`, ready to paste."""
    folder, name = os.path.split(sys.argv[0])
    path = os.path.join(folder, name.replace(program, other))
    words = [path]
    if name.endswith(".py"):
        inside = os.path.relpath(sys.executable)
        words = [sys.executable if inside.startswith(os.pardir) else inside, path]
    elif shutil.which(other) == path:
        words = [other]
    return " ".join(map(shlex.quote, words + list(arguments)))


def _fail(program: str, error: Exception) -> None:
    text = (error.for_command_line() if isinstance(error, InputError) else str(error)).strip()
    first_line = text.splitlines()[0] if text else type(error).__name__
    if not isinstance(error, (flags.Error, InputError)):
        first_line = "%s (%s); --log=DEBUG shows where" % (first_line, type(error).__name__)
    print("%s: error: %s" % (program, first_line), file=sys.stderr)
    sys.exit(1)


def _set_up_logging(level: str) -> None:
    """Sends the package's messages to stderr. Shows those of TensorFlow and related libraries only at DEBUG."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("lc_music_vae")
    logger.handlers = [handler]
    logger.setLevel(level)
    logger.propagate = False
    results.on_stdout()
    if level != "DEBUG":
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        for library in ("tensorflow", "absl"):  # note_seq uses absl to warn about ABC fields that it does not know
            logging.getLogger(library).setLevel(logging.ERROR)
        warnings.simplefilter("ignore")
        os.environ.setdefault("PYTHONWARNINGS", "ignore")  # for processes that this one starts
