"""A run's folder: which process may write to it, and which checkpoint and latents are valid. Needs no TensorFlow."""

import contextlib
import errno
import logging
import os
import re
import shutil
import stat
import tempfile
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from lc_music_vae.checkpoints import finding, run_json, shards, song_list
from lc_music_vae.checkpoints.checkpoint import RUN_JSON, SONGS_NPZ, Checkpoint
from lc_music_vae.checkpoints.run_json import RunJson
from lc_music_vae.checkpoints.shards import Kept
from lc_music_vae.checkpoints.song_list import SongList
from lc_music_vae.errors import InputError
from lc_music_vae.system import files

logger = logging.getLogger(__name__)

_LOCK = ".lc_music_vae.lock"  # a name that no other program uses, because this file is written to
_CHECKPOINT = re.compile(r"model\.ckpt-(\d{1,15})$")
_MAX_TRIES = 20  # attempts to copy a checkpoint that a training may replace at the same time
# TensorFlow's temporary files: each name starts with the name of the final file.
_LEFT_BY_TENSORFLOW = re.compile(r"(checkpoint|model\.ckpt-\d+\.\S+)\.(tmp[0-9a-f]{32}|tempstate\d+)$")


class RunDir(NamedTuple):
    """The folder of a run: `train/`, `eval{suffix}/`, `latents/`, `run.json`, `songs.npz`, `{config}.tar` and more."""

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
    def holdout(self) -> str:
        """Folder of the latents of the bars that are kept out of training."""
        return os.path.join(self.path, "holdout")

    @property
    def examples(self) -> str:
        """Path of `examples.tsv`."""
        return os.path.join(self.path, "examples.tsv")

    @property
    def picture(self) -> str:
        """Path of the picture that training ends with."""
        return os.path.join(self.path, "training.png")

    @property
    def play_page(self) -> str:
        """Path of the page that plays the model."""
        return os.path.join(self.path, "play.html")

    @property
    def songs(self) -> str:
        """Path of what the model keeps of its songs: `songs.npz`."""
        return os.path.join(self.path, SONGS_NPZ)

    @property
    def generated(self) -> str:
        """Where generated files go unless the user says otherwise."""
        return os.path.join(self.path, "generated")

    @property
    def run_json(self) -> str:
        """Path of `run.json`."""
        return os.path.join(self.path, RUN_JSON)

    def song_list(self, addition: int = 0) -> str:
        """Path of the list of the first songs, or of those of an addition, that are encoded in shares: `song_list`."""
        return os.path.join(self.latents, song_list.name(addition))

    def eval(self, suffix: str) -> str:
        """Folder of an evaluation's events, and of its songs' latents if they differ from the training's."""
        return os.path.join(self.path, "eval" + suffix)

    def bundle(self, config: str) -> str:
        """Path of the bundle that training ends with."""
        return os.path.join(self.path, config + ".tar")

    def shards(self) -> List[str]:
        """Returns the files of the latents that the run was trained on, in order; empty if none are recorded.

        Raises:
            InputError: A file is damaged or missing.
        """
        run = self.read()
        if run is None:
            return []
        kept = self.kept(run)
        if kept.paths or any(map(shards.is_name, _names_in(self.latents))):
            try:
                self.check_whole(kept)
            except InputError as e:
                if not os.path.isfile(self.bundle(run.settings.config)):
                    raise
                raise InputError("%s; %s" % (e.args[0], self._instead(run.settings.config + ".tar"))) from None
        return list(kept.paths)

    def kept(self, run: RunJson) -> Kept:
        """Returns the shards that the run was trained on, even if they no longer exist."""
        return shards.kept(self.latents, run.examples.shards, run.examples.windows)

    def check_whole(self, kept: Kept) -> None:
        """Raises an `InputError` if the size of a shard is wrong, if a shard is missing, or if no shard is known."""
        for path, record in zip(*kept):
            if record is None or not record.has_size(path):
                raise damaged_latents(path)
        if not kept.paths:
            raise damaged_latents(self.latents)

    def make(self) -> None:
        """Makes the folder if it does not exist."""
        try:
            os.makedirs(self.path, exist_ok=True)
        except OSError as e:
            raise InputError("--run_dir=%s cannot be made: %s" % (self.path, e.strerror)) from e

    def check_free(self, config: str) -> None:
        """Refuses to start a first training if the folder has files with a run's names that come from elsewhere.

        Songs are read before run.json is written. A training that was stopped at that point has left latents and their
        table, and the lock file shows that they belong to it. A list of songs shows the same of latents that were
        encoded in shares, perhaps on other machines.

        Raises:
            InputError: There are such files.
        """
        names = [self.train, self.picture, self.play_page, self.songs, self.bundle(config)]
        if not any(map(os.path.lexists, (os.path.join(self.path, _LOCK), self.song_list()))):
            names += [self.latents, self.holdout, self.examples]
        found = [os.path.basename(path) for path in names if os.path.lexists(path)]
        if found:
            raise InputError(
                "--run_dir=%s: %s there, which no run.json accounts for, would be overwritten; give another --run_dir, "
                "or move what is there away" % (self.path, ", ".join(found))
            )

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Blocks other trainings in this folder while its block runs. A process that has ended blocks nothing.

        Raises:
            InputError: Another training uses the folder, or nothing can be written there.
        """
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context(_lock_file(self.path))
                if not files.lock(file, wait=False):
                    raise InputError(
                        "--run_dir=%s: process %s is training there; wait until it ends, or give another --run_dir"
                        % (self.path, os.read(file, 20).decode("ascii", "replace"))
                    )
                os.ftruncate(file, 0)
                os.write(file, b"%d" % os.getpid())
            except OSError as e:
                raise files.cannot_write("--run_dir=" + self.path, e) from e
            stack.callback(self._tidy)  # removes files that a full disk left incomplete
            self._tidy()
            yield

    def mark(self) -> None:
        """Makes the lock file if it does not exist. It shows later trainings that what is here is the toolkit's."""
        try:
            with _lock_file(self.path):
                pass
        except OSError as e:
            raise files.cannot_write("--run_dir=" + self.path, e) from e

    @contextlib.contextmanager
    def evaluating(self, suffix: str) -> Iterator[str]:
        """Waits for the folder of evaluations with this suffix, and yields it. No other process writes to it then."""
        folder = self.eval(suffix)
        with contextlib.ExitStack() as stack:
            try:
                os.makedirs(folder, exist_ok=True)
                file = stack.enter_context(_lock_file(folder))
                if not files.lock(file, wait=False):
                    logger.info("waiting for another evaluation to end, which writes to %s", folder)
                    files.lock(file)
            except OSError as e:
                raise files.cannot_write(folder, e) from e
            files.tidy(folder)
            yield folder

    def _tidy(self) -> None:
        """Removes incomplete files that killed trainings left here."""
        for folder in (self.path, self.train, self.latents, self.holdout):
            files.tidy(folder)
        for name in _names_in(self.train):
            if _LEFT_BY_TENSORFLOW.match(name):
                with contextlib.suppress(OSError):
                    os.remove(os.path.join(self.train, name))

    def read(self) -> Optional[RunJson]:
        """Returns the contents of `run.json`, or None before the first training.

        Raises:
            InputError: It is damaged, or from another version of the toolkit.
        """
        value = read_json(self.run_json, "train into another --run_dir")
        return None if value is None else run_json.parse(value, self.run_json)

    def listed(self, addition: int = 0) -> Optional[SongList]:
        """Returns the list of the first songs, or of an addition, that are encoded in shares; None if there is none.

        Raises:
            InputError: It is damaged.
        """
        path = self.song_list(addition)
        return song_list.read(path) if os.path.lexists(path) else None

    def read_trained(self) -> RunJson:
        """Returns the contents of `run.json` for a run that has ended.

        Raises:
            InputError: As for `read`; or there is no run, or its last checkpoint is missing.
        """
        run = self.read()
        if run is None:
            raise self._untrained()
        self.trained(run)
        return run

    def write(self, run: RunJson) -> None:
        """Writes `run.json`."""
        files.write_json(self.run_json, run.to_json())

    def _stated(self) -> List[str]:
        """Returns `finding.listed` of the folder of checkpoints; empty if there is no list."""
        try:
            return finding.listed(self.train)
        except OSError:
            return []

    def _has(self, name: str) -> bool:
        """Returns whether the checkpoint is from a training and has all its files."""
        if not _CHECKPOINT.match(name):
            return False
        try:
            finding.find(os.path.join(self.train, name), "--run_dir")
        except InputError:
            return False
        return True

    def latest(self) -> Tuple[Optional[str], int]:
        """Returns prefix and global step of the newest checkpoint of the small VAE; (None, 0) if there is none.

        The newest is the one that TensorFlow's list names as the newest. If it is missing, it is the one with the
        largest step.
        """
        for name in self._stated()[:1]:
            if self._has(name):
                return os.path.join(self.train, name), _step(name)
        # Listed only now, because a running training writes a newer checkpoint before it removes any.
        there = [name[: -len(".index")] for name in _names_in(self.train) if name.endswith(".index")]
        for name in sorted(filter(_CHECKPOINT.match, there), key=_step, reverse=True):
            if self._has(name):
                return os.path.join(self.train, name), _step(name)
        return None, 0

    def reached(self, run: Optional[RunJson]) -> int:
        """Returns the global step that the run has reached according to its records."""
        return max([run.step if run else 0] + [_step(name) for name in self._stated()[:1] if _CHECKPOINT.match(name)])

    def trained(self, run: Optional[RunJson]) -> Tuple[str, int]:
        """Returns prefix and global step of the run's last checkpoint.

        Raises:
            InputError: There is no run, or that checkpoint is missing.
        """
        prefix, step = self.latest()
        reached = self.reached(run)
        if run is None or (prefix is None and not reached):
            raise self._untrained()
        if step < reached:
            has_bundle = os.path.isfile(self.bundle(run.settings.config))
            instead = "; " + self._instead(run.settings.config + ".tar") if has_bundle else ""
            raise InputError(
                "--run_dir=%s: train/model.ckpt-%d, which training reached, is gone or lacks a file; put it back, or "
                "train again, which starts at step %d%s" % (self.path, reached, step, instead)
            )
        if prefix is None or not step:
            raise InputError(
                "--run_dir=%s: its training was stopped before a step was kept; train on with the same command"
                % self.path
            )
        return prefix, step

    def _untrained(self) -> InputError:
        """Returns the error to raise if there is no run: it says what is there instead, and which flag helps."""
        bundles = [name for name in _names_in(self.path) if name.endswith(".tar")]
        if not os.path.lexists(self.path):
            said = ": no such folder; give the one that the run is in now, or train one there with midime_train"
        elif not os.path.isdir(self.path):
            said = " is no folder; a model's file is given as --checkpoint_file"
        elif bundles and not os.path.lexists(self.run_json):
            said = " has no run.json: it is gone, or no training made this folder; %s" % self._instead(bundles[0])
        else:
            said = " holds no trained model; train one there with midime_train"
        return InputError("--run_dir=" + self.path + said)

    def _instead(self, bundle: str) -> str:
        """Returns how a bundle in this folder does without the rest of it, in words."""
        return "midime_generate --checkpoint_file=%s needs nothing else" % os.path.join(self.path, bundle)

    def list_own(self, prefix: Optional[str]) -> None:
        """Makes TensorFlow continue from a checkpoint, and list only checkpoints in `train/`.

        TensorFlow removes the oldest checkpoints in its list, in any folder.
        """
        state = os.path.join(self.train, finding.STATE)
        if prefix is None:
            try:
                os.remove(state)
            except FileNotFoundError:
                pass
            except OSError as e:
                raise files.cannot_write(self.train, e) from e
            return
        newest = os.path.basename(prefix)
        older = dict.fromkeys(name for name in self._stated()[1:] if name != newest and self._has(name))
        with files.replacing(state) as temporary, open(temporary, "w", encoding="utf-8") as f:
            f.write('model_checkpoint_path: "%s"\n' % newest)
            f.writelines('all_model_checkpoint_paths: "%s"\n' % name for name in [*older, newest])

    def flush_checkpoint(self, prefix: str) -> None:
        """Makes sure that a checkpoint is stored on the disk, before other steps rely on it."""
        name = os.path.basename(prefix)
        try:
            for file in _names_in(self.train):
                if file == finding.STATE or file.startswith(name + "."):
                    files.flush(os.path.join(self.train, file))
            files.flush(self.train)
        except OSError as e:
            raise files.cannot_write(self.train, e) from e

    @contextlib.contextmanager
    def copied(self, run: RunJson) -> Iterator[Checkpoint]:
        """Yields a copy of the newest checkpoint while its block runs. Its `path` is the original checkpoint's path.

        A running training may remove the original at any moment. run.json is written to the matching place.
        """
        with tempfile.TemporaryDirectory() as folder:
            copy = RunDir(folder)
            os.mkdir(copy.train)
            copy.write(run)
            for left in reversed(range(_MAX_TRIES)):
                prefix, _ = self.trained(run)
                try:
                    for file in _names_in(self.train):
                        if file.startswith(os.path.basename(prefix) + "."):
                            shutil.copy(os.path.join(self.train, file), copy.train)
                    finding.find(os.path.join(copy.train, os.path.basename(prefix)), "--run_dir")
                    break
                except (FileNotFoundError, InputError):  # removed during the copy: there is a newer one
                    if not left:
                        raise
                except OSError as e:
                    raise files.cannot_write(folder, e) from e
            copied_to = os.path.join(copy.train, os.path.basename(prefix))
            yield Checkpoint(prefix, copied_to, None, None, "--run_dir")


