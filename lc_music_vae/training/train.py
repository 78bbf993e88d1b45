"""Training and evaluating: what `midime_train.py` calls, and notebooks.

Everything that can be wrong without a model is checked before TensorFlow is imported.
"""

import contextlib
import importlib
import logging
import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple, Union

from lc_music_vae import hparams as hparams_lib
from lc_music_vae.checkpoints import bundles, finding, model_files, run_json, shards
from lc_music_vae.checkpoints import run_dir as run_dir_lib
from lc_music_vae.checkpoints.checkpoint import Checkpoint, stamp
from lc_music_vae.checkpoints.run_dir import RunDir
from lc_music_vae.checkpoints.run_json import RunJson, Settings
from lc_music_vae.checkpoints.weights import ENCODER_SCOPE, Weights
from lc_music_vae.configs import get_config
from lc_music_vae.errors import InputError
from lc_music_vae.music import examples
from lc_music_vae.options import ModelSource
from lc_music_vae.system import files, interrupts

logger = logging.getLogger(__name__)

Paths = Union[str, Sequence[str]]

_PICTURED = 8  # samples and reconstructions in TensorBoard
_MOST_SAID = 5  # songs of a kind: a path and a reason may fill several lines of a screen
_MOST_ON_MAP = 2000  # windows: the picture of a large collection shows its beginning
_MOST = 10**9  # steps, batches, checkpoints: beyond, it is a slip of the keyboard
_MOST_THREADS = 256


def train(
    config: str,
    examples_path: Paths,
    run_dir: str,
    pretrained_path: Optional[str] = None,
    num_steps: int = 500,
    hparams: str = "",
    augment: Optional[bool] = None,
    seed: Optional[int] = None,
    checkpoints_to_keep: int = 5,
    keep_checkpoint_every_n_hours: float = 1.0,
    num_data_threads: int = 2,
    melody_track: Optional[str] = None,
    metre: Optional[str] = None,
    add_songs: bool = False,
) -> str:
    """Trains the small VAE of `config` on songs; goes on where an earlier call on the same `run_dir` stopped.

    Going on needs the songs that it was trained on, under whatever names, unless `add_songs`.

    Args:
        config: Name in the registry.
        examples_path: A music file, a TFRecord of NoteSequences, a glob or a folder; or several of them.
        run_dir: The run's folder; see `run_dir.RunDir`.
        pretrained_path: MusicVAE's checkpoint (tar, prefix or folder); None is the one that ships.
        num_steps: Global step to train to.
        hparams: Overrides of the config's hyperparameters, as in 'encoded_z_size=8,max_beta=0.5'.
        augment: Whether to train on transpositions too; None is as before, else no.
        seed: Seed of everything random; None is as before, else 0.
        checkpoints_to_keep: Newest checkpoints that are kept.
        keep_checkpoint_every_n_hours: One checkpoint in so many hours is kept for good.
        num_data_threads: Threads that read latents during training.
        melody_track: Which track of each song is its melody: 'auto', 'all', or a number or name; None is as before,
            else 'auto'.
        metre: 'any', or '4/4' to leave out what is under other time signatures; None is as before, else 'any'.
        add_songs: Whether to go on with the songs of `examples_path` and all that were trained on before.

    Returns:
        Path of the bundle `{run_dir}/{config}.tar`: the small VAE and `run.json`.

    Raises:
        InputError: Something given is not usable, or contradicts what `run_dir` holds; another training is in there; or
            something cannot be written.
        KeyboardInterrupt: It was stopped; the same call goes on.
    """
    get_config(config)
    _check_within("num_steps", num_steps, 1, _MOST)
    _check_within("checkpoints_to_keep", checkpoints_to_keep, 1, _MOST)
    _check_within("num_data_threads", num_data_threads, 1, _MOST_THREADS)
    _check_within("keep_checkpoint_every_n_hours", keep_checkpoint_every_n_hours, 0, _MOST)
    folder = run_dir_lib.at(run_dir)
    run = folder.read()
    settings = _settings(folder, run, config, hparams, augment, seed, melody_track, metre)
    songs = _songs(folder, run, examples_path, add_songs)
    checkpoint = model_files.find_pretrained("--pretrained_path", pretrained_path, config=config, run=run)
    bundle = folder.bundle(config)
    prefix, step = folder.latest()
    if run is None:
        folder.check_free(config)
    if run is not None and step >= num_steps:
        if songs.new:
            raise InputError(
                "--add_songs: this run is trained to step %d already, and would learn nothing of what is new; give a "
                "larger --num_steps" % step
            )
        if os.path.isfile(bundle) and songs.kept.is_whole():
            logger.info("%s is trained to step %d already; to go on, give a larger --num_steps", folder.path, step)
            return bundle
    folder.make()
    if run is None:  # else what was read of the songs is kept, as a rule
        examples.start_reading()  # it is ready before TensorFlow is
    with folder.held(), interrupts.saying(lambda: "at step %d of %d" % (folder.latest()[1], num_steps)):
        if folder.read() != run or folder.latest()[0] != prefix:
            raise InputError("--run_dir=%s was trained in by another process just now; try again" % run_dir)
        keep = checkpoints_to_keep, keep_checkpoint_every_n_hours
        return _train(folder, run, settings, songs, checkpoint, num_steps, *keep, num_data_threads)


