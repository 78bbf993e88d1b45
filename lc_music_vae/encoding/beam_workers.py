"""Notices when a worker process of Beam's multi-processing mode is killed, for which Beam 2.48 would wait for ever."""

import contextlib
import logging
import threading
from typing import Any, Iterator, List

logger = logging.getLogger(__name__)

_ENDED = (
    "a worker of the pipeline has ended (%s), perhaps because memory ran out; what is encoded is kept, and the same "
    "command goes on"
)


class _Connection:
    """A connection to a worker, of Beam's `ControlConnection`, whose open requests fail once the worker has ended."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._open: List[Any] = []  # Beam's `ControlFuture` of each request without an answer
        self._ended = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def push(self, request: Any) -> Any:
        """Sends a request; returns its future."""
        future = self._connection.push(request)
        if future is not None:
            with self._lock:
                self._open = [one for one in self._open if not one.is_done()] + [future]
                if self._ended:
                    self._fail()
        return future

    def end(self, why: str) -> None:
        """Lets all requests fail that have no answer, and all later ones."""
        with self._lock:
            self._ended = why
            self._fail()

    def _fail(self) -> None:
        from apache_beam.portability.api import beam_fn_api_pb2

        # An answer, as Beam waits on after `ControlFuture.abort` where the request has output.
        for future in self._open:
            if not future.is_done():
                error = "InputError: " + self._ended
                future.set(beam_fn_api_pb2.InstructionResponse(instruction_id=future.instruction_id, error=error))


@contextlib.contextmanager
def noticed() -> Iterator[None]:
    """Lets pipelines that are run by the block fail if a worker ends; the other workers finish what they have."""
    from apache_beam.portability import python_urns
    from apache_beam.runners.portability import local_job_service
    from apache_beam.runners.portability.fn_api_runner import worker_handlers

    class Handler(worker_handlers.SubprocessSdkWorkerHandler):
        """Beam's own, but what comes after the end of the process is noticed."""

        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            self.control_conn: Any = _Connection(self.control_conn)

        def start_worker(self) -> None:
            self.worker = local_job_service.SubprocessSdkWorker(
                self._worker_command_line, self.control_address, self.provision_info, self.worker_id
            )
            self.worker_thread = threading.Thread(name="run_worker", target=self._run)
            self.worker_thread.start()

        def stop_worker(self) -> None:
            # Beam tells this to workers that are connected alone; one that connects now would wait for work.
            self.control_conn.push(worker_handlers.Sentinel.sentinel)
            super().stop_worker()

        def _run(self) -> None:
            why = "exit status 0"
            try:
                self.worker.run()
            except RuntimeError as e:  # the exit status is another
                why = str(e)
                logger.warning("a worker of the pipeline has ended (%s); the others finish what they have", why)
            self.control_conn.end(_ENDED % why)

    register = worker_handlers.WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)
    register(Handler)
    try:
        with _broken_connections_are_quiet():
            yield
    finally:
        register(worker_handlers.SubprocessSdkWorkerHandler)


@contextlib.contextmanager
def _broken_connections_are_quiet() -> Iterator[None]:
    """Keeps Beam's threads from printing a traceback each when their worker has ended; Python 3.7 prints them."""
    import grpc

    threads: Any = threading
    before = getattr(threads, "excepthook", None)
    if before is None:
        yield
        return

    def hook(given: Any) -> None:
        if not issubclass(given.exc_type, grpc.RpcError):
            before(given)

    threads.excepthook = hook
    try:
        yield
    finally:
        threads.excepthook = before
