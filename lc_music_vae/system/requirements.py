"""Checks whether all required packages are installed, and finds a package's folder. Does not import the packages."""

import importlib.util
import os
import sys

_NEEDED = (
    *("absl", "joblib", "magenta", "matplotlib", "note_seq", "numpy", "PIL", "requests"),
    *("tensorboard", "tensorflow", "tensorflow_probability", "tqdm"),
)


def check() -> None:
    """Ends the process if packages are missing, with one line that says which, and how to install them."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        program = os.path.splitext(os.path.basename(sys.argv[0]))[0]
        print("%s: error: %s" % (program, _advice(missing)), file=sys.stderr)
        sys.exit(1)


def folder_of(package: str) -> str:
    """Returns the folder of an installed package.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named %r" % package, name=package)
    return os.path.dirname(spec.origin)


def _advice(missing) -> str:
    found = "%s not installed for this Python (%s)" % (
        "%s is" % missing[0] if len(missing) == 1 else "%s and %d other packages are" % (missing[0], len(missing) - 1),
        sys.executable,
    )
    script = os.path.abspath(sys.argv[0])
    for name in (".venv", ".venv-tf2"):
        python = os.path.join(os.path.dirname(script), name, "bin", "python")
        if script.endswith(".py") and os.path.exists(python) and not _is_running(python):
            return "%s; run %s %s" % (found, os.path.relpath(python), os.path.relpath(script))
    listed = "requirements.txt" if sys.version_info < (3, 9) else "requirements-tf2.txt"
    return "%s; pip install --no-deps -r %s, from the toolkit's folder" % (found, listed)


def _is_running(python: str) -> bool:
    return os.path.dirname(os.path.abspath(python)) == os.path.join(sys.prefix, "bin")