class _Songs(NamedTuple):
    """What a training is to learn from.

    Attributes:
        path: What it was given as `--examples_path`, absolute, and before that.
        given: The files there.
        kept: The shards that the run was trained on already; none if it is new.
        new: Those of the files that no shard is of.
    """

    path: List[str]
    given: List[shards.File]
    kept: shards.Kept
    new: List[shards.File]


def _songs(folder: RunDir, run: Optional[RunJson], examples_path: Paths, add_songs: bool) -> _Songs:
    """Returns the songs that were given, and those that a run was trained on.

    Raises:
        InputError: They are others, and were not said to be added.
    """
    path = [os.path.abspath(os.path.expanduser(one)) for one in _as_list(examples_path)]
    given = shards.hashed(_find_examples(examples_path))
    if run is None:
        return _Songs(path, given, shards.Kept((), ()), given)
    kept = folder.kept(run)
    before = run.examples
    if add_songs:
        path = before.path + [one for one in path if one not in before.path]
    found = _Songs(path, given, kept, [])
    if not kept.is_known:
        _check_instead(folder, run, kept, given, add_songs)
        return found
    other = shards.difference(given, kept.songs)
    if not any(other):
        if {song.path for song in given} != {song.path for song in kept.songs}:
            logger.info("the songs are those that %s was trained on, under other names", folder.path)
        return found
    if add_songs:
        return found._replace(new=other.new)
    raise InputError(
        "--examples_path=%s: other songs than %s was trained on, from %s (%s); give another --run_dir, or --add_songs "
        "to go on with all of them" % (", ".join(path), folder.path, ", ".join(before.path), other.text())
    )


def _check_instead(folder: RunDir, run: RunJson, kept: shards.Kept, given: List[shards.File], add_songs: bool) -> None:
    """Refuses other songs than were trained on, where it is not known of each shard which songs it is of.

    Raises:
        InputError: They are others, or some are to be added.
    """
    contents = run.examples.contents
    if contents == shards.contents(given) and not add_songs:
        return
    lost = [path for path, record in zip(*kept) if record is None] or [folder.latents]
    if contents is not None or add_songs:
        raise InputError(
            "%s is damaged or gone; to have it made again, give as --examples_path the songs that it was made from "
            "(%s), no others, without --add_songs" % (lost[0], ", ".join(run.examples.path))
        )
    logger.warning("%s does not say which songs it was trained on; --examples_path is taken for them", folder.path)


