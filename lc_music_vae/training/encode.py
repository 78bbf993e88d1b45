"""Encodes songs for a later training, all or a share of them: `midime_train.py --mode=encode` and notebooks call this.

Any number of machines may encode into one run folder at the same time. They agree on the songs by the list there; see
`song_list`. Everything that can be checked without a model is checked before TensorFlow is imported.
"""

import contextlib
import dataclasses
import functools
import logging
from typing import Any, Callable, List, Optional, Sequence

from lc_music_vae.checkpoints import model_files, song_list
from lc_music_vae.checkpoints.checkpoint import Checkpoint
from lc_music_vae.checkpoints.song_list import SongList
from lc_music_vae.errors import InputError
from lc_music_vae.music import examples
from lc_music_vae.options import BEAM, Encoding, Path, Paths, Reading, Training, names_of, path_of, paths_of
from lc_music_vae.system import interrupts, results, talk
from lc_music_vae.training import job as jobs
from lc_music_vae.training import places
from lc_music_vae.training import songs as songs_lib
from lc_music_vae.training.job import Job

logger = logging.getLogger(__name__)

_TAKEN = ("augment", "holdout")  # fields of `Training` that change how songs are encoded


@talk.heard()
def encode(
    config: Optional[str],
    examples_path: Optional[Paths],
    run_dir: Path,
    *,
    how: Encoding = Encoding(),
    pretrained_path: Optional[Path] = None,
    options: Training = Training(),
    reading: Optional[Reading] = None,
    **named: Any,
) -> List[str]:
    """Encodes songs to latents in `run_dir`, and trains nothing. What is encoded already is left as it is.

    The first call for a `run_dir` lists the songs there. Later calls go by that list, with the same `examples_path` or
    none, so that shares fit together although files come and go. Songs for a trained run, with `add_songs`, have a list
    of their own, of those that are new to the run.

    Example:
        >>> encode("lc-cat-mel_2bar_small", "songs/", "my_run", shard="1/2")  # on one machine
        >>> encode("lc-cat-mel_2bar_small", "songs/", "my_run", shard="2/2")  # on another
        >>> train("lc-cat-mel_2bar_small", "songs/", "my_run")

    Args:
        config: Name in the registry; None means as for `train`.
        examples_path: Songs, as for `train`; each machine must have them at the same path.
        run_dir: The run's folder, which the machines share, or whose `latents/` (and `holdout/`) are copied together.
        how: Which songs, which share of them, and what runs the encoding.
        pretrained_path: MusicVAE's checkpoint, as for `train`; with Beam, also the address of a bundle.
        options: `augment` and `holdout`; only training takes the other options.
        reading: How songs are read; None means the defaults of `Reading`, or as the first share was encoded.
        named: Single fields of `Encoding`, `Training` and `Reading`; they replace those in the records.

    Returns:
        The files with the latents of the share, in the order of the songs.

    Raises:
        InputError: A given value is not usable, or contradicts what other shares of `run_dir` began with; a song is
            gone or has changed since the list was made; or something cannot be written.
    """
    how = dataclasses.replace(how, **{name: named.pop(name) for name in names_of(Encoding) if name in named})
    options, read = jobs.put_in(named, options, reading)
    for name, value in options.given().items():
        if name not in _TAKEN:
            raise InputError("--%s=%s: mode encode does not take it; leave it out" % (name, value))
    share = song_list.share_of(how.shard or "1/1")
    beam_options = _beam_options(how)
    paths = paths_of("examples_path", examples_path) if examples_path else []
    with contextlib.ExitStack() as stack:
        place = stack.enter_context(places.of(run_dir, paths, beam_options, add_songs=how.add_songs))
        folder = place.folder
        run = folder.read()
        if run is not None and not how.add_songs:
            raise InputError("--run_dir=%s: trained already; --add_songs encodes other songs for it" % folder.path)
        addition = songs_lib.addition(run, how.add_songs)
        listed = folder.listed(addition)
        pretrained = path_of("pretrained_path", pretrained_path) if pretrained_path else None
        config = jobs.config_of(config, jobs.config_begun(run, listed), pretrained)
        settings = jobs.settings_of(folder, run, config, options=options, reading=read, listed=listed)
        if run is None and listed is None:
            place.check_free(config)
        songs = place.find(run, paths, add_songs=how.add_songs, listed=listed)
        if not songs.new:
            results.logger.info("%s was trained on all of these songs; there is nothing to encode", folder.path)
            return []
        on_disk = stack.enter_context(places.on_disk("--pretrained_path", pretrained, beam_options))
        checkpoint = model_files.find_pretrained("--pretrained_path", on_disk, config=config, run=run, listed=listed)
        if pretrained and on_disk != pretrained:  # a copy
            checkpoint = checkpoint._replace(path=pretrained)
        folder.make()
        folder.mark()
        examples.start_reading()  # it is ready before TensorFlow is
        job = Job(folder, run, settings, songs, checkpoint, options)
        with interrupts.saying(lambda: "while songs were read"):
            if listed is None:
                listed = _list(place, job, paths, share)
                # Another process may have made the list at the same moment, for other songs.
                jobs.settings_of(folder, run, config, options=options, reading=read, listed=listed)
                songs_lib.check_path(folder.song_list(addition), listed, paths)
            made = _encode(place, job, listed, share=share, how=how)
    return made


