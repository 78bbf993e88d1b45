"""Processes that work for this one and can be ended at any moment, whatever they are doing.

A damaged file can keep a regular expression or a parser busy for ever. It then holds the interpreter: signals are not
handled and other threads do not run. In a process of its own, the kernel limits its time and its memory, and this
process waits for it and can handle signals.

Such a process is a new one, not a fork: TensorFlow does not survive a fork. Unlike those of `multiprocessing` it does
not run the user's script again. It has a session of its own, so that Ctrl-C reaches this process only. It ends with
the thread that started it, however that thread ends.
"""

import contextlib
import ctypes
import importlib
import logging
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import warnings
import weakref
from typing import IO, Any, Callable, Dict, NamedTuple, Optional, Sequence, Tuple, cast

try:
    import resource
except ImportError:  # Windows: there is a limit of time alone
    resource = None  # type: ignore[assignment]

from lc_music_vae.system import light_imports

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1"
)
_ENVIRONMENT = dict(
    ONE_THREAD,
    CUDA_VISIBLE_DEVICES="",
    TF_CPP_MIN_LOG_LEVEL="3",
    PYTHONWARNINGS="ignore",
    MALLOC_ARENA_MAX="1",  # each arena takes 64 MB of addresses, which the limit of memory counts
)
_PATIENCE = 12  # times the limit of the processor's time may pass on the clock: the machine may be slow, or busy
_OUT_OF_MEMORY = 77  # exit status
_READY = "ready"
_SET_PARENT_DEATH_SIGNAL = 1  # Linux's PR_SET_PDEATHSIG


class Limits(NamedTuple):
    """What one computation may take: seconds of the processor's time, and MB beyond what the process has already."""

    seconds: int
    megabytes: int


class EndedError(Exception):
    """A process ended before it gave an answer; the text says why."""


class Worker:
    """A process that computes one thing at a time. It is started when it is first needed, and after it has ended."""

    def __init__(self, modules: Sequence[str] = (), idle: Optional[float] = None):
        """Describes the process.

        Args:
            modules: What it imports before it answers the first question.
            idle: Seconds without work after which it ends; None is never.
        """
        self._modules, self._idle = list(modules), idle
        self._process: Optional[subprocess.Popen] = None
        self._ready = False
        self._finalizer: Callable = lambda: None
        self._lock = threading.Lock()  # between starting and closing
        self._closed = False

    def start(self) -> subprocess.Popen:
        """Starts the process if it does not run, and does not wait until it is ready."""
        with self._lock:
            if self._closed:
                raise EndedError("it is not needed any more")
            if self._process is None:
                self._process, self._ready = _started(self._modules, self._idle), False
                self._finalizer = weakref.finalize(self, _end, self._process, os.getpid())
            return self._process

    def compute(self, function: Callable[[Any], Any], item: Any, limits: Optional[Limits] = None) -> Any:
        """Returns `function(item)`, computed there; function, item and result must be picklable.

        Raises:
            EndedError: The process did, of itself, or because it went beyond the limits.
            OSError: It cannot be started.
            Exception: What `function` raises.
        """
        asked = pickle.dumps((limits, pickle.dumps((function, item), 4)), 4)
        try:
            good, answer = self._answer(asked, limits)
        except _IdleError:
            good, answer = self._answer(asked, limits)
        if not good:
            raise answer
        return answer

    def close(self) -> None:
        """Ends the process for good; may be called in another thread than computes."""
        with self._lock:
            self._closed = True
            process = self._process
        if process is not None:
            process.kill()
            process.wait()

    def _answer(self, asked: bytes, limits: Optional[Limits]) -> Any:
        process, late = self.start(), threading.Event()
        questions, answers = _pipes(process)

        def give_up():
            late.set()
            process.kill()

        timer = threading.Timer(limits.seconds * _PATIENCE, give_up) if limits else None
        try:
            if timer:
                timer.daemon = True
                timer.start()
            questions.write(asked)
            questions.flush()
            self._ready = self._ready or pickle.load(answers) == _READY  # noqa: S301 - our own process said it
            return pickle.load(answers)  # noqa: S301 - our own process made it
        except (EOFError, OSError, pickle.UnpicklingError):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
            status, ready = process.returncode, self._ready
            self._forget()
            if status == 0:
                raise _IdleError("it had nothing to do") from None
            if not ready and not self._closed:  # no fault of the item's
                raise _cannot_start("it ended with status %s" % status) from None
            raise EndedError(_why(status, late.is_set(), limits)) from None
        except BaseException:  # its answer must not be taken for that to another question
            self._forget()
            raise
        finally:
            if timer:
                timer.cancel()

    def _forget(self) -> None:
        self._finalizer()
        self._process = None