def _train(
    folder: RunDir,
    run: Optional[RunJson],
    settings: Settings,
    songs: _Songs,
    checkpoint: Checkpoint,
    num_steps: int,
    checkpoints_to_keep: int,
    keep_checkpoint_every_n_hours: float,
    num_data_threads: int,
) -> str:
    """Does what `train` has checked, in a folder that no other training is in."""
    with interrupts.saying(lambda: "while songs were read"):
        found, pretrained = _training_latents(folder, run, settings, songs, checkpoint)
    _report(found, folder.examples)
    from lc_music_vae.training import estimator

    prefix, step = folder.latest()
    if step < folder.reached(run):
        logger.warning(
            "the checkpoint of step %d is gone or lacks a file; training goes on from step %d",
            folder.reached(run),
            step,
        )
    if prefix is not None:
        estimator.check_resumable(prefix, step, settings.hparams, found.z_size)
    folder.list_own(prefix)
    names = [os.path.basename(path) for path in found.shards]
    contents = shards.contents(songs.kept.songs + songs.new if songs.kept.is_known else songs.given)
    began = RunJson(
        settings,
        pretrained,
        run_json.Examples(songs.path, found.num_windows, names, contents),
        run_json.Music(found.qpm, found.program, found.octaves),
        run.latent if run else run_json.Latent(),
        step,
    )
    folder.write(began)
    reached = ""
    if step < num_steps:
        size = estimator.batch_size(settings.hparams, found.num_windows)
        logger.info("training from step %d to %d, %d windows a step", step, num_steps, size)
        numbers = estimator.train(
            found,
            settings.hparams,
            folder.train,
            num_steps,
            step,
            settings.seed,
            checkpoints_to_keep,
            keep_checkpoint_every_n_hours,
            num_data_threads,
            # For the picture afterwards: it is slow to load.
            lambda: importlib.import_module("lc_music_vae.training.drawing"),
        )
        reached = ": " + str(numbers)
    prefix, step = folder.latest()
    if prefix is None or step < num_steps:  # a limit on the size of files looks to Estimator like the end of the data
        raise files.cannot_write(folder.train, EOFError("its last checkpoint is of step %d" % step))
    folder.flush_checkpoint(prefix)
    done = began._replace(latent=_look_back(folder, prefix, found), step=step)
    folder.write(done)
    bundle = folder.bundle(settings.config)
    bundles.write(bundle, prefix, name=settings.config + ".ckpt", run=done.to_json())
    logger.info("trained to step %d on %s%s", step, _counted(found), reached)
    logger.info("  the model to keep or share: %s", bundle)
    logger.info("  its curves and a map of its latent: %s", folder.picture)
    return bundle


def evaluate(
    run_dir: str,
    examples_path: Optional[Paths] = None,
    eval_num_batches: Optional[int] = None,
    eval_dir_suffix: str = "",
    pretrained_path: Optional[str] = None,
    config: Optional[str] = None,
) -> Dict[str, Any]:
    """Evaluates the newest checkpoint in `run_dir` once, on its training songs or on others.

    Args:
        run_dir: The run's folder.
        examples_path: Songs, as for `train`; None is those that it was trained on.
        eval_num_batches: Batches to evaluate; None is all.
        eval_dir_suffix: The scalars go to `{run_dir}/eval{eval_dir_suffix}`.
        pretrained_path: MusicVAE's checkpoint; None is the one that training used.
        config: None, or the name of the config that it was trained with.

    Returns:
        loss, reconstruction and kl, in nats a window, and global_step.

    Raises:
        InputError: There is nothing to evaluate, or something contradicts what `run_dir` holds.
    """
    if eval_num_batches is not None:
        _check_within("eval_num_batches", eval_num_batches, 1, _MOST)
    folder = run_dir_lib.at(run_dir)
    if os.path.basename(folder.eval(eval_dir_suffix)) != "eval" + eval_dir_suffix or "\0" in eval_dir_suffix:
        raise InputError("--eval_dir_suffix=%s must be part of a folder's name" % eval_dir_suffix)
    run = folder.read_trained()
    run_dir_lib.check_same(folder.run_json, run.settings._asdict(), {"config": config})
    kept = folder.kept(run)
    others = _other_songs(kept, examples_path) if examples_path is not None else []
    if not others:
        folder.check_whole(kept)
    if examples_path is None:
        _say_what_changed(folder, run, kept)
    checkpoint = model_files.find_pretrained("--pretrained_path", pretrained_path, config=run.settings.config, run=run)
    with folder.evaluating(eval_dir_suffix) as target:
        return _evaluate(folder, run, kept, others, checkpoint, eval_num_batches, target)