def _list(place: places.Here, job: Job, paths: Sequence[str], share: song_list.Share) -> SongList:
    """Lists the new songs, found in these paths, in the run's folder; returns the list that is there then."""
    from lc_music_vae.training import encoded

    way, settings = encoded.encoding(job.settings, job.run, job.checkpoint), job.settings
    made = SongList(
        songs_lib.absolute(paths),
        settings.config,
        settings.augment,
        settings.holdout,
        settings.melody_track,
        settings.metre,
        way.made_with.fingerprint,
        share.total,
        tuple(place.divided(job.songs)),
    )
    return place.write_first(made, job.songs.addition)


def _beam_options(how: Encoding) -> Any:
    """Returns Beam's options; None if Beam is not asked for.

    Raises:
        InputError: Beam is not installed, or does not take its arguments.
    """
    if how.runner is None:
        if how.beam_args is not None:
            raise InputError("--beam_args=%s is for --runner=%s; leave it out, or give that" % (how.beam_args, BEAM))
        return None
    from lc_music_vae.encoding import beam

    return beam.options_of(how.beam_args or "")


def _elsewhere(how: Encoding, checkpoint: Checkpoint) -> Optional[Callable]:
    """Returns what encodes shards in other processes; None if this process does."""
    if how.runner is None:
        return None
    from lc_music_vae.encoding import beam

    return functools.partial(beam.encode, checkpoint=checkpoint, arguments=how.beam_args or "")


def _encode(place: places.Here, job: Job, listed: SongList, *, share: song_list.Share, how: Encoding) -> List[str]:
    """Encodes a share, after `encode` has checked everything; returns its files."""
    from lc_music_vae.encoding import latents
    from lc_music_vae.training import encoded, report

    checkpoint, addition = job.checkpoint, job.songs.addition
    way = encoded.encoding(job.settings, job.run, checkpoint)
    encoded.check_listed(listed, way, checkpoint)
    planned = latents.plan_listed(listed, addition)
    mine = [planned[i] for i in listed.shares(share.total)[share.number - 1]]
    if not mine:
        logger.warning("--shard=%d/%d has no songs: they are divided into %d", *share, len(planned))
        return []
    done = place.complete(mine, way, _elsewhere(how, checkpoint))
    encoded.check_unchanged(checkpoint, way.pretrained)
    results.logger.info("--shard=%d/%d is encoded: %s", *share, report.counted(done.rows))
    unused = sum(not row.slices for row in done.rows)
    if unused:
        logger.warning("%d of %d songs gave no window; training lists them in examples.tsv", unused, len(done.rows))
    written = place.names()
    missing = [i for i, (name, _) in enumerate(planned) if name + ".json" not in written]
    if missing:
        logger.info("still to encode: --shard=%s", listed.shares_with(missing))
    else:
        logger.info(
            "all songs are encoded; now train, with the same --run_dir%s", " and --add_songs" if addition else ""
        )
    return done.files