@contextlib.contextmanager
def _lock_file(folder: str) -> Iterator[int]:
    """Yields the descriptor of a folder's lock file, which is open while its block runs."""
    path = os.path.join(folder, _LOCK)
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    file = os.open(path, flags, 0o666)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(errno.EINVAL, "its %s is not a plain file" % _LOCK, path)
        yield file
    finally:
        os.close(file)


def _names_in(folder: str) -> List[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _step(name: str) -> int:
    return int(name.rpartition("-")[2])


def damaged_latents(path: str) -> InputError:
    """Returns the error to raise if a run's latents have changed since its training."""
    return InputError(
        "%s is damaged or gone; to have it made again from its songs, train with the same command (with a larger "
        "--num_steps or not)" % path
    )


def read_json(path: str, otherwise: str) -> Optional[Any]:
    """Returns the JSON value in a run.json, or None if the file does not exist.

    Raises:
        InputError: It cannot be read. `otherwise` says what to do if it cannot be restored.
    """
    try:
        value = files.read_json(path)
        if value is not None or not os.path.lexists(path):
            return value
        why = "holds nothing"
    except OSError as e:
        why = "cannot be read (%s)" % (e.strerror or e)
    except ValueError:
        why = "not readable as JSON"
    raise InputError("%s: %s; restore it or %s" % (path, why, otherwise))


def at(path: str) -> RunDir:
    """Returns the run in the folder `path`, which may not exist yet."""
    return RunDir(os.path.abspath(os.path.expanduser(path)))


def check_same(path: str, recorded: Dict[str, Any], given: Dict[str, Any], *, done: str = "trained") -> None:
    """Raises an `InputError` for the first flag in `given` that contradicts `recorded`. None means not given.

    `done` says what was done with the flags in `recorded`.
    """
    for flag, value in given.items():
        if value is not None and value != recorded[flag]:
            raise InputError(
                "--%s=%s contradicts %s, which was %s with --%s=%s" % (flag, value, path, done, flag, recorded[flag])
            )
