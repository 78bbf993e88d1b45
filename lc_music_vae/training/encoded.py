"""The latents that a run is trained or evaluated on. The run's MusicVAE encodes songs that are not encoded yet."""

import functools
import logging
import os
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

from lc_music_vae.checkpoints import run_json, shards
from lc_music_vae.checkpoints.checkpoint import Checkpoint
from lc_music_vae.checkpoints.checkpoint import stamp as stamp_of
from lc_music_vae.checkpoints.run_dir import RunDir
from lc_music_vae.checkpoints.run_json import RunJson, Settings
from lc_music_vae.checkpoints.song_list import SongList
from lc_music_vae.checkpoints.weights import ENCODER_SCOPE, Weights
from lc_music_vae.encoding import latents
from lc_music_vae.encoding.latents import Latents, Planned
from lc_music_vae.errors import InputError
from lc_music_vae.options import WHOLE
from lc_music_vae.training.job import Job
from lc_music_vae.training.songs import Songs

logger = logging.getLogger(__name__)


class Encoding(NamedTuple):
    """How songs are encoded.

    Attributes:
        made_with: The settings that change the latents of the same songs.
        weights: MusicVAE's weights.
        pretrained: What is recorded about the weights.
    """

    made_with: shards.MadeWith
    weights: Weights
    pretrained: run_json.Pretrained


def encoding(settings: Settings, run: Optional[RunJson], checkpoint: Checkpoint) -> Encoding:
    """Returns how songs are encoded for a run.

    Args:
        settings: The run's settings.
        run: What the run recorded before, or None.
        checkpoint: MusicVAE's checkpoint.

    Raises:
        InputError: The checkpoint is not the one that the run was trained with, or is damaged; or `--augment` does not
            work with this config.
    """
    transpositions = _transpositions(settings)
    stamp = stamp_of(checkpoint)
    weights = Weights(checkpoint)
    if run:
        weights.check_encoder(run.pretrained.fingerprint, "this run (with %s)" % run.pretrained.path)
    fingerprint = weights.fingerprint(ENCODER_SCOPE)
    made_with = shards.MadeWith(
        settings.music_vae,
        fingerprint,
        transpositions,
        settings.melody_track,
        settings.metre,
        part=(0.0, 1.0 - settings.holdout),
    )
    path = os.path.abspath(os.path.expanduser(checkpoint.path))
    return Encoding(made_with, weights, run_json.Pretrained(path, stamp, fingerprint))


def _transpositions(settings: Settings) -> Tuple[int, ...]:
    if not settings.augment:
        return (0,)
    from lc_music_vae import data  # imported here, because it loads magenta

    span = data.WindowConverter(settings.music_vae).transpose_range
    if span is None:
        raise InputError("--augment: drums cannot be transposed; leave it out")
    return tuple(range(span[0], span[1] + 1))


class Encoded(NamedTuple):
    """The songs of a training.

    Attributes:
        found: The latents to train on.
        held_out: The latents of the bars that are kept out; None if there are none.
        pretrained: What is recorded about MusicVAE.
    """

    found: Latents
    held_out: Optional[Latents]
    pretrained: run_json.Pretrained


def for_training(job: Job) -> Encoded:
    """Encodes the songs that are not encoded yet.

    Raises:
        InputError: The songs or MusicVAE are not those of the run's training, or changed while they were read.
    """
    run, songs, checkpoint = job.run, job.songs, job.checkpoint
    for path, record in zip(*songs.kept):
        if record is None:
            logger.warning("%s.json is damaged or gone; the songs of that part are encoded again", path)
    way = encoding(job.settings, run, checkpoint)
    _, weights, pretrained = way
    if songs.listed:
        check_listed(songs.listed, way, checkpoint)
    if run is None or run.pretrained.stamp != pretrained.stamp:
        weights.check_finite(but=ENCODER_SCOPE)  # those of the encoder are checked when it encodes
    planned = _planned(songs)
    say = functools.partial(_say_missing, job.folder, planned, songs)
    found, held_out = complete(planned, job.folder, way, before=say)
    if run and not songs.kept.is_known and found.num_windows != run.examples.windows:
        raise InputError(
            "--examples_path=%s gives %d windows, but %s was trained on %d: give the songs that it was trained on, or "
            "another --run_dir" % (", ".join(songs.path), found.num_windows, job.folder.path, run.examples.windows)
        )
    check_unchanged(checkpoint, pretrained)
    return Encoded(found, held_out if held_out and held_out.num_windows else None, pretrained)


