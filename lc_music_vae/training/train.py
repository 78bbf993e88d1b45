"""Trains the small VAE: `midime_train.py` and notebooks call this module.

Everything that can be checked without a model is checked before TensorFlow is imported.
"""

import contextlib
import functools
import importlib
import logging
import os
from typing import Any, Optional, Tuple

from lc_music_vae.checkpoints import bundles, finding, model_files, run_json
from lc_music_vae.checkpoints.checkpoint import Checkpoint
from lc_music_vae.checkpoints.run_json import RunJson
from lc_music_vae.errors import InputError
from lc_music_vae.music import examples
from lc_music_vae.options import Path, Paths, Reading, Training, check_kind, path_of, paths_of
from lc_music_vae.system import files, interrupts, results, talk
from lc_music_vae.training import job as jobs
from lc_music_vae.training import songs as songs_lib
from lc_music_vae.training.job import Job

logger = logging.getLogger(__name__)


@talk.heard()
def train(
    config: Optional[str],
    examples_path: Optional[Paths],
    run_dir: Path,
    *,
    pretrained_path: Optional[Path] = None,
    options: Training = Training(),
    reading: Optional[Reading] = None,
    add_songs: bool = False,
    **named: Any,
) -> str:
    """Trains the small VAE of `config` on songs; continues where an earlier call with the same `run_dir` stopped.

    To continue, give the songs that the run was trained on (file names may differ), unless `add_songs` is set.

    Example:
        >>> train("lc-cat-mel_2bar_small", "my_songs/", "my_run", num_steps=200, hparams={"encoded_z_size": 8})

    Args:
        config: Name in the registry; None means the run's own, else lc-cat-mel_2bar_small.
        examples_path: A music file, a TFRecord of NoteSequences, a glob or a folder; or several of them. None means
            the songs that `encode` has listed in `run_dir`, or those that the run was trained on.
        run_dir: The run's folder; see `run_dir.RunDir`.
        pretrained_path: MusicVAE's checkpoint (tar, prefix or folder); None means the one that ships with the toolkit.
        options: How training is done.
        reading: How songs are read; None means as before, or the defaults of `Reading` if the run is new.
        add_songs: Whether to continue with the songs of `examples_path` and all songs that were trained on before.
        named: Single fields of `Training` and `Reading`, such as `num_steps`; they replace those in the records.

    Returns:
        Path of the bundle `{run_dir}/{config}.tar`: the small VAE and `run.json`.

    Raises:
        InputError: A given value is not usable, or contradicts the contents of `run_dir`; another training is using
            `run_dir`; or something cannot be written.
        KeyboardInterrupt: Training was stopped; the same call continues it.
    """
    options, read = jobs.put_in(named, options, reading)
    if options.fidelity and options.num_steps:
        raise InputError(
            "--fidelity=%s: --num_steps=%d says where training ends; leave one of them out"
            % (options.fidelity, options.num_steps)
        )
    check_kind("add_songs", add_songs, bool)
    folder = jobs.folder_of(run_dir)
    run = folder.read()
    listed = folder.listed(songs_lib.addition(run, add_songs))
    if not (examples_path or listed or run):
        raise songs_lib.needed()
    pretrained = path_of("pretrained_path", pretrained_path) if pretrained_path else None
    config = jobs.config_of(config, jobs.config_begun(run, listed), pretrained)
    settings = jobs.settings_of(folder, run, config, options=options, reading=read, listed=listed)
    paths = paths_of("examples_path", examples_path) if examples_path else []
    songs = songs_lib.find(folder, run, paths, add_songs=add_songs, listed=listed)
    checkpoint = model_files.find_pretrained("--pretrained_path", pretrained, config=config, run=run, listed=listed)
    bundle = _begin(Job(folder, run, settings, songs, checkpoint, options))
    logger.info("  the model to keep or share:")
    results.logger.info("%s", bundle)
    return bundle


def _begin(job: Job) -> str:
    """Trains, unless that is done already, in a folder that no other training is using; returns the bundle."""
    folder, run = job.folder, job.run
    bundle = folder.bundle(job.settings.config)
    prefix, step = folder.latest()
    if run is None:
        folder.check_free(job.settings.config)
    elif _is_learned(job, step):
        if job.songs.new:
            raise InputError(
                "--add_songs: this run is trained to step %d already, and would learn nothing of what is new; give a "
                "larger --num_steps, or --num_steps=0" % step
            )
        is_complete = all(map(os.path.isfile, (bundle, folder.songs))) and run.knobs is not None
        if is_complete and job.songs.kept.is_whole():
            logger.info("%s is trained to step %d already; to go on, give a larger --num_steps", folder.path, step)
            return bundle
    folder.make()
    if run is None:  # else the songs are usually encoded already
        examples.start_reading()  # it is ready before TensorFlow is
    with folder.held(), interrupts.saying(lambda: _at_step(job)):
        if folder.read() != run or folder.latest()[0] != prefix:
            raise InputError("--run_dir=%s was trained in by another process just now; try again" % folder.path)
        return _train(job)


def _at_step(job: Job) -> str:
    of = " of %d" % job.options.num_steps if job.options.num_steps else ""
    return "at step %d%s" % (job.folder.latest()[1], of)


def _is_learned(job: Job, step: int) -> bool:
    """Returns whether a run that has reached `step` needs no training for what is asked."""
    if job.options.num_steps:
        return step >= job.options.num_steps
    return job.run is not None and 0 < job.run.learned <= step and not job.songs.new


