"""Encodes pieces of a collection as an Apache Beam pipeline: one element a piece, which becomes one file.

What is mapped is a plain function of this module, which workers import by its name. So a worker needs this package, the
songs and the checkpoint, at the same paths or at addresses, and the folder to write to. A checkpoint that ships is that
of the worker's own package. Nothing that holds a TensorFlow session is ever pickled: each process makes its encoder
once, when it needs one.

Beam is imported inside functions: it is an extra, and nothing else waits for it.
"""

import contextlib
import functools
import importlib
import io
import logging
import os
import re
import shlex
import threading
import time
import traceback
from typing import Any, Dict, Iterator, NamedTuple, Optional, Sequence, Tuple

from lc_music_vae.checkpoints import finding, shards
from lc_music_vae.checkpoints.checkpoint import Checkpoint
from lc_music_vae.checkpoints.weights import ENCODER_SCOPE, Weights
from lc_music_vae.encoding import beam_workers, far, latents
from lc_music_vae.encoding.latents import Planned
from lc_music_vae.errors import InputError
from lc_music_vae.system import addresses, light_imports, talk

logger = logging.getLogger(__name__)

_NAMESPACE = "lc_music_vae"
_READ, _WINDOWS, _LEFT_OUT = "songs read", "windows", "songs left out: "
_one_at_a_time = threading.Lock()  # a process has one converter; TensorFlow uses its cores


class _MusicVAE(NamedTuple):
    """Where a worker finds MusicVAE.

    Attributes:
        name: The config's name.
        checkpoint: Its checkpoint, at the same path on each machine, or with an address for a path.
        shipped: If the checkpoint ships: the name of its file.
        fingerprint: What its encoder's fingerprint must be.
    """

    name: str
    checkpoint: Checkpoint
    shipped: Optional[str]
    fingerprint: str


class _Work(NamedTuple):
    """How pieces are encoded: the folder to write to, how latents are made, and MusicVAE."""

    folder: str
    made_with: shards.MadeWith
    music_vae: _MusicVAE


def options_of(arguments: str) -> Any:
    """Returns Beam's options from arguments as on a command line.

    Raises:
        InputError: Beam is not installed, or does not take them.
    """
    try:
        import apache_beam  # noqa: F401 - whether it is there
        from apache_beam.options.pipeline_options import PipelineOptions, SetupOptions
    except ImportError as e:
        raise InputError("--runner=beam needs Apache Beam (%s); install what is in requirements-beam.txt" % e) from e
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):  # a page of usage, and then what is wrong
            options = PipelineOptions(shlex.split(arguments))
            unknown = set(options.get_all_options(retain_unknown_options=True)) - set(options.get_all_options())
    except (SystemExit, ValueError) as e:
        why = (said.getvalue().strip().splitlines() or [str(e)])[-1].split("error: ")[-1]
        raise InputError("--beam_args=%s: Beam does not take them (%s)" % (arguments, why)) from e
    if unknown:
        raise InputError("--beam_args=%s: Beam knows no argument called %s" % (arguments, ", ".join(sorted(unknown))))
    for plugin in options.view_as(SetupOptions).beam_plugins or []:  # workers import these, too
        try:
            importlib.import_module(plugin)
        except ImportError as e:
            raise InputError("--beam_args=%s: no module called %s can be imported (%s)" % (arguments, plugin, e)) from e
    return options


def encode(
    missing: Dict[int, Planned], folder: str, made_with: shards.MadeWith, *, checkpoint: Checkpoint, arguments: str
) -> Dict[int, shards.Record]:
    """Encodes shards to a folder in a pipeline that runs as `arguments` say; waits for it, and says what it counted.

    Args:
        missing: The shards, by number.
        folder: The folder.
        made_with: How they are made.
        checkpoint: MusicVAE's checkpoint.
        arguments: Beam's arguments, as on a command line.

    Returns:
        Their records, by number.

    Raises:
        InputError: A song has changed, the arguments do not fit, or the pipeline failed.
    """
    import apache_beam

    where = folder if addresses.is_address(folder) else os.path.abspath(folder)
    work = _Work(where, made_with, _music_vae(made_with, checkpoint))
    began = time.monotonic()
    try:
        with _workers_find_the_package(), beam_workers.noticed(), contextlib.ExitStack() as at_the_end:
            at_the_end.callback(_encoder.cache_clear)
            pipeline = apache_beam.Pipeline(options=options_of(arguments))  # running a pipeline changes its options
            pieces = pipeline | "pieces" >> apache_beam.Create(sorted(missing.items()))
            # Without this, a runner may give all pieces to one worker.
            spread = pieces | "spread" >> apache_beam.Reshuffle()
            spread | "encode" >> apache_beam.Map(functools.partial(_encode_piece, work))
            result = pipeline.run()
            result.wait_until_finish()
    except Exception as e:  # what the work raised comes back as text, often in a runner's own exception
        raise _failed(e) from e
    _say(_counters(result), time.monotonic() - began)
    found = _records(missing, folder, made_with)
    lost = [planned.name for i, planned in missing.items() if i not in found]
    if lost:
        raise InputError(
            "--runner=beam: the pipeline has ended, but %s is not in %s; its workers must write to this folder"
            % (lost[0], folder)
        )
    return found