def _other_songs(kept: shards.Kept, examples_path: Paths) -> List[str]:
    """Returns the songs that were given, or none if they are those that were trained on."""
    given = shards.hashed(_find_examples(examples_path))
    same = kept.is_known and not any(shards.difference(given, kept.songs))
    return [] if same else [song.path for song in given]


def _say_what_changed(folder: RunDir, run: RunJson, kept: shards.Kept) -> None:
    """Says if the songs on disk are others now than those that the run was trained on."""
    there: List[str] = []
    for path in run.examples.path:
        with contextlib.suppress(InputError):  # where nothing is left there
            there += _find_examples(path)
    other = shards.difference(shards.hashed(there), kept.songs)
    if any(other):
        logger.warning(
            "the songs on disk are others than %s was trained on (%s); it is evaluated on those that it was trained on",
            folder.path,
            other.text(),
        )


def _evaluate(
    folder: RunDir,
    run: RunJson,
    kept: shards.Kept,
    others: List[str],
    checkpoint: Checkpoint,
    eval_num_batches: Optional[int],
    target: str,
) -> Dict[str, Any]:
    """Does what `evaluate` has checked, and writes it to `target`."""
    from lc_music_vae.encoding import latents
    from lc_music_vae.training import estimator, summaries

    made_with, weights, _ = _made_with(run.settings, run, checkpoint)
    if others:
        planned = latents.plan(shards.hashed(others))
        found = latents.complete(planned, os.path.join(target, "latents"), made_with, weights)
        _report(found, os.path.join(target, "examples.tsv"))
    else:
        found = latents.load(kept)
        _say_what_is_read(found, folder.examples)
    with folder.copied(run) as small:
        estimator.check_weights(small, run.settings.hparams, found.z_size)
        result = estimator.evaluate(found, run.settings.hparams, small.prefix, run.settings.seed, eval_num_batches)
        pictures = _show(small.prefix, checkpoint.path, found, target)
    scalars = {name: value for name, value in result.items() if name != "global_step"}
    summaries.write(target, result["global_step"], scalars, pictures)
    numbers = result["global_step"], found.num_windows, result["loss"], result["reconstruction"], result["kl"]
    logger.info("step %d on %d windows: loss %.2f, reconstruction %.2f, KL %.2f nats a window", *numbers)
    logger.info("pictures of samples and reconstructions, and the latents: tensorboard --logdir=%s", folder.path)
    return result