def _planned(songs: Songs) -> List[Planned]:
    """Returns the shards that a training needs, in order: those that the run has, and those of what is new to it."""
    if songs.listed:
        new = latents.plan_listed(songs.listed, songs.addition)
    else:
        new = latents.plan(songs.new if songs.kept.paths else songs.given, songs.addition)
    return (latents.plan_kept(songs.kept, songs.given) if songs.kept.paths else []) + new


def _say_missing(folder: RunDir, planned: Sequence[Planned], songs: Songs, missing: Sequence[int]) -> None:
    """Warns of songs that were to be encoded before training, and are encoded now.

    Args:
        folder: The run's folder.
        planned: All shards.
        songs: The songs. Only of those that are listed something is said.
        missing: The numbers of the shards that are encoded now.
    """
    if not songs.listed:
        return
    first = len(planned) - len(songs.listed.pieces)
    listed = [i - first for i in missing if i >= first]
    if listed:
        logger.warning(
            "of %s, %d of %d songs are not encoded yet, or not whole, those of --shard=%s; they are encoded now",
            folder.latents,
            sum(len(songs.listed.pieces[i].songs) for i in listed),
            len(songs.listed.songs),
            songs.listed.shares_with(listed),
        )


def complete(
    planned: Sequence[Planned],
    folder: RunDir,
    way: Encoding,
    *,
    before: Callable[[Sequence[int]], None] = lambda missing: None,
    elsewhere: Optional[latents.Elsewhere] = None,
) -> Tuple[Latents, Optional[Latents]]:
    """Encodes what is missing of shards; returns their latents, and those of the bars that are kept out, if any are.

    Args:
        planned: The shards.
        folder: The run's folder.
        way: How songs are encoded.
        before: As for `latents.complete`, of the bars to train on.
        elsewhere: As for `latents.complete`.
    """
    weights = way.weights
    found = latents.complete(
        planned, folder.latents, way.made_with, weights=weights, before=before, elsewhere=elsewhere
    )
    rest = held_out(way.made_with)
    if rest is None:
        return found, None
    return found, latents.complete(planned, folder.holdout, rest, weights=weights, elsewhere=elsewhere)


def held_out(made_with: shards.MadeWith) -> Optional[shards.MadeWith]:
    """Returns how the latents are made of the bars that are kept out; None if none are."""
    end = made_with.part[1]
    return None if end == WHOLE[1] else made_with._replace(part=(end, WHOLE[1]), transpositions=(0,))


def check_listed(listed: SongList, way: Encoding, checkpoint: Checkpoint) -> None:
    """Raises an `InputError` unless the encoder is the one that the songs of a list are encoded with."""
    if way.made_with.fingerprint != listed.fingerprint:
        raise InputError(
            "%s=%s holds other weights than those that the other songs of --run_dir are encoded with; give that "
            "MusicVAE checkpoint" % (checkpoint.flag, checkpoint.path)
        )


def check_unchanged(checkpoint: Checkpoint, pretrained: run_json.Pretrained) -> None:
    """Raises an `InputError` if MusicVAE's checkpoint is not the same any more as when it was opened."""
    if stamp_of(checkpoint) != pretrained.stamp:
        raise InputError(
            "%s=%s changed while it was read; give the same command again" % (checkpoint.flag, checkpoint.path)
        )