def _train(job: Job) -> str:
    """Trains, after `train` has checked everything; returns the bundle."""
    from lc_music_vae.training import encoded, report

    with interrupts.saying(lambda: "while songs were read"):
        found, held_out, pretrained = encoded.for_training(job)
    report.write(found, job.folder.examples)
    if job.settings.holdout:
        report.say_held_out(held_out, job.settings.holdout)
    step = _go_on(job, found)
    names = [os.path.basename(path) for path in found.shards]
    began = RunJson(
        job.settings,
        pretrained,
        run_json.Examples(job.songs.path, found.num_windows, names, job.songs.contents()),
        found.style,
        job.run.latent if job.run else run_json.Latent(),
        step,
        job.run.learned if job.run else 0,
        job.run.score if job.run else None,
        job.run.knobs if job.run else None,
    )
    job.folder.write(began)
    reached = "" if _is_learned(job, step) else _learn(job, found, began)
    bundle, has_page = _finish(job, found, began, held_out=held_out)
    logger.info("trained to step %d on %s%s", job.folder.latest()[1], report.counted(found.rows), reached)
    logger.info("  its curves and a map of its latent: %s", job.folder.picture)
    if has_page:
        logger.info("  a page that plays the model: %s", job.folder.play_page)
    return bundle


def _go_on(job: Job, found: Any) -> int:
    """Returns the step that training continues from, that of a complete checkpoint; 0 at the beginning."""
    from lc_music_vae.training import estimator

    prefix, step = job.folder.latest()
    before = job.folder.reached(job.run)
    if step < before:
        logger.warning("the checkpoint of step %d is gone or lacks a file; training goes on from step %d", before, step)
    if prefix is not None:
        estimator.check_resumable(prefix, step, hparams=job.settings.hparams, z_size=found.z_size)
    job.folder.list_own(prefix)
    return step


def _learn(job: Job, found: Any, began: RunJson) -> str:
    """Trains on from the step that `began` says; returns the numbers of the last step, in words."""
    from lc_music_vae.training import estimator, stopping

    options = job.options
    size = estimator.batch_size(job.settings.hparams, found.num_windows)
    last = options.num_steps or began.learned + stopping.max_steps(options.fidelity, found.num_windows, size)
    to = "to %d" % last if options.num_steps else "until it is learned, at most to %d" % last
    logger.info("training from step %d %s, %d windows a step", began.step, to, size)
    numbers, is_learned = estimator.train(
        found,
        job.settings,
        options,
        model_dir=job.folder.train,
        steps=estimator.Stretch(began.learned, began.step, last),
        # This module is for the picture after training: it is slow to load.
        meanwhile=lambda: importlib.import_module("lc_music_vae.training.looking_back"),
    )
    step = job.folder.latest()[1]
    # Estimator treats a limit on the size of files like the end of the data.
    if not (step >= last or is_learned and step > began.step):
        raise files.cannot_write(job.folder.train, EOFError("its last checkpoint is of step %d" % step))
    return ": %s" % (numbers,)


def _finish(job: Job, found: Any, began: RunJson, *, held_out: Any) -> Tuple[str, bool]:
    """Writes the final files of a training after its last checkpoint is on disk.

    Returns:
        The bundle, and whether there is a page that plays the model.
    """
    import numpy as np

    from lc_music_vae.checkpoints import songs_npz
    from lc_music_vae.checkpoints.weights import Weights
    from lc_music_vae.encoding import latents, song_hashes
    from lc_music_vae.models.small_vae import SmallVAE
    from lc_music_vae.training import knobs, looking_back

    folder, config = job.folder, job.settings.config
    prefix, step = folder.latest()
    if prefix is None:
        raise files.cannot_write(folder.train, EOFError("there is no checkpoint"))
    folder.flush_checkpoint(prefix)
    moments = latents.moments(found.shards)
    weights = Weights(job.checkpoint)
    knobs_of = functools.partial(
        knobs.of_model, moments=moments, name=job.settings.music_vae, weights=weights, style=found.style
    )
    checkpoint = finding.find(prefix, "--run_dir")
    with contextlib.closing(SmallVAE(checkpoint)) as small:
        seen = looking_back.look_back(folder, small, found, moments=moments, held_out=held_out, knobs_of=knobs_of)
        done = began._replace(**seen._asdict(), step=step, learned=step)
        folder.write(done)
        kept = songs_npz.SongsNpz(song_hashes.read(found.shards), np.array([moments.windows]), *moments[1:])
        songs_npz.write(folder.songs, kept)
        bundle = folder.bundle(config)
        bundles.write(bundle, prefix, name=config + ".ckpt", run=done.to_json(), others=[folder.songs])
        return bundle, _write_play_page(job, done, small=small, checkpoint=checkpoint, moments=moments)


def _write_play_page(job: Job, run: RunJson, *, small: Any, checkpoint: Checkpoint, moments: Any) -> bool:
    """Writes the page that plays the model, if its decoder runs there; returns whether it does.

    The training stands without it. For other decoders, `--mode=play` decodes many points, which takes longer.
    """
    from lc_music_vae import families
    from lc_music_vae.checkpoints.weights import Weights
    from lc_music_vae.encoding import song_hashes
    from lc_music_vae.models.knobs import Knobs
    from lc_music_vae.showing import play_page

    settings, path = job.settings, job.folder.play_page
    controls = families.family_of(settings.music_vae).controls
    if controls:
        logger.info("there is no page that plays the model: its decoder needs %s", controls)
        return False
    weights = Weights(checkpoint), Weights(job.checkpoint)
    shards = job.folder.kept(run).paths
    model = play_page.Playable(
        settings.config,
        settings.music_vae,
        small,
        *weights,
        run.music,
        run.latent,
        shards,
        moments,
        Knobs(run.knobs or [], small.z_size),
        song_hashes.read(shards),
    )
    try:
        return play_page.write(path, model)
    except InputError as e:
        logger.warning("there is no page that plays the model: %s", e)
        return False