def _show(prefix: str, pretrained_path: str, found, folder: str) -> Dict[str, Any]:
    """Puts the windows' latents into TensorBoard's projector, and returns pictures of what the model makes.

    These are of samples, and of some windows beside their reconstructions.
    """
    import numpy as np

    from lc_music_vae import data
    from lc_music_vae.encoding import latents
    from lc_music_vae.showing import piano_rolls
    from lc_music_vae.trained_model import TrainedModel
    from lc_music_vae.training import summaries

    z, records = latents.own_key(found.shards, _MOST_ON_MAP)
    places = ["bars %d-%d" % (r["first_bar"] + 1, r["last_bar"] + 1) for r in records]
    with TrainedModel(ModelSource(checkpoint_file=prefix, vae_checkpoint_file=pretrained_path)) as model:
        means, _ = model.small.encode(z)
        some = np.unique(np.linspace(0, len(z) - 1, _PICTURED).astype(int))
        heard = model.decode(means[some])
        samples = model.sample(_PICTURED)
    rows = [["song", "bars", "track", "repeats"]]
    for record, place in zip(records, places):
        rows.append([os.path.basename(record["song"]), place, str(record["track"]), str(record["repeats"])])
    summaries.write_projector(folder, means, rows)
    pairs, titles = [], []
    for i, again in zip(some, heard):
        pairs += [data.to_note_sequence(records[i]["notes"]), again]
        titles += ["%s %s" % (rows[i + 1][0], places[i]), "as the model hears it"]
    return {
        "samples": piano_rolls.draw(samples, ["%03d" % i for i in range(len(samples))]),
        "reconstructions": piano_rolls.draw(pairs, titles),
    }


def _as_list(paths: Paths) -> List[str]:
    return [paths] if isinstance(paths, str) else list(paths)


def _find_examples(paths: Paths) -> List[str]:
    return [os.path.abspath(found) for path in _as_list(paths) for found in examples.find(path)]


def _check_within(flag: str, value: float, lowest: float, highest: float) -> None:
    if not value >= lowest:
        raise InputError("--%s=%s must be %s or more" % (flag, value, lowest))
    if value > highest:
        raise InputError("--%s=%s must be %s or less" % (flag, value, highest))


def _settings(
    folder: RunDir, run: Optional[RunJson], config: str, hparams: str, augment, seed, melody_track, metre
) -> Settings:
    """Returns what a training is of: what was recorded of it before, else what is given."""
    if seed is not None and not 0 <= seed < 2**32:
        raise InputError("--seed=%d must be from 0 to %d" % (seed, 2**32 - 1))
    before = run.settings.hparams if run else get_config(config).hparams
    values = hparams_lib.override(before, hparams)
    if run:
        given = {"config": config, "augment": augment, "seed": seed, "melody_track": melody_track, "metre": metre}
        run_dir_lib.check_same(folder.run_json, run.settings._asdict(), given)
        run_dir_lib.check_same(folder.run_json, {"hparams": before.text()}, {"hparams": values.text()})
        return run.settings
    return Settings(
        config,
        get_config(config).music_vae,
        values,
        bool(augment),
        seed or 0,
        melody_track or "auto",
        metre or "any",
    )


def _made_with(
    settings: Settings, run: Optional[RunJson], checkpoint: Checkpoint
) -> Tuple[shards.MadeWith, Weights, run_json.Pretrained]:
    """Returns how songs are encoded, MusicVAE's weights, and what is recorded of these.

    Loads TensorFlow, and magenta for `--augment`: whatever can be checked without them must have been before.
    """
    transpositions: Tuple[int, ...] = (0,)
    if settings.augment:
        from lc_music_vae import data

        span = data.WindowConverter(settings.music_vae).transpose_range
        if span is None:
            raise InputError("--augment: drums cannot be transposed; leave it out")
        transpositions = tuple(range(span[0], span[1] + 1))
    before = stamp(checkpoint)
    weights = Weights(checkpoint)
    fingerprint = weights.fingerprint(ENCODER_SCOPE)
    if run and fingerprint != run.pretrained.fingerprint:
        raise InputError(
            "--pretrained_path=%s holds other weights than those this run was trained on (%s)"
            % (checkpoint.path, run.pretrained.path)
        )
    made_with = shards.MadeWith(settings.music_vae, fingerprint, transpositions, settings.melody_track, settings.metre)
    path = os.path.abspath(os.path.expanduser(checkpoint.path))
    return made_with, weights, run_json.Pretrained(path, before, fingerprint)


