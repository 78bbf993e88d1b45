"""What is in a run's folder, and what `run.json` records of it. Needs no TensorFlow."""

import contextlib
import glob
import os
import re
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from lc_music_vae import checkpoints, files
from lc_music_vae.errors import InputError

FORMAT = 1
# What it writes first is called as the file will be, and so on.
_LEFT_BY_TENSORFLOW = re.compile(r"(checkpoint|model\.ckpt-\d+\.\S+)\.(tmp[0-9a-f]{32}|tempstate\d+)$")


class RunDir(NamedTuple):
    """The folder of a run: `train/`, `eval{suffix}/`, `latents/`, `examples.tsv`, `run.json`, `{config}.tar`."""

    path: str

    @property
    def train(self) -> str:
        """Folder of Estimator's checkpoints and events."""
        return os.path.join(self.path, "train")

    @property
    def latents(self) -> str:
        """Folder of the training songs' latents."""
        return os.path.join(self.path, "latents")

    @property
    def examples(self) -> str:
        """Path of `examples.tsv`."""
        return os.path.join(self.path, "examples.tsv")

    @property
    def picture(self) -> str:
        """Path of the picture that training ends with."""
        return os.path.join(self.path, "training.png")

    @property
    def generated(self) -> str:
        """Where generated files go unless the user says otherwise."""
        return os.path.join(self.path, "generated")

    @property
    def run_json(self) -> str:
        """Path of `run.json`."""
        return os.path.join(self.path, checkpoints.RUN_JSON)

    def eval(self, suffix: str) -> str:
        """Folder of an evaluation's events, and of its songs' latents where they are others."""
        return os.path.join(self.path, "eval" + suffix)

    def bundle(self, config: str) -> str:
        """Path of the bundle that training ends with."""
        return os.path.join(self.path, config + ".tar")

    def shards(self) -> List[str]:
        """Returns the files of the training songs' latents, in order."""
        return sorted(glob.glob(os.path.join(glob.escape(self.latents), "*.tfrecord")))

    def make(self) -> None:
        """Makes the folder, if it is not there."""
        try:
            os.makedirs(self.path, exist_ok=True)
        except OSError as e:
            raise InputError("--run_dir=%s cannot be made: %s" % (self.path, e.strerror)) from e

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other trainings out while its block runs; a dead process keeps nobody out.

        Raises:
            InputError: Another training is in there, or nothing can be written there.
        """
        try:
            file = os.open(os.path.join(self.path, ".lock"), os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as e:
            raise files.cannot_write("--run_dir=" + self.path, e) from e
        try:
            if not files.lock(file, wait=False):
                raise InputError(
                    "--run_dir=%s: process %s is training there; wait until it ends, or give another --run_dir"
                    % (self.path, os.read(file, 20).decode())
                )
            try:
                os.ftruncate(file, 0)
                os.write(file, b"%d" % os.getpid())
            except OSError as e:
                raise files.cannot_write("--run_dir=" + self.path, e) from e
            self._tidy()
            yield
        finally:
            os.close(file)

    def _tidy(self) -> None:
        """Removes what killed trainings left half-written here."""
        for folder in (self.path, self.train, self.latents):
            files.tidy(folder)
        for name in os.listdir(self.train) if os.path.isdir(self.train) else ():
            if _LEFT_BY_TENSORFLOW.match(name):
                os.remove(os.path.join(self.train, name))

    def read(self) -> Optional[Dict[str, Any]]:
        """Returns what `run.json` records, or None before the first training.

        Raises:
            InputError: It is damaged, or of another version of the toolkit.
        """
        try:
            run = files.read_json(self.run_json)
        except ValueError:
            raise InputError(
                "%s: not readable as JSON; restore it or train into another --run_dir" % self.run_json
            ) from None
        if run is not None:
            check_format(run, self.run_json)
            run.setdefault("metre", "any")  # runs that began before there was a choice
        return run

    def latest(self) -> Tuple[Optional[str], int]:
        """Returns prefix and global step of the newest checkpoint of the small VAE; (None, 0) before the first."""
        if not os.path.isfile(os.path.join(self.train, "checkpoint")):
            return None, 0
        prefix = checkpoints.find(self.train, "--run_dir").prefix
        return prefix, int(re.search(r"-(\d+)$", prefix).group(1))


def at(path: str) -> RunDir:
    """Returns the run in the folder `path`, which need not be there yet."""
    return RunDir(os.path.abspath(os.path.expanduser(path)))


def check_format(run: Dict[str, Any], path: str) -> None:
    """Raises an `InputError` if `run` was written by a version of the toolkit that wrote it another way."""
    if not isinstance(run, dict) or run.get("format") != FORMAT:
        found = run.get("format") if isinstance(run, dict) else None
        raise InputError("%s: written by another version of lc_music_vae (format %s, not %s)" % (path, found, FORMAT))


def check_same(path: str, recorded: Dict[str, Any], given: Dict[str, Any]) -> None:
    """Raises an `InputError` for the first flag in `given` (None is not given) that contradicts `recorded`."""
    for flag, value in given.items():
        if value is not None and value != recorded[flag]:
            raise InputError(
                "--%s=%s contradicts %s, which was trained with --%s=%s" % (flag, value, path, flag, recorded[flag])
            )
