"""Imports note_seq, magenta and TensorFlow without the packages that only some of their functions need.

Importing note_seq loads librosa, bokeh, IPython, pandas and pkg_resources; TensorFlow's estimators load pandas; magenta
loads TensorFlow Datasets and sklearn. They take most of the import time, and no command here calls the functions that
need them. While these three are imported, placeholder modules replace these packages. A placeholder loads the real
package when one of its attributes is first used. Afterwards `import librosa` gives librosa.

Commands and worker processes call `install`. A program that imports the package as a library gets the normal note_seq
and magenta.
"""

import contextlib
import importlib
import importlib.machinery
import sys
import types
from typing import Dict, Iterator

_IMPORTERS = ("note_seq", "magenta", "magenta.models.music_vae", "tensorflow")
# Parents before children: `from IPython import display` asks the parent for it.
_DEFERRED = (
    "IPython",
    "IPython.display",
    "bokeh",
    "bokeh.plotting",
    "librosa",
    "pandas",
    "pkg_resources",
    "pydub",
    "sklearn",
    "sklearn.metrics",
    "tensorflow_datasets",
)


class _Deferred(types.ModuleType):
    """Placeholder for a module that is imported when one of its attributes is first needed."""

    def __getattr__(self, name):
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextlib.contextmanager
def _deferring() -> Iterator[None]:
    standing_in: Dict[str, _Deferred] = {}
    for name in _DEFERRED:
        if name not in sys.modules:
            module = standing_in[name] = _Deferred(name)
            module.__path__ = []
            parent, _, child = name.rpartition(".")
            if parent in standing_in:
                setattr(standing_in[parent], child, module)
    sys.modules.update(standing_in)
    try:
        yield
    finally:
        for name, module in standing_in.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


class _Finder:
    """Finds these packages as Python does, and executes them while the packages above are deferred."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in _IMPORTERS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def exec_module(module):
            with _deferring():
                execute(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]  # only of this loader
        return spec


def install() -> None:
    """Makes later imports of these three light. Modules that are already imported stay as they are."""
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)