def _training_latents(
    folder: RunDir, run: Optional[RunJson], settings: Settings, songs: _Songs, checkpoint: Checkpoint
):
    """Returns the latents to train on, encoding what is not encoded yet, and what is recorded of MusicVAE."""
    from lc_music_vae.encoding import latents

    for path, record in zip(*songs.kept):
        if record is None:
            logger.warning("%s.json is damaged or gone; the songs of that part are encoded again", path)
    made_with, weights, pretrained = _made_with(settings, run, checkpoint)
    if run is None or run.pretrained.stamp != pretrained.stamp:
        weights.check_finite(but=ENCODER_SCOPE)  # which says so itself, when it encodes
    planned = latents.plan_kept(songs.kept, songs.given) if songs.kept.paths else latents.plan(songs.given)
    if songs.kept.paths and songs.new:
        planned += latents.plan(songs.new, 1 + shards.additions(songs.kept.paths))
    found = latents.complete(planned, folder.latents, made_with, weights)
    if run and not songs.kept.is_known and found.num_windows != run.examples.windows:
        raise InputError(
            "--examples_path=%s gives %d windows, but %s was trained on %d: give the songs that it was trained on, or "
            "another --run_dir" % (", ".join(songs.path), found.num_windows, folder.path, run.examples.windows)
        )
    if stamp(checkpoint) != pretrained.stamp:
        raise InputError(
            "%s=%s changed while it was read; give the same command again" % (checkpoint.flag, checkpoint.path)
        )
    return found, pretrained


def _look_back(folder: RunDir, prefix: str, found) -> run_json.Latent:
    """Draws the picture of a training, and returns where the songs lie in the small latent."""
    import numpy as np

    from lc_music_vae.encoding import latents
    from lc_music_vae.models.points import prior_samples
    from lc_music_vae.models.small_vae import SmallVAE
    from lc_music_vae.training import drawing, summaries

    z, records = latents.own_key(found.shards, _MOST_ON_MAP)
    small = SmallVAE(finding.find(prefix, "--run_dir"))
    means, scales = small.encode(z)
    residual = np.sqrt(np.mean(np.sum((small.decode(means) - z) ** 2, 1)))
    small.close()
    labels = [str(record["first_bar"] + 1) for record in records]
    samples = prior_samples(8, small.encoded_z_size, 0)
    sheet = drawing.training(summaries.read_scalars(folder.train), means, scales, labels, samples)
    with files.replacing(folder.picture) as temporary:
        drawing.save(sheet, temporary)
    return run_json.Latent([round(float(x), 4) for x in means.mean(0)], round(float(residual), 4))


def _report(found, path: str) -> None:
    """Writes `examples.tsv` and says what was left out and why."""
    from lc_music_vae.encoding import latents

    latents.write_rows(path, found.rows)
    if not found.num_windows:
        raise InputError(_no_windows(found.rows))
    _say_what_is_read(found, path)


def _say_what_is_read(found, path: str) -> None:
    """Says how many windows there are, and what was left out and why: at most a screenful; all of it is in `path`."""
    logger.info(_counted(found))
    for row in _used(found)[:_MOST_SAID]:
        logger.info("  %s: track %s%s", row.path, row.melody, "; " + row.reason if row.reason else "")
    unused = [row for row in found.rows if not row.slices]
    if unused:
        logger.warning("%d of %d songs gave no window; all are in %s:", len(unused), len(found.rows), path)
        for row in unused[:_MOST_SAID]:
            logger.warning("  %s", _why_not(row))


def _used(found) -> List[Any]:
    return [row for row in found.rows if row.slices]


def _counted(found) -> str:
    songs = len(_used(found))
    return "%d distinct windows from %d song%s" % (found.num_windows, songs, "" if songs == 1 else "s")


def _why_not(row) -> str:
    # A file that cannot be read is named in the reason already.
    return row.reason if row.path in row.reason else "%s: %s" % (row.path, row.reason)


def _no_windows(rows) -> str:
    first = _why_not(rows[0])
    return first if len(rows) == 1 else "none of %d songs gave a window; the first: %s" % (len(rows), first)
