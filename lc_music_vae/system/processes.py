"""Worker processes that this process can end at any moment, even if they are busy.

A damaged file can keep a regular expression or a parser busy forever. It then blocks the interpreter: signals are not
handled and other threads do not run. In a separate process, the kernel limits the time and the memory of the work.
This process waits for it and can handle signals.

A worker is a new process, not a fork, because TensorFlow does not work after a fork. Unlike the processes of
`multiprocessing`, it does not run the user's script again. It has its own session, so that Ctrl-C reaches this process
only. It ends when the thread that started it ends, for any reason.
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
except ImportError:  # Windows: only the time is limited
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
    MALLOC_ARENA_MAX="1",  # each arena takes 64 MB of address space, which counts towards the memory limit
)
_PATIENCE = 12  # limit of wall-clock time, in multiples of the CPU time limit: the machine may be slow, or busy
_OUT_OF_MEMORY = 77  # exit status
_READY = "ready"
_SET_PARENT_DEATH_SIGNAL = 1  # Linux's PR_SET_PDEATHSIG


class Limits(NamedTuple):
    """Limits of one computation: seconds of CPU time, and MB in addition to what the process already has."""

    seconds: int
    megabytes: int


class EndedError(Exception):
    """A process ended before it gave an answer. The text says why."""


class Worker:
    """A process that computes one item at a time. It starts when it is first needed, and again after it has ended."""

    def __init__(self, modules: Sequence[str] = (), idle: Optional[float] = None):
        """Describes the process.

        Args:
            modules: The modules that it imports before it answers the first question.
            idle: Seconds without work after which it ends; None means never.
        """
        self._modules, self._idle = list(modules), idle
        self._process: Optional[subprocess.Popen] = None
        self._ready = False
        self._finalizer: Callable = lambda: None
        self._lock = threading.Lock()  # between starting and closing
        self._closed = False

    def start(self) -> subprocess.Popen:
        """Starts the process if it is not running, and does not wait until it is ready."""
        with self._lock:
            if self._closed:
                raise EndedError("it is not needed any more")
            if self._process is None:
                self._process, self._ready = _started(self._modules, self._idle), False
                self._finalizer = weakref.finalize(self, _end, self._process, os.getpid())
            return self._process

    def compute(self, function: Callable[[Any], Any], item: Any, limits: Optional[Limits] = None) -> Any:
        """Returns `function(item)`, computed in the process. Function, item and result must be picklable.

        Raises:
            EndedError: The process ended on its own, or because it exceeded the limits.
            OSError: The process cannot be started.
            Exception: Any error that `function` raises.
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
        """Ends the process for good. May be called in a different thread from the one that computes."""
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
            self._ready = self._ready or pickle.load(answers) == _READY  # noqa: S301 - from our own process
            return pickle.load(answers)  # noqa: S301 - from our own process
        except (EOFError, OSError, pickle.UnpicklingError):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)
            status, ready = process.returncode, self._ready
            self._forget()
            if status == 0:
                raise _IdleError("it had nothing to do") from None
            if not ready and not self._closed:  # the item is not the cause
                raise _cannot_start("it ended with status %s" % status) from None
            raise EndedError(_why(status, late.is_set(), limits)) from None
        except BaseException:  # its answer must not be used as the answer to another question
            self._forget()
            raise
        finally:
            if timer:
                timer.cancel()

    def _forget(self) -> None:
        self._finalizer()
        self._process = None


class _IdleError(EndedError):
    """The process ended because it had no work, at the same moment as it was given work."""


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
    """Returns the pipe for questions to the process, and the pipe for its answers."""
    return cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)


def _end(process: subprocess.Popen, owner: int) -> None:
    """Ends a process if this process started it. Does nothing in a fork of the process that started it."""
    if os.getpid() != owner:
        return
    process.kill()
    for stream in _pipes(process):
        with contextlib.suppress(OSError):  # data that is not written yet
            stream.close()
    process.wait()


def _why(status: Optional[int], late: bool, limits: Optional[Limits]) -> str:
    if limits and (late or status == -getattr(signal, "SIGXCPU", 0)):
        return "it takes more than %d s to read" % limits.seconds
    if limits and status == _OUT_OF_MEMORY:
        return "it takes more than %d MB to read" % limits.megabytes
    if limits and status in (-signal.SIGABRT, -signal.SIGSEGV):  # how C libraries end when there is no memory
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
    os.dup2(nothing, 1)  # text that libraries print must not be read as an answer
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
        return pickle.load(asked)  # noqa: S301 - from our parent
    except EOFError:
        os._exit(0)
    finally:
        if timer:
            timer.cancel()


def _answered(limits: Optional[Limits], asked: bytes) -> bytes:
    try:
        function, item = pickle.loads(asked)  # noqa: S301 - from our parent
        with _limited(limits):
            answer = True, function(item)
    except MemoryError:
        os._exit(_OUT_OF_MEMORY)  # there may be no memory for anything else either
    except Exception as e:
        answer = False, e
    return pickle.dumps(answer, 4)


@contextlib.contextmanager
def _limited(limits: Optional[Limits]):
    """While the block runs, the kernel limits the time and the memory of this process."""
    before: Dict[int, Any] = {}
    if limits and resource:
        used = time.process_time()
        before = _lowered({resource.RLIMIT_CORE: 0, resource.RLIMIT_CPU: math.ceil(used + limits.seconds)})
        with contextlib.suppress(OSError):  # if there is no /proc
            with open("/proc/self/statm") as f:
                size = int(f.read().split()[0]) * resource.getpagesize()
            before.update(_lowered({resource.RLIMIT_AS: size + (limits.megabytes << 20)}))
    try:
        yield
    finally:
        for kind, both in before.items():
            resource.setrlimit(kind, both)


def _lowered(values: Dict[int, int]) -> Dict[int, Any]:
    """Lowers this process's soft limits of these kinds, and returns the soft and hard limits from before."""
    before = {}
    for kind, value in values.items():
        soft, hard = before[kind] = resource.getrlimit(kind)
        given = [value] + [one for one in (soft, hard) if one != resource.RLIM_INFINITY]
        resource.setrlimit(kind, (min(given), hard))
    return before


def _end_with(parent: int) -> None:
    """Asks the kernel to end this process with its parent. If it cannot, the process ends after its answer."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
    if hasattr(os, "getppid") and os.getppid() != parent and os.name != "nt":
        os._exit(1)  # the parent has already ended
