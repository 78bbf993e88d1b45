"""What both scripts share: flags are parsed, errors are one line, TensorFlow is quiet.

The scripts define flags and call `run`; nothing in here imports TensorFlow.
"""

import logging
import os
import sys
import traceback
import warnings
from typing import Callable, List, Optional

from absl import flags

from lc_music_vae.errors import InputError

_LEVELS = ("DEBUG", "INFO", "WARN", "ERROR", "FATAL")


def define_common_flags() -> None:
    """Defines the flags that both scripts have."""
    flags.DEFINE_enum("log", "INFO", _LEVELS, "Threshold of what is logged; DEBUG also shows tracebacks.")
    flags.DEFINE_boolean("help", False, "Show this help.", short_name="h")


def run(program: str, description: str, main: Callable[[], None], argv: Optional[List[str]] = None) -> None:
    """Parses flags, runs `main`, and ends the process: 0 if all went well, 1 on an error, 130 when interrupted.

    Args:
        program: Name that error lines start with.
        description: What `--help` starts with.
        main: Called without arguments; reads the flags.
        argv: Command line, program first; None is the process's own.
    """
    try:
        rest = flags.FLAGS(argv or sys.argv)[1:]
        if rest:
            raise InputError("unexpected argument %r; flags are written --name=value" % rest[0])
    except (flags.Error, InputError) as e:
        _fail(program, e)
    if flags.FLAGS.help:
        print("%s\n%s" % (description.strip(), flags.FLAGS.module_help(main.__globals__["__name__"])))
        sys.exit(0)
    debug = flags.FLAGS.log == "DEBUG"
    _set_up_logging(flags.FLAGS.log)
    try:
        main()
    except KeyboardInterrupt:
        print("%s: stopped; the same command goes on from the last checkpoint" % program, file=sys.stderr)
        sys.exit(130)
    except Exception as e:
        if debug:
            traceback.print_exc()
        _fail(program, e)


def _fail(program: str, error: Exception) -> None:
    text = str(error).strip()
    first_line = text.splitlines()[0] if text else type(error).__name__
    if not isinstance(error, (flags.Error, InputError)):
        first_line = "%s (%s); --log=DEBUG shows where" % (first_line, type(error).__name__)
    print("%s: error: %s" % (program, first_line), file=sys.stderr)
    sys.exit(1)


def _set_up_logging(level: str) -> None:
    """Sends the package's messages to stderr, and keeps those of TensorFlow and its friends for DEBUG."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("lc_music_vae")
    logger.addHandler(handler)
    logger.setLevel({"WARN": "WARNING", "FATAL": "CRITICAL"}.get(level, level))
    logger.propagate = False
    if level != "DEBUG":
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        warnings.simplefilter("ignore")