class _IdleError(EndedError):
    """It ended because it had no work, in the same moment as it was given some."""


def _cannot_start(why: str) -> OSError:
    return OSError("a process to read songs in cannot be started (%s)" % why)


def _started(modules: Sequence[str], idle: Optional[float]) -> subprocess.Popen:
    code = "import sys; sys.path[:] = %a; from lc_music_vae.system import processes; processes.serve(%d, %a, %a)"
    try:
        return subprocess.Popen(  # noqa: S603 - this interpreter, and our own code
            [sys.executable, "-c", code % (sys.path, os.getpid(), modules, idle)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ, **_ENVIRONMENT),
            start_new_session=True,
        )
    except OSError as e:
        raise _cannot_start(e.strerror) from e


def _pipes(process: subprocess.Popen) -> Tuple[IO[bytes], IO[bytes]]:
    """Returns where the process is asked, and where it answers."""
    return cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)


def _end(process: subprocess.Popen, owner: int) -> None:
    """Ends a process that this one started, but not one that it knows of by a fork alone."""
    if os.getpid() != owner:
        return
    process.kill()
    for stream in _pipes(process):
        with contextlib.suppress(OSError):  # what was not written yet
            stream.close()
    process.wait()


def _why(status: Optional[int], late: bool, limits: Optional[Limits]) -> str:
    if limits and (late or status == -getattr(signal, "SIGXCPU", 0)):
        return "it takes more than %d s to read" % limits.seconds
    if limits and status == _OUT_OF_MEMORY:
        return "it takes more than %d MB to read" % limits.megabytes
    if limits and status in (-signal.SIGABRT, -signal.SIGSEGV):  # what C's libraries do without memory
        return "it takes more than %d MB to read, or breaks what reads it" % limits.megabytes
    if status == -getattr(signal, "SIGKILL", 0):
        return "the process that read it was killed, most likely for want of memory"
    return "the process that read it ended with status %s" % status


def serve(parent: int, modules: Sequence[str], idle: Optional[float]) -> None:
    """Reads questions from stdin, computes, and writes answers to stdout, until stdin is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with(parent)
    asked, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)  # what libraries print must not be taken for an answer
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    light_imports.install()
    for module in modules:
        importlib.import_module(module)
    answers.write(pickle.dumps(_READY, 4))
    answers.flush()
    while True:
        answers.write(_answered(*_next(asked, idle)))
        answers.flush()


def _next(asked: Any, idle: Optional[float]) -> Any:
    timer = threading.Timer(idle, os._exit, [0]) if idle else None
    if timer:
        timer.daemon = True
        timer.start()
    try:
        return pickle.load(asked)  # noqa: S301 - our parent made it
    except EOFError:
        os._exit(0)
    finally:
        if timer:
            timer.cancel()


def _answered(limits: Optional[Limits], asked: bytes) -> bytes:
    try:
        function, item = pickle.loads(asked)  # noqa: S301 - our parent made it
        with _limited(limits):
            answer = True, function(item)
    except MemoryError:
        os._exit(_OUT_OF_MEMORY)  # there may be no memory for anything else either
    except Exception as e:
        answer = False, e
    return pickle.dumps(answer, 4)


@contextlib.contextmanager
def _limited(limits: Optional[Limits]):
    """While the block runs, the kernel ends this process after too much time and refuses it too much memory."""
    before: Dict[int, Any] = {}
    if limits and resource:
        used = time.process_time()
        before = _lowered({resource.RLIMIT_CORE: 0, resource.RLIMIT_CPU: math.ceil(used + limits.seconds)})
        with contextlib.suppress(OSError):  # where there is no /proc
            with open("/proc/self/statm") as f:
                size = int(f.read().split()[0]) * resource.getpagesize()
            before.update(_lowered({resource.RLIMIT_AS: size + (limits.megabytes << 20)}))
    try:
        yield
    finally:
        for kind, both in before.items():
            resource.setrlimit(kind, both)


def _lowered(values: Dict[int, int]) -> Dict[int, Any]:
    """Lowers this process's soft limits of these kinds, and returns what they and the hard ones were."""
    before = {}
    for kind, value in values.items():
        soft, hard = before[kind] = resource.getrlimit(kind)
        given = [value] + [one for one in (soft, hard) if one != resource.RLIM_INFINITY]
        resource.setrlimit(kind, (min(given), hard))
    return before


def _end_with(parent: int) -> None:
    """Asks the kernel to end this process with its parent. Where it cannot, the process ends when it has answered."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if hasattr(os, "getppid") and os.getppid() != parent and os.name != "nt":
        os._exit(1)  # it has ended already