def _records(made: Dict[int, Planned], folder: str, made_with: shards.MadeWith) -> Dict[int, shards.Record]:
    """Returns the records of shards, by number; those that are not there are left out."""
    if any(far.is_far(planned, folder) for planned in made.values()):
        return far.records(folder, made, made_with)
    found = {i: shards.read_record(os.path.join(folder, planned.name)) for i, planned in made.items()}
    return {i: record for i, record in found.items() if record is not None}


def _encode_piece(work: _Work, piece: Tuple[int, Planned]) -> None:
    """Encodes one piece. Runs in a worker, which may be another process."""
    light_imports.install()
    from apache_beam.metrics import Metrics

    from lc_music_vae.encoding import songs

    number, planned = piece
    made_with = work.made_with
    with talk.heard(), far.at_hand(Planned(*planned), work.folder) as here:
        paths: Dict[int, Sequence[str]] = {number: [song.path for song in here.planned.songs]}
        with songs.reading(paths, made_with, 0) as converted, _one_at_a_time:
            encode = _encoder(work.music_vae).encode
            named = here.named(converted)
            record = latents.encode_piece(here.planned, named, here.folder, made_with=made_with, encode=encode)
    for name, count in _counted(record.made).items():
        Metrics.counter(_NAMESPACE, name).inc(count)


def _music_vae(made_with: shards.MadeWith, checkpoint: Checkpoint) -> _MusicVAE:
    """Returns where workers find the MusicVAE that this machine has at `checkpoint`."""
    shipped = os.path.basename(checkpoint.path) if os.path.dirname(checkpoint.path) == finding.SHIPPED else None
    # The bundle's run.json is of no use here.
    return _MusicVAE(made_with.music_vae, checkpoint._replace(run=None), shipped, made_with.fingerprint)


@functools.lru_cache(maxsize=1)
def _encoder(music_vae: _MusicVAE) -> Any:
    """Returns the encoder, which is made once per process.

    Raises:
        InputError: This worker finds no checkpoint, or one with other weights.
    """
    from lc_music_vae.models import music_vae as models

    checkpoint = music_vae.checkpoint
    if music_vae.shipped:
        checkpoint = finding.shipped(music_vae.shipped)
    with far.on_disk(checkpoint.flag, checkpoint.path) as path:
        if path != checkpoint.path:
            checkpoint = finding.find(path, checkpoint.flag)
        weights = Weights(checkpoint)
        if weights.fingerprint(ENCODER_SCOPE) != music_vae.fingerprint:
            raise InputError(
                "%s=%s holds other weights on a worker than where the command was given; give each machine the same"
                % (checkpoint.flag, path)
            )
        return models.Encoder(music_vae.name, weights)


def _counted(made: shards.Shard) -> Dict[str, int]:
    """Returns what a piece adds to the counters."""
    counts = {_READ: len(made.rows), _WINDOWS: made.windows}
    for row in made.rows:
        if not row.slices:
            why = _LEFT_OUT + _kind(row)
            counts[why] = counts.get(why, 0) + 1
    return counts


def _kind(row: shards.Row) -> str:
    """Returns why a song gave no windows, without what is of this song alone: counters are few."""
    if row.path in row.reason:
        return "cannot be read"
    return re.sub(r"\d+", "n", re.split("[:;]", row.reason)[0]) or "no windows"


def _counters(result: Any) -> Dict[str, int]:
    """Returns the counters of a pipeline, by name; those that its runner does not give are not there."""
    from apache_beam.metrics.metric import MetricsFilter

    found = result.metrics().query(MetricsFilter().with_namespace(_NAMESPACE))["counters"]
    return {counter.key.metric.name: counter.result for counter in found}


def _say(counters: Dict[str, int], seconds: float) -> None:
    left_out = ", ".join(
        "%d %s" % (count, name[len(_LEFT_OUT) :])
        for name, count in sorted(counters.items())
        if name.startswith(_LEFT_OUT)
    )
    windows = counters.get(_WINDOWS, 0)
    logger.info(
        "beam: %d songs read (left out: %s), %d windows, %.1f windows a second",
        counters.get(_READ, 0),
        left_out or "none",
        windows,
        windows / seconds,
    )


@contextlib.contextmanager
def _workers_find_the_package() -> Iterator[None]:
    """Lets processes that are started meanwhile import this package, wherever it is."""
    before = os.environ.get("PYTHONPATH")
    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    os.environ["PYTHONPATH"] = os.pathsep.join([folder] + ([before] if before else []))
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


def _failed(error: Exception) -> InputError:
    """Returns the error to raise if a pipeline failed: what the work said, else the end of what the runner said."""
    text = re.sub(r" \[while running .*?\]", "", "".join(traceback.format_exception_only(type(error), error)))
    ours = re.search(r"InputError: (.+)", text)
    if ours:
        return InputError(ours.group(1))
    named = [line for line in text.splitlines() if re.match(r"[\w.]+(Error|Exception): .", line)]
    # An error of a connection is several lines: its details are in one, and the last has a bracket alone.
    details = re.findall(r'^\s*details = "(.+)"$', text, re.MULTILINE)
    said = (named or details or text.splitlines())[-1].strip()
    if said == "Deadline Exceeded":  # also of a pipeline that still runs, or that waits for a worker that was killed
        return InputError(
            "--runner=beam: Beam has waited for the job service as long as it does, 60 s if it is not told; what is "
            "encoded is kept; give --beam_args=--job_server_timeout=86400, or as many seconds as encoding may take"
        )
    return InputError("--runner=beam: the pipeline failed (%s); --log=DEBUG says more" % said)
